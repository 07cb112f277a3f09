import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { credit, openWallet } from "../../src/generated/index.ts";
import { baseledger } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let sql: postgres.Sql;
let env: Record<string, string>;

beforeAll(async () => {
  database = await createDatabase();
  env = { DATABASE_URL: database.url };
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  for (const walletId of ["acme", "beta"]) {
    await openWallet(sql, { walletId });
    await credit(sql, { walletId, amount: 5n, idempotencyKey: "c" });
  }
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

async function tamper(statement: string): Promise<void> {
  await sql.unsafe(`
    begin;
    alter table baseledger.events disable trigger user;
    ${statement};
    alter table baseledger.events enable always trigger events_append_only;
    alter table baseledger.events enable always trigger events_no_truncate;
    commit`);
}

/** More wallets than are verified one by one. */
async function openMany(): Promise<void> {
  await sql`select count(*) from generate_series(1, 250) i,
    lateral baseledger.open_wallet('many-' || i) o`;
}

test("reports what it has read", async () => {
  expect(await baseledger(["verify"], env)).toEqual({
    code: 0,
    stderr: "",
    stdout: expect.stringMatching(
      /^sound: the journal, .* agree: 4 events of 2 wallets in \d+\.\d s\n$/,
    ),
  });
});

test("names the wallet, the event, what was expected and what was found", async () => {
  await tamper("update baseledger.events set amount = 6 where wallet_id = 'acme' and seq = 2");
  const { code, stdout } = await baseledger(["verify"], env);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^acme, event 2: hash\n {2}expected {2}[0-9a-f]{64}\n {2}found/m);
  expect(stdout).toMatch(
    /^acme, event 2: balances\n {2}expected {2}available 6, .*\n {2}found {5}available 5, /m,
  );
  expect(stdout).toMatch(/not sound: 2 discrepancies: 4 events of 2 wallets/);
  const one = await baseledger(["verify", "--wallet", "beta"], env);
  expect(one).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sound/) });
  await tamper("update baseledger.events set amount = 5 where wallet_id = 'acme' and seq = 2");
});

// Wallet by wallet, and then in one call: both find events that have lost their wallet.
test.each([
  ["of few wallets", async () => undefined],
  ["of many wallets", openMany],
])("%s finds events without a wallet", async (_name, prepare) => {
  await prepare();
  await tamper(`
      create table public.lost as select * from baseledger.wallets where wallet_id = 'beta';
      delete from baseledger.wallets where wallet_id = 'beta'`);
  const { code, stdout } = await baseledger(["verify", "--json"], env);
  expect(code).toBe(1);
  expect(stdout).not.toContain("null");
  expect(JSON.parse(stdout)).toMatchObject([
    { walletId: "beta", check: "orphan", expected: "a wallet", found: "none" },
  ]);
  await tamper("insert into baseledger.wallets select * from public.lost; drop table public.lost");
  expect(await baseledger(["verify", "--json"], env)).toMatchObject({ code: 0, stdout: "[]\n" });
});

test("of no wallet exits with 4", async () => {
  expect(await baseledger(["verify", "--wallet", "ghost"], env)).toMatchObject({
    code: 4,
    stdout: "",
    stderr: expect.stringMatching(/\(LGWNF\)/),
  });
});
