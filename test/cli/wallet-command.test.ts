import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { balance, openWallet, statement } from "../../src/generated/index.ts";
import { start } from "../support/cli.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createRoles, type Roles } from "./roles.ts";

let ledger: TestLedger;
let { as, environmentOf, json, tenDollars } = {} as Roles;

beforeAll(async () => {
  ledger = await createLedger();
  ({ as, environmentOf, json, tenDollars } = createRoles(ledger));
});

afterAll(() => ledger[Symbol.asyncDispose]());

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
    expect(lifetimeOf(extended)).toBe(5_400_000);
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

  test("gets the key when the connection ends before the answer", async () => {
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
function lifetimeOf({ expiresAt, occurredAt }: { expiresAt: string; occurredAt: string }): number {
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
});

describe("open", () => {
  test("makes a dollar wallet, and prints its balances", async () => {
    expect(await as("operator", "open", "plain")).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "plain: opened (event 1)",
        "  available  0.00 USD",
        "  reserved   0.00 USD",
        "  spent      0.00 USD",
        "",
      ].join("\n"),
    });
    const again = await as("operator", "open", "plain");
    expect(again.code).toBe(0);
    expect(again.stdout).toContain("(event 1, done before: nothing was done now)");
  });

  test("takes unit, scale, overdraft limit in that scale, and metadata", async () => {
    const args = ["open", "tokens", "--unit", "tokens", "--scale", "3", "--overdraft-limit", "1.5"];
    const { code, stdout } = await as(
      "operator",
      ...args,
      "--metadata",
      '{"team": "search"}',
      "--json",
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ walletId: "tokens", seq: "1", event: "opened" });
    expect(await balance(ledger.operator, { walletId: "tokens" })).toMatchObject({
      unit: "tokens",
      scale: 3,
      overdraftLimit: 1_500n,
    });
    expect(await statement(ledger.auditor, { walletId: "tokens" })).toMatchObject([
      { metadata: { team: "search" } },
    ]);
  });

  test("of the same wallet on other terms is refused", async () => {
    await openWallet(ledger.operator, { walletId: "taken" });
    const { code, stdout, stderr } = await as("operator", "open", "taken", "--unit", "EUR");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/\(LGIDK\)/);
  });
});

describe("credit", () => {
  test("reads the amount by the wallet's scale, beyond what a number could hold", async () => {
    await openWallet(ledger.operator, { walletId: "exact" });
    const args = ["credit", "exact", "9007199.254740993", "--key", "invoice-1"];
    const { code, stdout } = await as("operator", ...args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^exact: credited 9,007,199\.254740993 USD \(event 2\)\n/);
    expect(stdout).toMatch(/key +invoice-1\n$/);
    expect(await balance(ledger.operator, { walletId: "exact" })).toMatchObject({
      available: 9_007_199_254_740_993n,
    });
  });

  test("with the same key is done once; with another amount it is refused", async () => {
    await openWallet(ledger.operator, { walletId: "credited-once" });
    const send = (amount: string) =>
      as("operator", "credit", "credited-once", amount, "--key", "k", "--json");
    expect(JSON.parse((await send("12.50")).stdout)).toMatchObject({
      amount: "12500000000",
      idempotencyKey: "k",
      replayed: false,
    });
    expect(JSON.parse((await send("12.5")).stdout)).toMatchObject({ replayed: true });
    expect(await send("13")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/\(LGIDK\)/),
    });
    expect(await balance(ledger.operator, { walletId: "credited-once" })).toMatchObject({
      available: 12_500_000_000n,
    });
  });

  test("without a key makes one up, and prints it", async () => {
    await openWallet(ledger.operator, { walletId: "keyless" });
    const keys = [];
    for (const _ of [1, 2]) {
      const { stdout } = await as("operator", "credit", "keyless", "1", "--json");
      keys.push((JSON.parse(stdout) as { idempotencyKey: string }).idempotencyKey);
    }
    expect(new Set(keys).size).toBe(2);
    expect(await balance(ledger.operator, { walletId: "keyless" })).toMatchObject({
      available: 2_000_000_000n,
    });
  });
});

describe("freeze and unfreeze", () => {
  test("put the reason on record", async () => {
    await openWallet(ledger.operator, { walletId: "cold" });
    const frozen = await as("operator", "freeze", "cold", "--reason", "runaway");
    expect(frozen).toMatchObject({ code: 0, stdout: expect.stringContaining("frozen (event 2)") });
    expect(await balance(ledger.operator, { walletId: "cold" })).toMatchObject({ frozen: true });
    const args = ["unfreeze", "cold", "--reason", "fixed", "--key", "thaw", "--json"];
    expect(JSON.parse((await as("operator", ...args)).stdout)).toMatchObject({ event: "unfrozen" });
    expect(JSON.parse((await as("operator", ...args)).stdout)).toMatchObject({ replayed: true });
    const lines = await statement(ledger.auditor, { walletId: "cold" });
    expect(lines.map(({ event, details }) => [event, details])).toEqual([
      ["opened", expect.anything()],
      ["frozen", { reason: "runaway" }],
      ["unfrozen", { reason: "fixed" }],
    ]);
    expect(await balance(ledger.operator, { walletId: "cold" })).toMatchObject({ frozen: false });
  });
});

test.each([
  [["credit", "ghost", "1"]],
  [["freeze", "ghost", "--reason", "r"]],
  [["unfreeze", "ghost", "--reason", "r"]],
])("%j of no wallet exits with 1", async (args) => {
  const { code, stdout, stderr } = await as("operator", ...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^baseledger: .*\(LGWNF\)/);
});

test("an amount of zero is refused by the ledger", async () => {
  await openWallet(ledger.operator, { walletId: "zero" });
  expect(await as("operator", "credit", "zero", "0")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/\(LGARG\)/),
  });
});

describe("a wrong command line exits with 2", () => {
  test.each([
    [["reserve", "w", "1", "--ttl", "5x"], /--ttl.*not a time like 90s/],
    [["extend", "w", "r"], /required option '--ttl <time>'/],
    [["settle", "w", "r"], /missing required argument 'amount'/],
    [["transfer", "w", "v"], /missing required argument 'amount'/],
    [["wallets", "--csv", "--json"], /cannot be used with/],
    [["open", "w", "--scale", "19"], /--scale.*from 0 to 18/],
    [["open", "w", "--scale", "2", "--overdraft-limit", "0.001"], /--overdraft-limit.*2 decimals/],
    [["open", "w", "--metadata", "[1]"], /--metadata.*not a JSON object/],
    [["credit", "usage", "12,50"], /"12,50" is not an amount/],
    [["credit", "usage", "0.0000000001"], /at most 9 decimals/],
    [["freeze", "usage"], /required option '--reason <text>'/],
    [["statement", "usage", "--csv", "--json"], /cannot be used with/],
    [["charge", "usage", "1,5"], /"1,5" is not an amount/],
    [["reserve", "usage", "1", "--at-least", "x"], /--at-least: "x" is not an amount/],
  ])("%j", async (args, message) => {
    await tenDollars("usage");
    const { code, stdout, stderr } = await as("operator", ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr.match(/\n/g)).toHaveLength(1);
  });
});
