// What people do by hand, with the logins that they have.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credit, openWallet, reserve, settle } from "../../src/generated/index.ts";
import { parseDuration } from "../../src/terminal/duration.ts";
import { baseledger, type Ended, start } from "../support/cli.ts";
import { createLedger, type Role, type TestLedger, travelBack } from "../support/ledger.ts";
import { until } from "../support/until.ts";

const DOLLAR = 1_000_000_000n;

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await createLedger();
});

afterAll(() => ledger[Symbol.asyncDispose]());

/** A wallet with 10 dollars, of a name of its own. */
async function tenDollars(walletId: string): Promise<string> {
  await openWallet(ledger.operator, { walletId });
  await credit(ledger.operator, { walletId, amount: 10n * DOLLAR, idempotencyKey: "c" });
  return walletId;
}

/** libpq's variables of a login. */
function environmentOf(role: Role): Record<string, string> {
  const { database, host, pass, port, user } = ledger[role as "agent"].options;
  const [PGHOST = "", PGPORT] = [host[0], port[0]];
  return {
    PGHOST,
    PGPORT: String(PGPORT),
    PGUSER: user,
    PGPASSWORD: String(pass),
    PGDATABASE: database,
  };
}

const as = (role: Role, ...args: string[]): Promise<Ended> => baseledger(args, environmentOf(role));

