import { parse } from "csv-parse/sync";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credit, openWallet } from "../../src/generated/index.ts";
import { baseledger, type Ended } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

// As many as would not fit into the memory that the program gets here.
const BATCHES = 7;
const IN_A_BATCH = 10_000;
const EVENTS = 2 + BATCHES * IN_A_BATCH;
const MEGABYTES = 48;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await openWallet(sql, { walletId: "busy" });
  await credit(sql, { walletId: "busy", amount: 1_000_000_000_000n, idempotencyKey: "c" });
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const [row] = await sql`
      select count(*) as refused
        from baseledger.post('busy', (
          select jsonb_agg(jsonb_build_object(
              'op', 'charge', 'idempotency_key', format('%s of %s', i, ${batch}::int),
              'amount', 1000000 + ${batch}::int, 'metadata', jsonb_build_object('note', repeat('.', 200))
            ))
            from generate_series(1, ${IN_A_BATCH}::int) i
        ))
        where refused is not null`;
    expect(row?.refused).toBe("0");
  }
  await sql.end();
}, 300_000);

afterAll(() => database.drop());

async function statement(...args: string[]): Promise<Ended> {
  return baseledger(["statement", "busy", ...args], {
    DATABASE_URL: database.url,
    NODE_OPTIONS: `--max-old-space-size=${MEGABYTES}`,
  });
}

// 1,000,000 to 1,000,006 nano-dollars each.
const SPENT = BigInt(IN_A_BATCH) * (7_000_000n + 21n);

describe(`${EVENTS} events in ${MEGABYTES} MB`, () => {
  test("as a table, of which a later page has more decimals", async () => {
    const { code, stderr, stdout } = await statement();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.split("\n");
    expect(lines).toHaveLength(4 + 1 + EVENTS + 1 + 1 + 1);
    expect(lines[8]).toMatch(/ 0\.001 +999\.998 +999\.998$/);
    expect(lines.at(-3)).toMatch(/closing balance +1,000\.0{9} +70\.000210000 +929\.999790000$/);
  }, 300_000);

  test("as CSV", async () => {
    const { code, stderr, stdout } = await statement("--csv");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const rows: Record<string, string>[] = parse(stdout, { columns: true });
    expect(rows).toHaveLength(1 + EVENTS + 1);
    expect(rows.at(-2)).toMatchObject({ seq: `${EVENTS}`, spent: "70.00021" });
    expect(rows.at(-1)).toMatchObject({ event: "closing balance", balance: "929.99979" });
  }, 300_000);

  test("as JSON", async () => {
    const { code, stderr, stdout } = await statement("--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const events = JSON.parse(stdout) as { seq: string; spent: string }[];
    expect(events.map(({ seq }) => Number(seq))).toEqual(
      Array.from({ length: EVENTS }, (_, i) => i + 1),
    );
    expect(events.at(-1)?.spent).toBe(String(SPENT));
  }, 300_000);
});
