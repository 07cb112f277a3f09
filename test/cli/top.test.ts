import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { charge, credit, freezeWallet, openWallet, reserve } from "../../src/generated/index.ts";
import { baseledger } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let sql: postgres.Sql;
let login: string;
let env: Record<string, string>;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  login = `auditor_of_${database.name}`;
  await sql.unsafe(`create role ${login} login password 'secret' in role baseledger_auditor`);
  const address = new URL(database.url);
  address.username = login;
  address.password = "secret";
  env = { DATABASE_URL: address.href };
  const key = (idempotencyKey: string) => ({ idempotencyKey });
  for (const walletId of ["busy", "calm", "cold"]) {
    await openWallet(sql, { walletId });
    await credit(sql, { walletId, amount: 10_000_000_000n, ...key("c") });
  }
  await openWallet(sql, { walletId: "calls\u001b[31m", unit: "requests", scale: 0 });
  await charge(sql, { walletId: "busy", amount: 3_000_000_000n, ...key("a") });
  await reserve(sql, { walletId: "busy", amount: 2_000_000_000n, ...key("b"), ttl: 86_400 });
  await charge(sql, { walletId: "calm", amount: 1_000_000_000n, ...key("a") });
  await reserve(sql, { walletId: "calm", amount: 1_500_000_000n, ...key("b"), ttl: 1 });
  await freezeWallet(sql, { walletId: "cold", reason: "test" });
  await until("the short reservation is due", async () => {
    const [row] = await sql`select reserved from baseledger.wallet_balances
      where wallet_id = 'calm' and reserved = 0`;
    return row !== undefined;
  });
});

afterAll(async () => {
  await sql.unsafe(`drop owned by ${login}; drop role ${login}`);
  await sql.end();
  await database.drop();
});

// A window that has all of the test in it, so that rates do not depend on its speed.
const WINDOW = ["--window", "3600"];

test("--once prints one frame, with the rights of an auditor, and no colours", async () => {
  const { code, stdout, stderr } = await baseledger(["top", "--once", ...WINDOW], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.replace(/\d\d:\d\d:\d\d/, "(time)")).toBe(
    `\
baseledger (time) UTC   4 wallets   12 events   0.0 events/s in the last 3600 s
1 open reservation   due: 1.5000 USD in 1 wallet   no expiry booked lately
USD: 24.0000 available, 2.0000 reserved, 4.0000 spent, 0.0667 a minute
requests: 0 available, 0 reserved, 0 spent, 0 a minute

WALLET                    SPENT/MIN  EVENTS/S  OPEN  AVAILABLE  RESERVED   SPENT     DUE  █ spent ▒ reserved ░ available
busy                         0.0500       0.0     1     5.0000    2.0000  3.0000          ████████████▒▒▒▒▒▒▒▒░░░░░░░░░░░░░░░░░░░░
calm                         0.0167       0.0     0     9.0000    0.0000  1.0000  1.5000  ████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
frozen: cold                 0.0000       0.0     0    10.0000    0.0000  0.0000          ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
calls\\x1b[31m (requests)          0       0.0     0          0         0       0          ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
`,
  );
});

test("--json gives exact amounts, and implies one frame", async () => {
  const { code, stdout } = await baseledger(["top", "--json", "--limit", "2", ...WINDOW], env);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    at: expect.any(String),
    windowSeconds: 3600,
    wallets: 4,
    events: 12,
    open: 1,
    sweepLagSeconds: null,
    walletsAhead: 0,
    ahead: [],
    units: [
      {
        unit: "USD",
        scale: 9,
        wallets: 3,
        available: "24000000000",
        reserved: "2000000000",
        spent: "4000000000",
        due: "1500000000",
        dueWallets: 1,
        spending: "4000000000",
        events: 11,
      },
      expect.objectContaining({ unit: "requests", scale: 0, wallets: 1, events: 1 }),
    ],
    top: [
      {
        place: 1,
        walletId: "busy",
        unit: "USD",
        scale: 9,
        available: "5000000000",
        reserved: "2000000000",
        spent: "3000000000",
        frozen: false,
        limited: false,
        due: "0",
        spending: "3000000000",
        events: 4,
        open: 1,
      },
      expect.objectContaining({ walletId: "calm", due: "1500000000", open: 0 }),
    ],
    limits: [],
  });
});

test("outside of the window nothing is spent", async () => {
  const spent = async () => {
    const { stdout } = await baseledger(["top", "--json", "--window", "0.1"], env);
    const { top } = JSON.parse(stdout) as { top: { spending: string; events: number }[] };
    return top.every(({ spending, events }) => spending === "0" && events === 0);
  };
  expect(await spent()).toBe(true);
});

test.each([
  [["top"], /top needs a terminal/],
  [["top", "--interval", "0"], /--interval.*from 0\.1 to 3600/],
  [["top", "--once", "--limit", "0"], /--limit.*from 1 to 1000/],
])("%j exits with 2 without a terminal", async (args, message) => {
  const { code, stdout, stderr } = await baseledger(args, env);
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
});

test("of an empty ledger is a frame, too", async () => {
  await using empty = await createDatabase();
  const { code, stdout } = await baseledger(["top", "--once"], { DATABASE_URL: empty.url });
  expect(code).toBe(0);
  expect(stdout).toContain("0 wallets   0 events");
});

test("a wallet whose last event lies ahead of the clock is named", async () => {
  await using skewed = await createDatabase();
  const owner = postgres(skewed.url, { max: 1, onnotice: () => undefined });
  await openWallet(owner, { walletId: "tomorrow" });
  await owner`update baseledger.wallets set last_event_at = last_event_at + interval '26 hours'`;
  await owner.end();
  const { stdout } = await baseledger(["top", "--once"], { DATABASE_URL: skewed.url });
  expect(stdout).toContain("1 wallet ahead of the clock, tomorrow by 1.1 d\n");
});
