import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditCustomer } from "../../src/demo/audit.ts";
import { auditSpending } from "../../src/demo/audit-all.ts";
import { auditCosts, createPricer } from "../../src/demo/audit-costs.ts";
import { auditLimits } from "../../src/demo/audit-limits.ts";
import { type Counters, type Customer, createCustomer } from "../../src/demo/counters.ts";
import { creditOf, type ForecastCall, forecast } from "../../src/demo/forecast.ts";
import { limitsOf, unattendedBudget, unattendedCall } from "../../src/demo/limits.ts";
import { type PlannedCall, planCalls } from "../../src/demo/plan.ts";
import { sumSpending } from "../../src/demo/spending.ts";
import {
  type LimitUse,
  listPrices,
  quotes,
  type StatementLine,
  setPrices,
} from "../../src/generated/index.ts";
import { createRandom, generateTrace } from "../../src/trace/index.ts";
import type { Usage } from "../../src/wire/index.ts";
import { baseledger, type Ended } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

const SMALL = ["demo", "--json", "--calls", "400", "--customers", "3", "--seed", "7"];

interface Counts {
  readonly calls: number;
  readonly granted: number;
  readonly refused: number;
  readonly refusedByLimit: number;
  readonly settled: number;
  readonly cancelled: number;
  readonly sentTwice: number;
  readonly duplicatesAbsorbed: number;
  readonly lostAnswers: number;
  readonly expired: number;
  readonly expiredByJob: number | null;
  readonly over: number;
  readonly late: number;
  readonly credited: string;
  readonly spent: string;
  readonly reserved: string;
  readonly available: string;
  readonly events: string;
}

interface Result {
  readonly sound: boolean;
  readonly seed: number;
  readonly customers: readonly (Counts & { readonly walletId: string })[];
  readonly total: Counts;
  readonly discrepancies: readonly unknown[];
  readonly problems: readonly string[];
  readonly counters: number;
  readonly amounts: number;
  readonly spending: readonly {
    readonly model: string;
    readonly team: string;
    readonly calls: string;
    readonly amount: string;
  }[];
  readonly runaway: {
    readonly calls: number;
    readonly granted: number;
    readonly stopped: number;
    readonly spent: string;
    readonly limit: string;
  };
  readonly alerts: readonly object[];
}

function expectConsistent({ amounts, customers, spending, total }: Result): void {
  expect(amounts).toBe(total.granted + total.settled);
  const spent = spending.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  expect(String(spent)).toBe(total.spent);
  expect(spending.map(({ model, team }) => [model, team])).toEqual([
    [MODEL, "search"],
    [MODEL, "support"],
  ]);
  for (const one of [...customers, total]) {
    expect(one.granted + one.refused).toBe(one.calls);
    // Those who died: granted, and neither settled nor cancelled.
    const died = one.granted - one.settled - one.cancelled;
    expect(one.expired).toBe(died + one.late);
    expect(one.reserved).toBe("0");
    expect(BigInt(one.available)).toBe(BigInt(one.credited) - BigInt(one.spent));
  }
  for (const one of customers) {
    const commands = one.granted + one.settled + one.cancelled;
    // Opened and credited, three limits, and one amount of its own.
    expect(one.events).toBe(String(6 + commands + one.expired));
  }
  expect(total.calls).toBe(customers.reduce((sum, { calls }) => sum + calls, 0));
}

const MODEL = "openai/gpt-5";
const DOLLAR = 1_000_000_000;
const NO_LIMITS = {} as Customer["limits"];