/** Runs a command that succeeds; what it prints as JSON. */
async function json(role: Role, ...args: string[]) {
  const { code, stdout, stderr } = await as(role, ...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

describe("an agent", () => {
  test("reserves, extends, settles in parts and cancels", async () => {
    const w = await tenDollars("parts");
    const metadata = '{"n": 9007199254740993}';
    const held = await as(
      "agent",
      "reserve",
      w,
      "0.25",
      "--key",
      "r",
      "--ttl",
      "2m",
      "--metadata",
      metadata,
    );
    expect(held).toMatchObject({ code: 0, stderr: "" });
    expect(held.stdout).toMatch(/^parts: reserved 0\.25 USD \(event 3\)\n/);
    expect(held.stdout).toMatch(/\n {2}available {4}9\.75 USD\n/);
    expect(held.stdout).toMatch(
      /\n {2}reservation {2}r\n {2}until {8}\d{4}-\S+Z\n {2}key {10}r\n$/,
    );
    const extended = await json("agent", "extend", w, "r", "--ttl", "1h 30m", "--amount", "0.5");
    expect(extended).toMatchObject({
      event: "extended",
      amount: "250000000",
      reserved: "500000000",
    });
    expect(lifeOf(extended)).toBe(5_400_000);
    expect(await json("agent", "settle", w, "r", "0.1", "--part")).toMatchObject({
      event: "settled",
      reserved: "400000000",
      spent: "100000000",
    });
    expect(await json("agent", "settle", w, "r", "0.05")).toMatchObject({
      reserved: "0",
      spent: "150000000",
    });
    await json("agent", "reserve", w, "1", "--reservation", "other", "--key", "k");
    expect(await json("agent", "cancel", w, "other")).toMatchObject({ event: "cancelled" });
    const [event] = await ledger.auditor`
      select metadata::text from baseledger.journal where wallet_id = ${w} and seq = 3`;
    expect(event?.metadata).toBe('{"n": 9007199254740993}');
  });

  test("charges, and takes what there is", async () => {
    const w = await tenDollars("charges");
    expect(await json("agent", "charge", w, "2.50", "--reservation", "embedding")).toMatchObject({
      event: "charged",
      reservationId: "embedding",
      spent: "2500000000",
    });
    expect(await json("agent", "reserve", w, "100", "--at-least", "1")).toMatchObject({
      amount: "7500000000",
    });
  });

  test("does a thing once under its key, and gets a key if it has none", async () => {
    const w = await tenDollars("once");
    const first = await json("agent", "charge", w, "1", "--key", "k");
    const again = await json("agent", "charge", w, "1.00", "--key", "k");
    expect(again).toEqual({ ...first, replayed: true });
    const other = await as("agent", "charge", w, "2", "--key", "k");
    expect(other).toMatchObject({ code: 1, stdout: "" });
    expect(other.stderr).toMatch(/stored 1\.00 USD, given 2\.00 USD.*\(LGIDK\)/);
    const made = await Promise.all([0, 1].map(() => json("agent", "charge", w, "1")));
    expect(new Set(made.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2);
  });

  test("is refused in the wallet's unit", async () => {
    const w = await tenDollars("refused");
    const { code, stdout, stderr } = await as("agent", "reserve", w, "12.5");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/12\.50 USD asked for, 10\.00 USD available.*\(LGNSF\)/);
    const program = await as("agent", "reserve", w, "12.5", "--json");
    expect(program.code).toBe(1);
    expect(JSON.parse(program.stdout)).toMatchObject({
      error: { code: "LGNSF", detail: { requested: "12500000000", reason: "exhausted" } },
    });
  });

  test.each([
    [["credit", "rights", "1"]],
    [["withdraw", "rights", "1"]],
    [["refund", "rights", "r", "1"]],
    [["transfer", "rights", "other", "1"]],
    [["wallets"]],
  ])("may not %j, which changes nothing", async (args) => {
    await tenDollars("rights");
    const { code, stdout, stderr } = await as("agent", ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/permission denied/);
    expect(stderr).not.toMatch(/not known whether/);
  });

  test("is told the key when the connection ends before the answer", async () => {
    const w = await tenDollars("cut");
    await ledger.admin.begin(async (tx) => {
      await tx`select from baseledger.wallets where wallet_id = ${w} for update`;
      const { ended } = start(["charge", w, "1", "--json"], environmentOf("agent"));
      await until("it waits for the wallet", async () => {
        const { count } = await ledger.admin`
          select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'
              and query like '%baseledger%charge%'`;
        return count > 0;
      });
      const { code, stdout, stderr } = await ended;
      expect(code).toBe(4);
      const { idempotencyKey } = JSON.parse(stdout).error;
      expect(idempotencyKey).toMatch(/^\S{22}$/);
      expect(stderr).toContain(`--key ${idempotencyKey}`);
    });
  });
});

/** For how many milliseconds a receipt's reservation lives. */
function lifeOf({ expiresAt, occurredAt }: { expiresAt: string; occurredAt: string }): number {
  return new Date(expiresAt).getTime() - new Date(occurredAt).getTime();
}

describe("an operator", () => {
  test("withdraws, transfers and refunds", async () => {
    const w = await tenDollars("payer");
    const to = await tenDollars("payee");
    expect(await json("operator", "withdraw", w, "4")).toMatchObject({ available: "6000000000" });
    const sent = await as("operator", "transfer", w, to, "2.5", "--key", "t");
    expect(sent).toMatchObject({ code: 0, stderr: "" });
    expect(sent.stdout).toMatch(/^payer: transferred_out 2\.50 USD \(event 4\)\n/);
    await json("operator", "charge", w, "1", "--key", "spent");
    expect(await json("operator", "refund", w, "spent", "0.25")).toMatchObject({
      event: "refunded",
      spent: "750000000",
    });
    const { code, stderr } = await as("operator", "refund", w, "spent", "2");
    expect(code).toBe(1);
    expect(stderr).toMatch(/2\.00 USD.*0\.75 USD.*\(LGRFD\)/);
  });
});

describe("an auditor", () => {
  test("changes nothing", async () => {
    const w = await tenDollars("looked-at");
    const { code, stderr } = await as("auditor", "reserve", w, "1");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/permission denied/),
    });
  });

  test("reads how a reservation went", async () => {
    const w = await tenDollars("audited");
    await json("agent", "reserve", w, "1", "--key", "call", "--ttl", "60");
    await json("agent", "settle", w, "call", "0.25", "--part");
    await json("agent", "settle", w, "call", "1.5");
    const { code, stdout } = await as("auditor", "reservation", w, "call");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^call of audited: settled at \d{4}-\S+Z\n {2}granted {3}1\.00 USD\n/);
    expect(stdout).toMatch(/settled {3}1\.75 USD in 2 parts\n {2}overage {3}0\.75 USD\n/);
    expect(stdout).toMatch(/reserved +1\.00 .*\n.*settled +0\.25 .*\n.*settled +1\.50 .*agent/);
    expect(await json("auditor", "reservation", w, "call")).toMatchObject({
      status: "settled",
      amount: "1000000000",
      overage: "750000000",
      held: "0",
      events: [{ event: "reserved", idempotencyKey: "call" }, {}, { amount: "1500000000" }],
    });
  });

  test("sees that one is past its deadline, before anything is booked", async () => {
    const w = await tenDollars("late");
    await json("agent", "reserve", w, "4", "--key", "call", "--ttl", "1m");
    expect(await json("auditor", "reservation", w, "call")).toMatchObject({ status: "open" });
    await travelBack(ledger, w, "1 hour");
    expect(await json("auditor", "reservation", w, "call")).toMatchObject({ status: "due" });
    expect(await json("auditor", "wallets", w)).toMatchObject([
      { available: "10000000000", reserved: "0", due: "4000000000" },
    ]);
  });

  test.each([
    [["reservation", "ghost", "r"], "LGWNF"],
    [["reservation", "audited", "ghost"], "LGRNF"],
  ])("asks in vain for %j", async (args, sqlstate) => {
    await tenDollars("audited");
    const { code, stdout } = await as("auditor", ...args, "--json");
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: sqlstate } });
  });
});

