import { parse } from "csv-parse/sync";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  credit,
  freezeWallet,
  openWallet,
  reserve,
  settle,
  withdraw,
} from "../../src/generated/index.ts";
import { baseledger } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

const walletId = "acme";
let database: TestDatabase;
let env: Record<string, string>;
let settledAt: string;

beforeAll(async () => {
  database = await createDatabase();
  env = { DATABASE_URL: database.url };
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await openWallet(sql, { walletId });
  await credit(sql, { walletId, amount: 1_012_500_000_000n, idempotencyKey: "invoice-17" });
  await reserve(sql, { walletId, amount: 250_000_000n, idempotencyKey: "call-1" });
  const settled = await settle(sql, {
    walletId,
    reservationId: "call-1",
    amount: 181_500_000n,
    idempotencyKey: "cost",
    metadata: { model: "x" },
  });
  settledAt = settled.occurredAt?.toISOString() ?? "";
  await withdraw(sql, { walletId, amount: 2_000_000_000n, idempotencyKey: "payback" });
  await reserve(sql, { walletId, amount: 1_000_000_000n, idempotencyKey: '=1+"1"' });
  await freezeWallet(sql, { walletId, reason: "audit" });
  await sql.end();
});

afterAll(() => database.drop());

test("opens with a balance, has ins and outs in columns, and closes with the balance", async () => {
  const { code, stdout } = await baseledger(["statement", walletId], env);
  expect(code).toBe(0);
  const masked = stdout.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "(time)");
  expect(masked.replace(/─+/g, "─").replace(/ +\n/g, "\n")).toBe(
    `\
Statement of account: acme, in USD, times in UTC
─
 no.  time                 event            reference   amount          in     out     balance    held   available
─
                           opening balance                                              0.0000
   1  (time)  opened                                                       0.0000              0.0000
   2  (time)  credited         invoice-17          1,012.5000          1,012.5000          1,012.5000
   3  (time)  reserved         call-1      0.2500                      1,012.5000  0.2500  1,012.2500
   4  (time)  settled          call-1                          0.1815  1,012.3185          1,012.3185
   5  (time)  withdrawn        payback                         2.0000  1,010.3185          1,010.3185
   6  (time)  reserved         =1+"1"      1.0000                      1,010.3185  1.0000  1,009.3185
   7  (time)  frozen           audit                                   1,010.3185  1.0000  1,009.3185
                           closing balance                      1,012.5000  2.1815  1,010.3185
─
`,
  );
});

test("of a part of the time opens with what was there before", async () => {
  const args = ["statement", walletId, "--from", settledAt, "--csv"];
  const rows = read((await baseledger(args, env)).stdout);
  expect(rows.map((row) => [row.event, row.in, row.out, row.balance])).toEqual([
    ["opening balance", "", "", "1012.50"],
    ["settled", "0.00", "0.1815", "1012.3185"],
    ["withdrawn", "0.00", "2.00", "1010.3185"],
    ["reserved", "0.00", "0.00", "1010.3185"],
    ["frozen", "0.00", "0.00", "1010.3185"],
    ["closing balance", "", "", "1010.3185"],
  ]);
});

test("as CSV has plain amounts, and no name that a spreadsheet would run", async () => {
  const { code, stdout } = await baseledger(["statement", walletId, "--csv"], env);
  expect(code).toBe(0);
  const rows = read(stdout);
  expect(rows[5]).toMatchObject({ seq: "5", amount: "2.00", unit: "USD", actor: "postgres" });
  expect(rows[6]).toMatchObject({
    event: "reserved",
    reservation_id: `'=1+"1"`,
    reserved: "1.00",
    available: "1009.3185",
  });
});

test("as CSV has what was spent, until when it is held, why, and the metadata", async () => {
  const rows = read((await baseledger(["statement", walletId, "--csv"], env)).stdout);
  expect(rows[4]).toMatchObject({ event: "settled", spent: "0.1815", metadata: '{"model":"x"}' });
  expect(rows[6]).toMatchObject({ event: "reserved", expires_at: expect.stringMatching(/Z$/) });
  expect(rows[7]).toMatchObject({ reason: "audit", details: '{"reason":"audit"}' });
});

test("as CSV of a time without events has two equal balances", async () => {
  const args = ["statement", walletId, "--to", "2001-01-01", "--csv"];
  const rows = read((await baseledger(args, env)).stdout);
  expect(rows.map(({ event, balance }) => [event, balance])).toEqual([
    ["opening balance", "0.00"],
    ["closing balance", "0.00"],
  ]);
});

function read(csv: string): Record<string, string>[] {
  return parse(csv, { columns: true });
}