describe("a small run on a server of its own", () => {
  let ended: Ended;
  let result: Result;
  beforeAll(async () => {
    ended = await baseledger(SMALL);
    result = JSON.parse(ended.stdout);
  });

  test("ends well, and prints nothing but JSON", () => {
    expect(ended.stderr).toBe("");
    expect(ended.code).toBe(0);
    expect(result).toMatchObject({ sound: true, seed: 7, discrepancies: [], problems: [] });
  });

  test("has counts that add up", () => expectConsistent(result));

  test("has had each kind of fault", () => {
    const { total } = result;
    const counts = [total.sentTwice, total.duplicatesAbsorbed, total.lostAnswers, total.expired];
    for (const count of [
      ...counts,
      total.refused,
      total.refusedByLimit,
      total.cancelled,
      total.over,
      total.late,
    ]) {
      expect(count).toBeGreaterThan(0);
    }
    expect(total.calls).toBe(400 + result.runaway.calls);
    expect(total.expiredByJob).not.toBeNull();
  });

  test("stops the runaway agent by the limit of its run, and says so to a webhook", () => {
    const { alerts, counters, runaway } = result;
    expect(runaway).toMatchObject({ calls: 100, granted: 20 });
    expect(runaway.stopped).toBeGreaterThan(0);
    expect(BigInt(runaway.spent)).toBeLessThanOrEqual(BigInt(runaway.limit));
    const alert = { limitId: "run", values: ["night-job-run"], threshold: 95, isSigned: true };
    expect(alerts).toContainEqual({ ...alert, seconds: expect.any(Number) });
    expect(counters).toBeGreaterThan(3 * (2 + 8));
  });
});

test("a person sees a table, and no colours where they did not ask for any", async () => {
  const args = ["demo", "--calls", "60", "--customers", "2", "--seed", "3", "--speed", "1000"];
  const { code, stdout, stderr } = await baseledger(args, { NO_COLOR: "1" });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/customer-1 +customer-2 +total/);
  expect(stdout).toMatch(/duplicates absorbed/);
  expect(stdout).toMatch(/ counters of limits matches the journal/);
  expect(stdout).toMatch(/each of \d+ amounts is what an auditor computes from usage and rates/);
  expect(stdout).toMatch(/openai\/gpt-5 +search +\d+ +[\d,]+ +[\d,]+ +\$0\.\d{9}\n/);
  expect(stdout).toMatch(/spending by model and team adds up to all that was spent, \$0\.\d{9}/);
  expect(stdout).toMatch(/a runaway agent spent \$[\d.]+ in \d+ calls/);
  expect(stdout).toMatch(/Sound, in .* Again with --seed 3\.\n$/);
  expect(stdout).not.toContain("\x1b");
});