describe("wallets", () => {
  beforeAll(async () => {
    for (const walletId of ["list%a", "list%b", "list%c", "listed"]) await tenDollars(walletId);
    await openWallet(ledger.operator, { walletId: "list%tokens", unit: "tokens", scale: 0 });
    await spendALittle("list%b");
  });

  async function spendALittle(walletId: string): Promise<void> {
    const terms = { walletId, amount: 123_456_789n };
    await reserve(ledger.agent, { ...terms, idempotencyKey: "r" });
    await settle(ledger.agent, { ...terms, reservationId: "r", idempotencyKey: "s" });
  }

  test("are listed for a person, page by page", async () => {
    const { code, stdout } = await as("auditor", "wallets", "list%", "--limit", "2");
    expect(code).toBe(0);
    expect(stdout).toMatch(/ list%a +USD +10\.000000000 +0\.000000000 +0\.000000000 +open\n/);
    expect(stdout).toMatch(/ list%b +USD +9\.876543211 +0\.000000000 +0\.123456789 +open\n/);
    expect(stdout).toMatch(/\nThere are more; go on with: --after list%b\n$/);
    const rest = await as("auditor", "wallets", "list%", "--after", "list%b");
    expect(rest.stdout).toMatch(/ list%c .*\n list%tokens +tokens +0 +0 +0 +open\n─+\n$/);
    expect(rest.stdout).not.toMatch(/listed|list%b|more/);
  });

  test("are listed for a program, all of them", async () => {
    await ledger.operator`
      select count(baseledger.open_wallet('many-' || n)) from generate_series(1, 1100) n`;
    const listed = await json("auditor", "wallets", "many-");
    const ids = listed.map(({ walletId }: { walletId: string }) => walletId);
    expect(new Set(ids).size).toBe(1_100);
    expect(ids).toEqual(ids.toSorted());
    expect(await json("auditor", "wallets", "none-")).toEqual([]);
    const { stdout } = await as("auditor", "wallets", "many-", "--csv", "--limit", "1001");
    expect(stdout.trimEnd().split("\n")).toHaveLength(1_002);
    expect(stdout).toMatch(
      /^wallet_id,unit,available,.*\nmany-1,USD,0\.00,0\.00,0\.00,0\.00,,false,1,/,
    );
  });

  test("cannot do anything to the terminal by their names", async () => {
    await openWallet(ledger.operator, { walletId: "evil\u001b[2J\nopen" });
    const { stdout } = await as("auditor", "wallets", "evil");
    expect(stdout).toContain("evil\\x1b[2J\\nopen");
    await openWallet(ledger.operator, { walletId: "=evil" });
    expect((await as("auditor", "wallets", "=", "--csv")).stdout).toContain("\n'=evil,");
  });
});

describe("how long a reservation lives", () => {
  test.each([
    ["90", 90],
    ["90s", 90],
    ["1.5", 1.5],
    ["2m", 120],
    ["2 minutes", 120],
    ["1h30m", 5_400],
    ["1 h 30 min 10 sec", 5_410],
    ["1.5h", 5_400],
    ["1 Day", 86_400],
    ["PT5M", 300],
    ["p1dt2h", 93_600],
  ])("%s is %d seconds", async (text, seconds) => {
    const [row] = await ledger.outsider`
      select extract(epoch from ${parseDuration(text)}::text::interval)::float8 as seconds`;
    expect(row?.seconds).toBe(seconds);
  });

  test.each(["", " ", "soon", "5x", "2 months", "-5", "5 5", "1:30", "P", "PT", "1e3", "m", "∞"])(
    "%j says nothing of it",
    (text) => {
      expect(() => parseDuration(text)).toThrow(/not a time like/);
    },
  );
});

describe("a wrong command line exits with 2", () => {
  test.each([
    [["reserve", "w", "1", "--ttl", "5x"], /--ttl.*not a time like 90s/],
    [["extend", "w", "r"], /required option '--ttl <time>'/],
    [["settle", "w", "r"], /missing required argument 'amount'/],
    [["transfer", "w", "v"], /missing required argument 'amount'/],
    [["wallets", "--csv", "--json"], /cannot be used with/],
    [["charge", "usage", "1,5"], /"1,5" is not an amount/],
    [["reserve", "usage", "1", "--at-least", "x"], /--at-least: "x" is not an amount/],
  ])("%j", async (args, message) => {
    await tenDollars("usage");
    const { code, stdout, stderr } = await as("operator", ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });
});
