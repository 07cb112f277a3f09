// `spending`, as people and programs with the logins of the roles use it.
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  charge,
  credit,
  openWallet,
  refund,
  reserve,
  setPrice,
  settle,
  spending,
} from "../../src/generated/index.ts";
import { createLedger, post, type TestLedger } from "../support/ledger.ts";
import { createRoles, type Roles } from "./roles.ts";

let ledger: TestLedger;
let { as, json } = {} as Roles;

const NASTY = "=x\u001b[2K\n 9\u202e.";

// A token of input costs 1,000 nano-dollars, and one of output 8,000; of the large model 10 times as
// much. A search costs a cent.
beforeAll(async () => {
  ledger = await createLedger();
  ({ as, json } = createRoles(ledger));
  const rates = { input: 1_000_000_000, output: 8_000_000_000 };
  const searches = { web_searches: 10_000_000_000_000 };
  const validFrom = "-infinity";
  await setPrice(ledger.operator, { model: "acme/small", rates, validFrom });
  await setPrice(ledger.operator, {
    ...{ model: "acme/large", validFrom },
    rates: { input: 10_000_000_000, output: 80_000_000_000, ...searches },
  });
  await setPrice(ledger.operator, {
    ...{ model: "acme/best", rates: null, aliasOf: "acme/large", validFrom },
  });
  await prepareTeam();
  await prepareDays();
});

afterAll(() => ledger[Symbol.asyncDispose]());

async function open(walletId: string): Promise<string> {
  await openWallet(ledger.operator, { walletId });
  const funds = { walletId, amount: 1_000_000_000_000n, idempotencyKey: "funds" };
  await credit(ledger.operator, funds);
  return walletId;
}

/** Calls of three users, of whom one is nobody, by usage and by amount. */
async function prepareTeam(): Promise<void> {
  const walletId = await open("team");
  const { agent, operator } = ledger;
  const spend = (idempotencyKey: string, user: string, usage: Record<string, string | number>) =>
    charge(agent, { walletId, idempotencyKey, metadata: { user }, usage });
  await spend("c1", "ann", { model: "acme/small", input: 1_000, output: 500 });
  await spend("c2", "ann", { model: "acme/best", input: 100, output: 50, web_searches: 2 });
  await spend("c3", "bob", { model: "acme/small", input: 2_000_000 });
  const usage = { model: "acme/small", output: 1_000 };
  await reserve(agent, { walletId, usage, idempotencyKey: "r", metadata: { user: "bob" } });
  const half = { walletId, reservationId: "r", usage: { output: 500 }, idempotencyKey: "s" };
  await settle(agent, half);
  await charge(agent, { walletId, amount: 70_000_000n, idempotencyKey: "c4" });
  const back = { walletId, reservationId: "c4", amount: 20_000_000n, idempotencyKey: "f" };
  await refund(operator, back);
}

/** Charges at four times of October 2025, around the hour that comes twice in Berlin. */
async function prepareDays(): Promise<void> {
  const walletId = await open("days");
  const times = ["10-24T21:30Z", "10-24T22:30Z", "10-26T00:30Z", "10-26T01:30Z"].map(
    (time) => new Date(`2025-${time}`),
  );
  for (const [i, time] of times.entries()) {
    const before = times[i - 1];
    if (before) await travelBack(walletId, (time.getTime() - before.getTime()) / 1000);
    const amount = BigInt(i + 1) * 1_000_000_000n;
    await charge(ledger.agent, { walletId, amount, idempotencyKey: `c${i}` });
  }
  const [row] = await ledger.admin<{ seconds: string }[]>`
    select extract(epoch from tap.last_event_at(${walletId}) - ${times.at(-1)?.toISOString() ?? ""}
      ::text::timestamptz)::text as seconds`;
  await travelBack(walletId, Number(row?.seconds));
}

async function travelBack(walletId: string, seconds: number): Promise<void> {
  await ledger.admin`select tap.travel_back(${walletId}, make_interval(secs => ${seconds}))`;
}

const ask = (...words: string[]) => as("auditor", "spending", ...words);