describe("on somebody else's server", () => {
  let database: TestDatabase;
  let sql: postgres.Sql;
  let there: readonly string[];
  beforeAll(async () => {
    database = await createDatabase();
    there = ["--url", database.url];
    sql = postgres(database.url, { max: 1, onnotice: () => undefined });
    // Not the list price: what counts there is what its operator has set.
    await setPrices(sql, { prices: [{ model: MODEL, rates: { input: 7, output: 3 * DOLLAR } }] });
  });
  afterAll(async () => {
    await sql.end();
    await database.drop();
  });

  test("two runs at once do not meet, and make no login", async () => {
    const runs = await Promise.all([1, 2].map(() => baseledger([...SMALL, ...there])));
    const results = runs.map(({ stdout }) => JSON.parse(stdout) as Result);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    results.forEach(expectConsistent);
    const wallets = results.flatMap(({ customers }) => customers.map((one) => one.walletId));
    expect(new Set(wallets).size).toBe(6);
    expect(await sql`select from pg_roles where rolname like 'baseledger_demo%'`).toHaveLength(0);
    expect(await sql`select from baseledger.prices where source is not null`).toHaveLength(0);
  });

  test("a model without a price is refused, before anything is done there", async () => {
    const before = await sql`select from baseledger.wallet_balances`;
    const { code, stderr } = await baseledger([...SMALL, "--model", "acme/none", ...there]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/acme\/none has no price.*--model.*baseledger prices import/);
    expect(await sql`select from baseledger.wallet_balances`).toHaveLength(before.length);
  });

  test("a trace may name models, and have other usage than tokens in and out", async () => {
    const rates = { cache_read: DOLLAR, requests: 10 ** 16, output_audio: 9 * DOLLAR };
    await setPrices(sql, { prices: [{ model: "acme/audio", rates }] });
    const dir = mkdtempSync(join(tmpdir(), "demo-"));
    const trace = join(dir, "trace.csv");
    const header = "TIMESTAMP,model,input,output,cache_read,output_audio,requests";
    const rows = ["00,,100,10,,,", "01,acme/audio,,,50,7,1"].map(
      (row) => `2026-01-01 00:00:${row}`,
    );
    writeFileSync(trace, [header, ...Array(20).fill(rows).flat()].join("\n"));
    const { code, stdout } = await baseledger([
      ...["demo", "--trace", trace, "--json", "--seed", "1"],
      ...["--credit", "200", ...there],
    ]);
    rmSync(dir, { recursive: true });
    const { sound, spending } = JSON.parse(stdout) as Result;
    expect({ code, sound }).toEqual({ code: 0, sound: true });
    expect(new Set(spending.map(({ model }) => model))).toEqual(new Set(["acme/audio", MODEL]));
  });

  test("nothing is done that --url has not asked for", async () => {
    const before = await sql`select from baseledger.wallet_balances`;
    const { code } = await baseledger([...SMALL, "--calls", "20"], { DATABASE_URL: database.url });
    expect(code).toBe(0);
    expect(await sql`select from baseledger.wallet_balances`).toHaveLength(before.length);
  });

  test("a ledger that books a settlement twice is reported: exit 1, and in words", async () => {
    const dir = mkdtempSync(join(tmpdir(), "demo-"));
    const trace = join(dir, "trace.csv");
    const row = "2024-01-01 00:00:00.000,100,10";
    writeFileSync(trace, `TIMESTAMP,ContextTokens,GeneratedTokens\r\n${`${row}\r\n`.repeat(30)}`);
    await sql`alter function baseledger.settle rename to honest_settle`;
    await sql.unsafe(`
      create function baseledger.settle(
        p_wallet_id text, p_reservation_id text, p_amount bigint, p_idempotency_key text,
        p_final boolean default true, p_metadata jsonb default '{}', p_usage jsonb default null
      ) returns baseledger.receipt language plpgsql security definer as $$
      declare v_receipt baseledger.receipt;
      begin
        v_receipt := baseledger.honest_settle(
          p_wallet_id, p_reservation_id, p_amount, p_idempotency_key, p_usage => p_usage
        );
        if not v_receipt.replayed then
          perform baseledger.charge(
            p_wallet_id, v_receipt.amount, p_idempotency_key || ' again', p_already_spent => true
          );
        end if;
        return v_receipt;
      end $$`);
    const args = ["demo", "--trace", trace, "--credit", "1", "--seed", "1"];
    const { code, stdout } = await baseledger([...args, ...there]);
    await sql`drop function baseledger.settle`;
    await sql`alter function baseledger.honest_settle rename to settle`;
    rmSync(dir, { recursive: true });
    expect(code).toBe(1);
    expect(stdout).toMatch(/customer-1: spent: the demo knows of \d+, the ledger says \d+/);
    expect(stdout).toMatch(/customer-1: event \d+ \(charged\): nobody has sent that/);
    expect(stdout).toMatch(/NOT SOUND/);
  });
});

