// `limit`, how its refusals are printed, and what `top` shows of limits.
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeRefusal } from "../../src/cli/refusal.ts";
import { drawLimits } from "../../src/cli/top-limits.ts";
import type { Sample, SampledLimit } from "../../src/cli/top-sample.ts";
import type { LedgerError } from "../../src/errors/index.ts";
import { charge, openWallet, reserve, setPrice } from "../../src/generated/index.ts";
import { widthOf } from "../../src/terminal/layout.ts";
import { terminalText } from "../../src/terminal/safe-text.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";
import { createRoles, type Roles } from "./roles.ts";

let ledger: TestLedger;
let { as, json, tenDollars } = {} as Roles;

beforeAll(async () => {
  ledger = await createLedger();
  ({ as, json, tenDollars } = createRoles(ledger));
});

afterAll(() => ledger[Symbol.asyncDispose]());

const set = (...words: string[]) => json("operator", "limit", "set", ...words);

describe("limit", () => {
  test("is set, changed, set for one, listed and removed", async () => {
    const w = await tenDollars("daily");
    const made = await as(
      ...([
        "operator",
        "limit",
        "set",
        w,
        "user-day",
        "5",
        "--per",
        "day",
        "--by",
        "user",
      ] as const),
      ...["--time-zone", "Europe/Berlin", "--alert-at", "50,80%"],
    );
    expect(made).toEqual({
      code: 0,
      stderr: "",
      stdout:
        "daily: limit set (event 3)\n" +
        "  limit  user-day: 5.00 USD a day for each user, Europe/Berlin, alerts at 50%, 80%\n",
    });
    // What no option names stays.
    await set(w, "user-day", "6", "--soft");
    const changed = await json("auditor", "limit", "list", w);
    expect(changed).toEqual([
      expect.objectContaining({
        limitId: "user-day",
        amount: "6000000000",
        alertAt: [50, 80],
        timeZone: "Europe/Berlin",
        by: ["user"],
        hard: false,
        labelValues: null,
      }),
    ]);
    await set(w, "user-day", "6", "--hard");
    const own = await as("operator", "limit", "set", w, "user-day", "0.50", "--for", "a,b");
    expect(own.stdout).toContain("limit  user-day for user=a,b: 0.50 USD\n");
    await charge(ledger.agent, {
      walletId: w,
      amount: 1_500_000_000n,
      idempotencyKey: "spent",
      metadata: { user: "ann" },
    });
    const { stdout } = await as("agent", "limit", "list", w);
    expect(stdout).toMatch(/ user-day {2}user=a,b +0\.00 +0\.50 USD +0\.50 {2}a day +in [\d.]+ /);
    expect(stdout).toMatch(/ user-day {2}user=ann +1\.50 +6\.00 USD +4\.50 {2}a day +in [\d.]+ /);
    const page = await as("agent", "limit", "list", w, "user-day", "--limit", "1");
    expect(page.stdout).toMatch(/\nThere are more; .*user-day --after "a,b"\n$/);
    const rest = await json("agent", "limit", "list", w, "user-day", "--after", "a,b");
    expect(rest).toEqual([expect.objectContaining({ labelValues: ["ann"] })]);
    await json("operator", "limit", "remove", w, "user-day");
    expect((await as("auditor", "limit", "list", w)).stdout).toBe("no limits\n");
  });

  test("counts calls and open reservations, and none is no amount", async () => {
    const w = await tenDollars("counts");
    await set(w, "calls", "1", "--per", "hour", "--of", "calls");
    await set(w, "open", "2", "--per", "ever", "--by", "user,run", "--of", "open");
    await set(w, "models", "none", "--per", "day", "--by", "model");
    await set(w, "models", "2.50", "--for", "large");
    const { stdout } = await as("auditor", "limit", "list", w);
    expect(stdout).toMatch(/ calls +0 +1 call +1 {2}an hour/);
    expect(stdout).toMatch(/ models +model=large +0\.00 +2\.50 USD +2\.50 {2}a day/);
    expect(stdout).toMatch(/ open +each user, run +0 +2 open +at once/);
  });

  test("counts tokens, which are no money", async () => {
    const w = await tenDollars("tokens");
    await setPrice(ledger.operator, { model: "acme/large", rates: { output: 1_000_000_000 } });
    const words = [w, "day", "1500000", "--per", "day", "--by", "user", "--of", "tokens"];
    const made = await as("operator", "limit", "set", ...words, "--alert-at", "50");
    expect(made.stdout).toContain("day: 1,500,000 tokens a day for each user, alerts at 50%\n");
    const own = await as("operator", "limit", "set", w, "day", "1", "--for", "bob");
    expect(own.stdout).toContain("day for user=bob: 1 token\n");
    const spend = (output: number, idempotencyKey: string) =>
      charge(ledger.agent, {
        ...{ walletId: w, idempotencyKey, metadata: { user: "ann" } },
        usage: { model: "acme/large", output },
      });
    await spend(1_000_000, "c1");
    const { stdout } = await as("auditor", "limit", "list", w);
    expect(stdout).toMatch(/ day +user=ann +1,000,000 +1,500,000 tokens +500,000 {2}a day +in /);
    expect(stdout).toMatch(/ day +user=bob +0 +1 token +1 {2}a day/);
    const error = await spend(500_001, "c2").catch((refusal: LedgerError) => refusal);
    expect(describeRefusal(error as LedgerError, { unit: "USD", scale: 9 })).toMatch(
      /^limit day \(ann\) reached: 500,001 tokens asked for, 1,000,000 of 1,500,000 tokens a day used; it resets at /,
    );
    const top = await as("auditor", "top", "--once");
    expect(top.stdout).toMatch(/\ntokens: day \(user=ann\) +1,000,000\/1,500,000 tokens +/);
    const line = / day \(ann\): 50% of 1,500,000 tokens, 1,000,000 tokens used +no webhook\n/;
    expect((await as("auditor", "alerts", w)).stdout).toMatch(line);
    await json("operator", "limit", "remove", w, "day");
    expect((await as("auditor", "alerts", w)).stdout).toMatch(line);
    const half = await as(
      "operator",
      "limit",
      "set",
      w,
      "day",
      "0.5",
      "--per",
      "day",
      "--of",
      "tokens",
    );
    expect(half).toMatchObject({ code: 2, stdout: "" });
  });

  test("refuses in words: how much of what, and when it helps to ask again", async () => {
    const w = await tenDollars("told");
    await json("operator", "credit", w, "10");
    const ask = (user: string, amount: string) =>
      as("agent", "charge", w, amount, "--metadata", JSON.stringify({ user }));
    await set(w, "user-day", "5", "--per", "day", "--by", "user");
    await ask("ann", "4");
    const spent = await ask("ann", "2");
    expect(spent).toMatchObject({ code: 1, stdout: "" });
    expect(spent.stderr).toMatch(
      /limit user-day \(ann\) reached: 2\.00 USD asked for, 4\.00 of 5\.00 USD a day used; it resets at \d{4}-\S+Z \(LGLIM\)/,
    );
    const held = { walletId: w, amount: 3_000_000_000n, ttl: 3600, idempotencyKey: "r" };
    await reserve(ledger.agent, held);
    expect((await ask("", "4")).stderr).toMatch(
      /\(\(none\)\) reached: 4\.00 USD asked for, 3\.00 of 5\.00 USD a day used, 3\.00 USD of it held; the next reservation is due at /,
    );
    await set(w, "calls", "3", "--per", "ever", "--of", "calls");
    for (const n of ["1", "2", "3"]) await ask(n, "0.01");
    expect((await ask("4", "0.01")).stderr).toMatch(
      /limit calls reached: 3 of 3 calls used \(LGLIM\)/,
    );
    const program = await as("agent", "charge", w, "1", "--json");
    expect(JSON.parse(program.stdout).error).toMatchObject({
      code: "LGLIM",
      detail: { limitId: "calls", used: "3", amount: "3", resetsAt: null },
    });
  });

  test.each([
    [["limit", "set", "usage", "new", "5"], /a new limit needs --per/],
    [["limit", "set", "usage", "new", "5", "--per", "fortnight"], /--per.*Allowed choices/],
    [["limit", "set", "usage", "new", "5.0000000001", "--per", "day"], /5\.0000000001/],
    [["limit", "set", "usage", "new", "5", "--per", "day", "--alert-at", "0"], /from 1 to 1000/],
    [["limit", "set", "usage", "new", "5", "--per", "day", "--by", "a,,b"], /not a list/],
    [["limit", "set", "usage", "new", "5", "--for", "ann", "--per", "day"], /--for sets an amount/],
    [["limit", "set", "usage", "new", "5", "--soft", "--hard"], /cannot be used with/],
    [["limit", "set", "usage", "calls", "1.5", "--per", "day", "--of", "calls"], /1\.5/],
    [["limit", "set", "usage"], /limit set: missing required argument/],
    [["limit", "raise", "usage"], /baseledger limit: unknown command 'raise'/],
    [["help", "limit", "raise"], /unknown command 'limit raise'/],
  ])("%j exits with 2, and changes nothing", async (args, message) => {
    await tenDollars("usage");
    const { code, stdout, stderr } = await as("operator", ...args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(await json("operator", "limit", "list", "usage")).toEqual([]);
  });

  test("is for operators to set, and says what cannot change", async () => {
    const w = await tenDollars("rights");
    const agent = await as("agent", "limit", "set", w, "day", "5", "--per", "day");
    expect(agent).toMatchObject({ code: 1, stdout: "" });
    expect(agent.stderr).toMatch(/permission denied/);
    await set(w, "day", "5", "--per", "day");
    const other = await as("operator", "limit", "set", w, "day", "5", "--per", "week");
    expect(other.stderr).toMatch(/it cannot change while the limit exists \(LGARG\)/);
    const none = await as("operator", "limit", "set", w, "week", "5", "--for", "ann");
    expect(none).toMatchObject({ code: 1, stdout: "" });
    expect(none.stderr).toMatch(/\(LGARG\)/);
  });
});

describe("top", () => {
  test("shows the limits that are used most", async () => {
    const walletId = "top\u001b[2J";
    await openWallet(ledger.operator, { walletId });
    await json("operator", "credit", walletId, "100");
    await set(walletId, "day", "5", "--per", "day", "--by", "user");
    await set(walletId, "ever", "50", "--per", "ever");
    for (const [user, amount] of [
      ["ann", "4"],
      ["bob", "1"],
    ] as const) {
      await json("agent", "charge", walletId, amount, "--metadata", JSON.stringify({ user }));
    }
    const { limits } = await json("auditor", "top", "--limit", "1");
    expect(limits.map((one: SampledLimit) => [one.limitId, one.values, one.used])).toEqual([
      ["day", ["ann"], "4000000000"],
      ["day", ["bob"], "1000000000"],
      ["ever", [], "5000000000"],
    ]);
    const { stdout } = await as("auditor", "top", "--once", "--limit", "1");
    expect(stdout).toMatch(/\nLIMIT +USED +RESETS\n/);
    expect(stdout).toMatch(/\ntop\\x1b\[2J: day \(user=ann\) +4\.00\/5\.00 +[\d.]+ \w+ {2}█+░+\n/);
    expect(stdout).toMatch(/\ntop\\x1b\[2J: ever +5\.00\/50\.00 {10,}█+░+\n/);
  });

  test.each([20, 36, 50, 80, 132])("keeps to %i columns", (columns) => {
    const limit: SampledLimit = {
      ...{ walletId: "客户-of-the-north", unit: "USD", scale: 9, limitId: "user-month" },
      ...{ by: ["user"], values: ["日本語の名前ann"], of: "amount", per: "month", hard: false },
      ...{ amount: "9223372036854775807", used: "1234567890123456789", held: "5" },
      resetsAt: "2026-02-01T00:00:00Z",
    };
    const limits = [limit, { ...limit, of: "calls", amount: "0", used: "7", resetsAt: null }];
    const stream = new PassThrough() as unknown as NodeJS.WriteStream;
    const sample = { at: "2026-01-31T12:00:00Z", limits } as unknown as Sample;
    const lines = drawLimits(sample, { columns, rows: 24, stream }).map(terminalText);
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
  });
});
