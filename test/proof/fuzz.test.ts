import postgres from "postgres";
import { expect, test } from "vitest";
import { createDatabase } from "../support/server.ts";
import { fuzz } from "./fuzz/index.ts";
import { checkRefusals } from "./fuzz/refusals.ts";

const PATIENCE_MS = 180_000;

test("every function grants or refuses with a code, whatever its arguments", {
  timeout: PATIENCE_MS,
}, async () => {
  await using database = await createDatabase();
  const runs = 60;
  const outcome = await fuzz(database.url, {
    seed: Date.now() % 2 ** 31,
    runs,
    until: performance.now() + PATIENCE_MS / 2,
  });
  expect(outcome.failure).toBeUndefined();
  expect(outcome.ran.sequences).toBe(runs);
  expect(outcome.kindsOfAnswers).toBeGreaterThan(60);
  expect(await countBatchesOverWallets(database.url)).toBeGreaterThan(0);
});

/** How many calls of post_many were granted in several wallets: only it writes such transactions. */
async function countBatchesOverWallets(url: string): Promise<number> {
  const sql = postgres(url, { max: 1 });
  const rows = await sql`
    select from baseledger.events
      where event not in ('transferred_in', 'transferred_out', 'expired')
      group by xmin::text
      having count(distinct wallet_id) > 1`;
  await sql.end();
  return rows.length;
}

test("every parameter refuses what no function takes, and changes nothing", {
  timeout: PATIENCE_MS,
}, async () => {
  await using database = await createDatabase();
  const { tried, wrong } = await checkRefusals(database.url);
  expect(wrong).toEqual([]);
  expect(tried).toBeGreaterThan(600);
});