describe("the check", () => {
  const customer = createCustomer("w", "w", NO_LIMITS);
  const sent = { ...customer.sent, granted: 1, settled: 1, credited: 100n, spent: 40n };
  const at = { occurredAt: new Date(0), expiresAt: null, idempotencyKey: null, actor: "x" };
  const rest = { ...at, metadata: {}, details: null };
  const line = (
    seq: bigint,
    event: StatementLine["event"],
    amount: bigint | null,
    [available, reserved, spent]: readonly [bigint, bigint, bigint],
  ): StatementLine => {
    const reservationId = event === "reserved" || event === "settled" ? "r" : null;
    return { ...rest, seq, event, amount, available, reserved, spent, reservationId };
  };
  const lines = [
    line(1n, "opened", null, [0n, 0n, 0n]),
    line(2n, "credited", 100n, [100n, 0n, 0n]),
    line(3n, "reserved", 60n, [40n, 60n, 0n]),
    line(4n, "settled", 40n, [60n, 0n, 40n]),
  ];
  const balance = { available: 60n, reserved: 0n, spent: 40n };
  const check = (found = balance, journal = lines, known = sent): readonly string[] =>
    auditCustomer({ ...customer, sent: known }, found, journal, [], undefined).problems;

  test("finds nothing where all is well", () => {
    expect(check()).toEqual([]);
  });

  test.each([
    ["spent", { ...balance, spent: 41n }, "w: spent: the demo knows of 40, the ledger says 41"],
    ["available", { ...balance, available: 61n }, "w: available: the demo knows of 60, .* 61"],
    ["reserved", { ...balance, reserved: 1n }, "w: reserved: the demo knows of 0, .* 1"],
  ])("finds a wrong balance: %s", (_what, found, problem) => {
    expect(check(found)).toEqual([expect.stringMatching(problem)]);
  });

  test("finds what was spent beyond credit and booked overage", () => {
    expect(check(balance, lines, { ...sent, credited: 30n })).toContainEqual(
      "w: spent 10 more than it had, of which 0 is booked overage",
    );
  });

  test.each<[keyof Counters, string]>([
    ["granted", "granted: the demo knows of 2"],
    ["settled", "settled: the demo knows of 2"],
    ["cancelled", "cancelled: the demo knows of 1"],
    ["expired", "expired: the demo knows of 1"],
    ["over", "over: the demo knows of 1"],
    ["late", "late: the demo knows of 1"],
  ])("finds a count that the journal does not have: %s", (name, problem) => {
    const known = { ...sent, [name]: (sent[name] as number) + 1 };
    expect(check(balance, lines, known).join("\n")).toContain(problem);
  });

  const tampered: [string, StatementLine[], RegExp][] = [
    ["a gap", lines.filter(({ seq }) => seq !== 2n), /event 3 .* stands where 2 belongs/],
    [
      "a wrong amount",
      [...lines.slice(0, 3), { ...lines[3], amount: 41n } as StatementLine],
      /replay/,
    ],
    [
      "a grant beyond the funds",
      [...lines.slice(0, 2), line(3n, "reserved", 101n, [-1n, 101n, 0n])],
      /granted beyond the funds, -1 left/,
    ],
    [
      "an event that nobody sent",
      [...lines, line(5n, "charged", 10n, [50n, 0n, 50n])],
      /event 5 \(charged\): nobody has sent that/,
    ],
  ];
  test.each(tampered)("finds %s in a journal", (_what, journal, problem) => {
    expect(check(balance, journal).join("\n")).toMatch(problem);
  });
});

