import {
  type Column,
  formatNumber,
  joined,
  renderTable,
  type SafeText,
  styled,
  terminalText,
  text,
  trusted,
} from "../terminal/index.ts";
import { formatDollars } from "../trace/index.ts";
import type { CustomerResult } from "./audit.ts";
import { type Counters, formatCounter, labelOf, SHOWN } from "./counters.ts";
import type { DemoResult, RunOptions } from "./run.ts";

type Introduction = Pick<RunOptions, "trace" | "model" | "customers" | "agents" | "speed" | "seed">;

/** Describes in three lines what is going to happen. */
export function introduce(options: Introduction): SafeText {
  const { trace, customers, agents, speed, seed } = options;
  const minutes = ((trace.at(-1)?.at ?? 0) - (trace[0]?.at ?? 0)) / 60_000;
  const models = new Set(trace.map(({ usage }) => usage.model ?? options.model));
  const [first = ""] = models;
  const priced = models.size > 1 ? `${formatNumber(models.size)} models` : first;
  return joined([
    `${formatNumber(trace.length)} calls of ${priced}, ${minutes.toFixed(0)} minutes of ` +
      `traffic, ${formatNumber(speed)} times as fast.`,
    `${formatNumber(agents)} agents spend the credit of ${formatNumber(customers)} customers; ` +
      "teams, users and runs have limits.",
    `Agents send usage, and the ledger prices it. Seed ${seed}.`,
  ]);
}

const DEFAULT_WIDTH = 100;
// One error in the ledger shows at many places.
const MOST_TROUBLES = 20;

/** Reports how a run ended: the table, then what was proved, or what is wrong. */
export function report(result: DemoResult, seconds: number, out: NodeJS.WriteStream): SafeText {
  const mark = result.sound ? styled("green", "✓", out) : styled("red", "✗", out);
  const verdicts = result.sound ? proved(result) : troubles(result);
  return joined([
    "",
    renderResult(result, out.columns ?? DEFAULT_WIDTH),
    renderSpending(result.spending),
    "",
    ...verdicts.map((verdict) => text`${mark} ${verdict}`),
    "",
    `${result.sound ? "Sound" : "NOT SOUND"}, in ${seconds.toFixed(1)} s. ` +
      `Again with --seed ${result.seed}.`,
  ]);
}

/**
 * A column for each customer, and the total. Where that is wider than `width`, a row for each
 * customer, and the total in a table of its own.
 */
function renderResult({ customers, total }: DemoResult, width: number): SafeText {
  const table = renderCounters(customers, total);
  const widest = Math.max(
    ...terminalText(table)
      .split("\n")
      .map((line) => line.length),
  );
  return widest <= width ? table : joined([renderCustomers(customers), renderCounters([], total)]);
}

function renderCounters(customers: readonly CustomerResult[], total: Counters): SafeText {
  const columns: Column[] = [
    { name: "counter", title: trusted(" "), alignment: "left" },
    ...customers.map(({ name }) => ({ name, alignment: "right" as const })),
    { name: "total", alignment: "right" },
  ];
  const rows = SHOWN.filter((name) => total[name] !== null).map((name) => ({
    // Its indentation must stay.
    counter: trusted(labelOf(name)),
    ...Object.fromEntries(customers.map((one) => [one.name, formatCounter(name, one)])),
    total: formatCounter(name, total),
  }));
  return renderTable(columns, rows);
}

function renderCustomers(customers: readonly CustomerResult[]): SafeText {
  const counters = ["granted", "refused", "credited", "spent", "available"] as const;
  return renderTable(
    [
      { name: "customer", alignment: "left" },
      ...counters.map((name) => {
        return { name, title: labelOf(name).trim(), alignment: "right" as const };
      }),
    ],
    customers.map((one) => ({
      customer: one.name,
      ...Object.fromEntries(counters.map((name) => [name, formatCounter(name, one)])),
    })),
  );
}

/** What was spent by model and team, and the sum. */
function renderSpending(spending: DemoResult["spending"]): SafeText {
  const calls = spending.reduce((sum, line) => sum + line.calls, 0n);
  const amount = spending.reduce((sum, line) => sum + line.amount, 0n);
  const columns: Column[] = [
    { name: "model", alignment: "left" },
    { name: "team", alignment: "left" },
    ...["calls", "tokens in", "tokens out", "spent"].map((name) => {
      return { name, alignment: "right" as const };
    }),
  ];
  const rows = spending.map(({ model, team, ...line }) => ({
    model,
    team,
    calls: formatNumber(line.calls),
    "tokens in": formatNumber(line.tokensIn),
    "tokens out": formatNumber(line.tokensOut),
    spent: formatDollars(line.amount, 9),
  }));
  const sum = { model: "total", calls: formatNumber(calls), spent: formatDollars(amount, 9) };
  return renderTable(columns, [...rows, { team: "", "tokens in": "", "tokens out": "", ...sum }]);
}

function proved(result: DemoResult): string[] {
  const { alerts, amounts, counters, customers, runaway, total } = result;
  const overspent = customers.reduce((sum, { credited, spent }) => {
    return spent > credited ? sum + spent - credited : sum;
  }, 0n);
  return [
    `verify: ${formatNumber(total.events)} events, hash chain intact, no discrepancy`,
    `each of ${formatNumber(amounts)} amounts is what an auditor computes from usage and rates`,
    `spending by model and team adds up to all that was spent, ${formatDollars(total.spent, 9)}`,
    "every balance and every count is what the agents' own sums say",
    `no one overspent, but for ${formatDollars(overspent)} of the ` +
      `${formatDollars(total.overage)} booked as overage`,
    "nothing is left reserved",
    `each of ${formatNumber(counters)} counters of limits matches the journal`,
    ...describeRunaway(runaway, alerts),
  ];
}

function describeRunaway(
  { calls, granted, limit, name, spent, stopped }: DemoResult["runaway"],
  alerts: DemoResult["alerts"],
): string[] {
  const did = `${name}: a runaway agent spent ${formatDollars(spent)} in ${formatNumber(granted)} calls`;
  if (stopped === 0) return [`${did} of ${formatNumber(calls)}`];
  const [alert] = alerts;
  return [
    did,
    `the limit of its run, ${formatDollars(limit)}, stopped ${formatNumber(stopped)} more`,
    ...(alert
      ? [`an alert of that reached a webhook in ${alert.seconds.toFixed(1)} s, signed`]
      : []),
  ];
}

function troubles({ discrepancies, problems }: DemoResult): string[] {
  const found = discrepancies.map(
    ({ walletId, seq, check, expected, found: is }) =>
      `verify: ${walletId}${seq === null ? "" : `, event ${seq}`}: ${check}, ` +
      `expected ${expected}, found ${is}`,
  );
  const all = [...found, ...problems];
  const left = all.length - MOST_TROUBLES;
  return left > 0 ? [...all.slice(0, MOST_TROUBLES), `and ${formatNumber(left)} more`] : all;
}