async function printed(...words: string[]): Promise<string[]> {
  const { code, stderr, stdout } = await ask(...words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.split("\n").slice(0, -1);
}

async function csv(...words: string[]): Promise<Record<string, string>[]> {
  return parse((await printed(...words, "--csv")).join("\n"), { columns: true });
}

describe("for a person", () => {
  test("in all: calls, usage by kind, and what the wallet has spent", async () => {
    expect(await printed("team")).toEqual([
      "Spending of team in USD",
      expect.stringMatching(/^─+$/),
      " calls      input  output  web_searches  amount",
      expect.stringMatching(/^─+$/),
      "     5  2,001,100   1,050             2   2.084",
      expect.stringMatching(/^─+$/),
    ]);
    const { spent } = await json("auditor", "balance", "team");
    expect(spent).toBe("2084000000");
  });

  test("by labels, with their sums, and a model as the usage says", async () => {
    const lines = await printed("team", "--by", "user,model");
    expect(lines[0]).toBe("Spending of team in USD by user, model");
    expect(lines.slice(2)).toEqual([
      " user    model       calls      input  output  web_searches  amount",
      expect.stringMatching(/^─+$/),
      " (none)  (none)          1                                    0.050",
      " ann     acme/large      1        100      50             2   0.025",
      " ann     acme/small      1      1,000     500                 0.005",
      " bob     acme/small      2  2,000,000     500                 2.004",
      " total                   5  2,001,100   1,050             2   2.084",
      expect.stringMatching(/^─+$/),
    ]);
  });

  test("by windows in a zone", async () => {
    const days = await printed("days", "--per", "day", "--zone", "Europe/Berlin");
    expect(days[0]).toBe("Spending of days in USD each day, times in Europe/Berlin");
    expect(days.slice(4, -1)).toEqual([
      " 2025-10-24      1    1.00",
      " 2025-10-25      1    2.00",
      " 2025-10-26      2    7.00",
      " total           4   10.00",
    ]);
    const hours = await printed("days", "--per", "hour", "--zone", "Europe/Berlin");
    expect(hours.slice(6, 8)).toEqual([
      " 2025-10-26 02:00+02:00      1    3.00",
      " 2025-10-26 02:00+01:00      1    4.00",
    ]);
    const months = await printed("days", "--per", "month");
    expect(months[4]).toBe(" 2025-10      4   10.00");
  });

  test("within bounds; a date is midnight in the zone", async () => {
    const sum = async (...words: string[]) => (await printed("days", ...words))[4]?.trim();
    const berlin = ["--zone", "Europe/Berlin"];
    expect(await sum("--from", "2025-10-25", "--to", "2025-10-26")).toBe(undefined);
    expect(await sum("--from", "2025-10-25", "--to", "2025-10-26", ...berlin)).toBe("1    2.00");
    expect(await sum("--from", "2025-10-26T01:00Z")).toBe("1    4.00");
    expect(await sum("--to", "2025-10-24T22:00:00Z", ...berlin)).toBe("1    1.00");
  });

  test("nothing is said to be nothing", async () => {
    await openWallet(ledger.operator, { walletId: "empty" });
    expect(await printed("empty")).toEqual(["nothing was spent in this time"]);
    expect(await printed("empty", "--plot")).toEqual(["nothing was spent in this time"]);
    expect(await printed("empty", "--csv")).toEqual(["calls,amount,unit"]);
    expect(await printed("empty", "--json")).toEqual(["[]"]);
  });
});

describe("for a program", () => {
  test("CSV has a column for each label and each kind", async () => {
    expect(await printed("team", "--by", "user,model", "--csv")).toEqual([
      "user,model,calls,input,output,web_searches,amount,unit",
      ",,1,0,0,0,0.05,USD",
      "ann,acme/large,1,100,50,2,0.025,USD",
      "ann,acme/small,1,1000,500,0,0.005,USD",
      "bob,acme/small,2,2000000,500,0,2.004,USD",
    ]);
    const days = await csv("days", "--per", "day", "--zone", "Europe/Berlin");
    expect(days.map((day) => day.starts_at)).toEqual([
      "2025-10-24T00:00:00+02:00",
      "2025-10-25T00:00:00+02:00",
      "2025-10-26T00:00:00+02:00",
    ]);
  });

  test("a label with the name of another column has a column of its own", async () => {
    expect((await printed("team", "--by", "calls,input", "--csv"))[0]).toBe(
      "label calls,label input,calls,input,output,web_searches,amount,unit",
    );
    expect((await printed("team", "--by", "calls,input"))[4]).toBe(
      " (none)  (none)      5  2,001,100   1,050             2   2.084",
    );
  });

  test("JSON has what the ledger says", async () => {
    const lines = await json("auditor", "spending", "team", "--by", "user", "--per", "month");
    const wanted = await spending(ledger.auditor, {
      ...{ walletId: "team", by: ["user"], per: "month" },
    });
    expect(lines).toEqual(
      JSON.parse(
        JSON.stringify(wanted, (_, value) => (typeof value === "bigint" ? String(value) : value)),
      ),
    );
    expect(lines[1]).toMatchObject({ labelValues: ["ann"], calls: "2", amount: "30000000" });
  });

  test("more lines than a page are all there, and add up", async () => {
    const walletId = await open("crowd");
    const users = Array.from({ length: 1_201 }, (_, i) => `user ${String(i).padStart(4, "0")}`);
    await post(
      ledger.agent,
      walletId,
      users.map((user, i) => ({
        ...{ op: "charge", amount: BigInt(i + 1), idempotency_key: user, metadata: { user } },
      })),
    );
    const rows = await csv(walletId, "--by", "user");
    expect(rows.map(({ user }) => user)).toEqual(users);
    expect(rows.at(-1)?.amount).toBe("0.000001201");
    const table = await printed(walletId, "--by", "user");
    expect(table).toHaveLength(1 + 3 + users.length + 1 + 1);
    expect(table.at(-2)).toBe(" total      1,201  0.000721801");
    expect(await json("auditor", "spending", walletId, "--by", "user")).toHaveLength(1_201);
    const plot = await printed(walletId, "--by", "user", "--plot");
    expect(plot.at(-1)).toMatch(/user=user 1200 0\.000001201 .* d others 0\.000718201$/);
  });
});

describe("--plot", () => {
  test("draws a line for each of the labels that spent most", async () => {
    const lines = await printed("team", "--by", "user", "--plot");
    expect(lines[0]).toBe("Spending of team in USD by user each day, times in UTC");
    expect(lines.at(-1)).toBe("a user=bob 2.004   b no user 0.05   c user=ann 0.03");
    expect(lines.at(-3)?.trim()).toBe("USD each day");
    const marks = lines.map((line) => /^ *(\S+)┤/.exec(line)?.[1]).filter(Boolean);
    expect(marks).toEqual(["2.00", "1.60", "1.20", "0.80", "0.40", "0.00"]);
    const top = lines.find((line) => line.includes("2.00┤"));
    expect(top).toMatch(/┤a+$/);
  });

  test("has windows in which nothing happened at 0", async () => {
    const lines = await printed("days", "--per", "hour", "--plot", "--to", "2025-10-26T01:00Z");
    // 3 of 28 hours: the first two and the last.
    const zero = lines.find((line) => line.includes("0.00┤")) ?? "";
    const columns = zero.slice(zero.indexOf("┤") + 1);
    expect(columns).toMatch(/^ +a+$/);
    const width =
      Math.max(...lines.slice(3, -5).map((line) => line.length)) - zero.indexOf("┤") - 1;
    expect(columns.trim().length / width).toBeCloseTo(25 / 28, 1);
    expect(lines.at(-4)).toMatch(/10-24 21:00 .*10-25 /);
  });
});

describe("refuses", () => {
  test.each([
    [["team", "--per", "year"], /--per.*Allowed choices are hour, day, week, month/],
    [["team", "--from", "soon"], /--from.*is not a time like/],
    [["team", "--to", "2026-02-30"], /--to.*is not a time like/],
    [["team", "--by", "a,,b"], /not a list/],
    [["team", "--csv", "--json"], /cannot be used with/],
    [["team", "--plot", "--csv"], /cannot be used with/],
    [[], /spending: missing required argument/],
  ])("%j with exit code 2", async (words, message) => {
    const { code, stdout, stderr } = await ask(...words);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(words.includes("--json") ? "" : stdout).toBe("");
  });

  test.each([
    [["nowhere"], /\(LGWNF\)/],
    [["team", "--per", "day", "--zone", "Mars/Olympus"], /time_zone.*\(LGARG\)/],
    [["team", "--by", "a,b,c,d,e"], /by.*\(LGARG\)/],
    [["team", "--by", "a,a"], /by.*\(LGARG\)/],
  ])("%j with exit code 1", async (words, message) => {
    const { code, stdout, stderr } = await ask(...words);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });

  test("agents; operators may look", async () => {
    const agent = await as("agent", "spending", "team");
    expect(agent).toMatchObject({ code: 1, stdout: "" });
    expect(agent.stderr).toMatch(/permission denied/);
    const operator = await as("operator", "spending", "team");
    expect(operator).toMatchObject({ code: 0, stderr: "" });
  });
});

test("no text reaches the terminal or a spreadsheet as more than its characters", async () => {
  const walletId = await open(`evil ${NASTY}`);
  const opened = { walletId, idempotencyKey: "c", metadata: { [NASTY]: NASTY } };
  await charge(ledger.agent, { ...opened, amount: 5n });
  const shown = String.raw`=x\x1b[2K\n 9\u{202e}.`;
  for (const words of [[], ["--plot"], ["--csv"]]) {
    const lines = await printed(walletId, "--by", NASTY, ...words);
    expect(lines.join("")).toContain(shown);
    expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    if (words.includes("--csv")) expect(lines[1]).toBe(`'${shown},1,0.000000005,USD`);
  }
  const [line] = await json("auditor", "spending", walletId, "--by", NASTY);
  expect(line).toMatchObject({ labelValues: [NASTY], amount: "5" });
});