describe("the plan", () => {
  const trace = [...generateTrace(createRandom(1), 20_000)];
  const options = { model: MODEL, customers: 5, speed: 100 };
  const plan = planCalls(trace, options, createRandom(1));
  let database: TestDatabase;
  let calls: ForecastCall[];
  beforeAll(async () => {
    database = await createDatabase();
    const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
    const rates = { input: 1.25 * DOLLAR, output: 10 * DOLLAR };
    await setPrices(sql, { prices: [{ model: MODEL, rates }] });
    calls = await forecast(sql, plan);
    await sql.end();
  });
  afterAll(() => database.drop());
  const share = (is: (call: PlannedCall) => unknown): number =>
    plan.filter(is).length / plan.length;

  test("is the same for the same seed", () => {
    expect(planCalls(trace, options, createRandom(1))).toEqual(plan);
    expect(planCalls(trace, options, createRandom(2))).not.toEqual(plan);
  });

  test("reserves the worst case, except for calls with an overage", () => {
    const longest = Math.max(...plan.map(({ uses }) => uses.output ?? 0));
    for (const { fate, reserves, uses } of plan) {
      const { input = 0, output = 0 } = uses;
      const less = { input: Math.floor(input * 0.6), output: Math.floor(output * 0.6) };
      const expected = fate === "over" ? less : { input, output: longest };
      expect(reserves).toEqual({ model: MODEL, ...expected });
    }
  });

  test("is forecast by the catalogue", () => {
    for (const { cost, fate, hold, uses } of calls) {
      expect(cost).toBe(BigInt((uses.input ?? 0) * 1_250 + (uses.output ?? 0) * 10_000));
      expect(hold >= cost).toBe(fate !== "over");
    }
  });

  test("has each fault about as often as it should", () => {
    expect(share(({ fate }) => fate === "over")).toBeCloseTo(0.03, 2);
    expect(share(({ fate }) => fate === "late")).toBeCloseTo(0.02, 2);
    expect(share(({ fate }) => fate === "dies")).toBeCloseTo(0.02, 2);
    expect(share(({ fate }) => fate === "cancels")).toBeCloseTo(0.03, 2);
    expect(share((call) => call.losesReserve)).toBeCloseTo(0.04, 2);
    expect(share((call) => call.losesEnd?.how === "cut")).toBeCloseTo(0.02, 2);
  });

  test("has limits that stop some users, and no ordinary run", () => {
    const own = calls.filter(({ customer }) => customer === 0);
    const costs = own.reduce((sum, { cost }) => sum + cost, 0n);
    const { run, team, user } = limitsOf(own, costs, 1n);
    const used = (by: "run" | "user") => {
      const sums = Map.groupBy(own, ({ labels }) => labels[by]).values();
      return [...sums].map((of) => of.reduce((sum, { hold }) => sum + hold, 0n));
    };
    expect(used("run").every((hold) => hold <= run.amount)).toBe(true);
    expect(used("user").some((hold) => hold > user.amount)).toBe(true);
    expect(team.amount).toBeLessThan(costs);
  });

  test("has a job that may repeat a call for a small part of the credit", () => {
    const job = (credit: bigint) => unattendedCall(calls, credit);
    const dear = job(10_000_000_000n);
    expect(dear.cost * 400n).toBeLessThanOrEqual(10_000_000_000n);
    expect(calls.filter(({ cost }) => cost > dear.cost && cost * 400n <= 10_000_000_000n)).toEqual(
      [],
    );
    expect(unattendedBudget(dear)).toBe(dear.cost * 20n);
    const cheapest = calls.map(({ cost }) => cost).reduce((a, b) => (a < b ? a : b));
    expect(job(1n).cost).toBe(cheapest);
    expect(unattendedBudget({ cost: 0n })).toBe(1n);
  });

  test("gives each customer a different part of what its calls cost", () => {
    const credits = creditOf({ percent: 70 }, calls, 5);
    const parts = credits.map((credit, customer) => {
      const costs = calls.filter((call) => call.customer === customer).map(({ cost }) => cost);
      return Number(credit) / Number(costs.reduce((sum, cost) => sum + cost, 0n));
    });
    for (const [index, part] of [0.42, 0.56, 0.7, 0.84, 0.98].entries()) {
      expect(parts[index]).toBeCloseTo(part, 2);
    }
    expect(creditOf({ each: 7n }, calls, 2)).toEqual([7n, 7n]);
  });
});

describe("the second computation of costs", () => {
  const at = new Date("2026-06-01T00:00:00Z");
  const past = "2026-01-01T00:00:00Z";
  const PRICES = [
    { model: "acme/large", rates: { input: 1_250_000_001, output: 7, requests: 10 ** 15 } },
    { model: "acme/large", above: 1000, rates: { input: 3, output: 11 } },
    { model: "acme/large", above: 5000, rates: { input: 5, output: 13 } },
    { model: "acme/large", variant: "batch", rates: { input: 999_999, output: 1 } },
    { model: "acme/small", rates: { input: 17, cache_read: 2, output: 0 } },
    { model: "acme/small", rates: { input: 19, cache_read: 3, output: 1 }, valid_from: past },
    { model: "acme/small", rates: { input: 99 }, valid_from: "2040-01-01T00:00:00Z" },
    { model: "acme/latest", alias_of: "acme/large" },
    { model: "acme/latest", alias_of: "acme/small", valid_from: past },
  ].map((price) => ({ valid_from: "-infinity", ...price }));

  test("is what quotes says, whatever tier, time, variant and alias count", async () => {
    await using database = await createDatabase();
    const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
    await setPrices(sql, { prices: PRICES });
    const pricer = createPricer(await listPrices(sql, { history: true }));
    const random = createRandom(1);
    const usage = (): Usage => {
      const counts = { input: random.integer(0, 6_000), output: random.integer(0, 10 ** 9) };
      const name = random.weighted([1, 1, 1, 1]);
      if (name === 0) return { model: "acme/large", ...counts, requests: random.integer(0, 9) };
      if (name === 1) return { model: "acme/large", variant: "batch", ...counts };
      if (name === 2) return { model: "acme/latest", ...counts };
      return { model: "acme/small", ...counts, cache_read: random.integer(0, 10 ** 6) };
    };
    const usages = Array.from({ length: 2_000 }, usage).filter(({ input = 0, requests }) => {
      return requests === undefined || input <= 1000;
    });
    usages.push(...[1000, 1001, 5000, 5001].map((input) => ({ model: "acme/latest", input })));
    const counted = new Set<bigint>();
    for (const then of [at, new Date("2025-12-31T00:00:00Z")]) {
      const quoted = await quotes(sql, { usages, at: then });
      expect(usages.map((one) => pricer(one, then))).toEqual(quoted.map(({ amount }) => amount));
      for (const { priceId } of quoted) counted.add(priceId);
    }
    expect(counted.size).toBe(6);
    expect(pricer({ model: "acme/none", input: 1 }, at)).toBeUndefined();
    expect(pricer({ model: "acme/large", variant: "flex", input: 1 }, at)).toBeUndefined();
    expect(pricer({ model: "acme/large", images: 1 }, at)).toBeUndefined();
    await sql.end();
  });

  const line = (seq: bigint, event: StatementLine["event"], amount: bigint, time = at) =>
    ({ seq, event, amount, reservationId: "r", occurredAt: time }) as StatementLine;
  const sent = new Map([["r", { reserves: { input: 10 }, uses: { input: 7 } }]]);
  /** A nano-dollar a token, and from the opening on two. */
  const pricer = ({ input = 0 }: Usage, time: Date) => BigInt(time > at ? 2 * input : input);

  test("has the price of the opening, for the settlement, too", () => {
    const later = new Date(at.getTime() + 1);
    const lines = [
      line(1n, "reserved", 10n),
      line(2n, "expired", 10n),
      line(3n, "settled", 7n, later),
    ];
    expect(auditCosts(lines, sent, pricer)).toEqual({ compared: 2, flaws: [] });
  });

  test("finds a wrong amount, and usage without a price", () => {
    const lines = [line(1n, "reserved", 10n), line(2n, "settled", 8n)];
    expect(auditCosts(lines, sent, pricer).flaws).toEqual([
      "event 2 (settled): its amount is 8, the auditor computes 7 from usage and rates",
    ]);
    expect(auditCosts(lines, sent, () => undefined).flaws).toHaveLength(2);
  });

  test("finds spending that is not what was spent", () => {
    const spent = { model: MODEL, team: "a", calls: 1n, tokensIn: 2n, tokensOut: 3n, amount: 4n };
    expect(auditSpending([spent, spent], 8n)).toEqual([]);
    expect(auditSpending([spent], 8n)).toEqual([
      "spending adds up to 4, but the wallet has spent 8",
    ]);
    expect(sumSpending([spent, { ...spent, team: "b" }, spent])).toEqual([
      { ...spent, calls: 2n, tokensIn: 4n, tokensOut: 6n, amount: 8n },
      { ...spent, team: "b" },
    ]);
  });
});

describe("the check of limits", () => {
  const limit = { limitId: "user-day", by: "user", per: "day", amount: 100n } as const;
  const limits = { team: limit, user: limit, run: limit };
  const midnight = new Date("2026-03-02T00:00:00Z");
  const [before, after] = [-1, 1].map((s) => new Date(midnight.getTime() + s * 1000));
  let seq = 0n;
  const line = (event: StatementLine["event"], id: string, amount: bigint, at = after) => ({
    ...{ seq: ++seq, event, amount, reservationId: id, occurredAt: at as Date },
    ...{ available: 0n, reserved: 0n, spent: 0n, expiresAt: null, idempotencyKey: null },
    ...{ metadata: { user: "ann" }, details: null, actor: "x" },
  });
  const use = (used: bigint, held: bigint, user = "ann"): LimitUse =>
    ({
      limitId: "user-day",
      labelValues: [user],
      used,
      held,
      startsAt: midnight,
      endsAt: null,
    }) as unknown as LimitUse;
  const check = (lines: StatementLine[], ...uses: LimitUse[]) => [
    ...new Set(auditLimits(limits, lines, uses)),
  ];

  test("counts what is spent in the window, and what is held, whenever it was opened", () => {
    const lines = [
      line("reserved", "old", 90n, before),
      line("settled", "old", 60n, before),
      line("reserved", "over midnight", 40n, before),
      line("settled", "over midnight", 30n),
      line("reserved", "cancelled", 50n),
      line("cancelled", "cancelled", 50n),
      line("reserved", "late", 5n),
      line("expired", "late", 5n),
      line("settled", "late", 7n),
      line("reserved", "open", 20n),
    ];
    expect(check(lines, use(57n, 20n), use(0n, 0n, "bob"))).toEqual([]);
    const found = "user-day (ann): the journal says 37 spent and 20 held, the ledger 38 and 20";
    expect(check(lines, use(58n, 20n))).toEqual([found]);
    expect(check(lines, use(57n, 19n))).toHaveLength(1);
    expect(check(lines).join()).toContain("the ledger 0 and 0");
    expect(check(lines, use(57n, 20n), use(1n, 0n, "bob"))).toHaveLength(1);
  });

  test("finds what was granted beyond a limit", () => {
    const lines = [line("reserved", "a", 60n), line("reserved", "b", 41n)];
    expect(check(lines, use(101n, 101n))).toEqual([
      expect.stringMatching(/^event \d+ \(reserved\): user-day \(ann\) is 101, beyond 100$/),
    ]);
  });
});

test("the audit distinguishes what the expiry job swept from what others found due", () => {
  const base: Omit<StatementLine, "seq" | "event" | "amount" | "actor"> = {
    occurredAt: new Date(0),
    reservationId: "r",
    available: 0n,
    reserved: 0n,
    spent: 0n,
    expiresAt: null,
    idempotencyKey: null,
    metadata: {},
    details: null,
  };
  const lines: StatementLine[] = [
    { ...base, seq: 1n, event: "expired", amount: 1n, actor: "job" },
    { ...base, seq: 2n, event: "expired", amount: 1n, actor: "agent" },
  ];
  const count = (login: string | undefined): Pick<Counters, "expired" | "expiredByJob"> => {
    const nothing = { available: 0n, reserved: 0n, spent: 0n };
    const { result } = auditCustomer(
      createCustomer("w", "w", NO_LIMITS),
      nothing,
      lines,
      [],
      login,
    );
    return { expired: result.expired, expiredByJob: result.expiredByJob };
  };
  expect(count("job")).toEqual({ expired: 2, expiredByJob: 1 });
  expect(count(undefined)).toEqual({ expired: 2, expiredByJob: null });
});
