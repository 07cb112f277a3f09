import {
  type Column,
  joined,
  renderTable,
  type SafeText,
  terminalText,
  trusted,
} from "../terminal/index.ts";
import { formatDollars } from "../trace/index.ts";
import type { CustomerOutcome, DemoResult, Outcome } from "./result.ts";

/** Shows null for what a run does not know. */
type Measure = readonly [label: string, show: (outcome: Outcome) => string | null];

const MEASURES: readonly Measure[] = [
  ["calls", (o) => count(o.calls)],
  ["  granted", (o) => count(o.granted)],
  ["  refused", (o) => count(o.refused)],
  ["sent twice at once", (o) => count(o.sentTwice)],
  ["  duplicates absorbed", (o) => count(o.duplicatesAbsorbed)],
  ["  refused both times", (o) => count(o.duplicatesRefused)],
  ["lost answers, retried", (o) => count(o.lostAnswers)],
  ["  found done already", (o) => count(o.lostButDone)],
  ["cancelled", (o) => count(o.cancelled)],
  ["expired and refunded", (o) => count(o.expired)],
  ["  by the expiry job", (o) => (o.expiredByJob === null ? null : count(o.expiredByJob))],
  ["settled over", (o) => count(o.over)],
  ["settled late", (o) => count(o.late)],
  ["credit", (o) => formatDollars(o.credited)],
  ["spent", (o) => formatDollars(o.spent)],
  ["  beyond reservations", (o) => formatDollars(o.overage)],
  ["still reserved", (o) => formatDollars(o.reserved)],
  ["available", (o) => formatDollars(o.available)],
];

/**
 * The table at the end of a run: a column for each customer, and the total. Where that is wider
 * than `width`, a row for each customer, and the total in a table of its own.
 */
export function renderResult({ customers, total }: DemoResult, width: number): SafeText {
  const all = renderMeasures(customers, total);
  return widthOf(all) <= width
    ? all
    : joined([renderCustomers(customers), renderMeasures([], total)]);
}

function widthOf(table: SafeText): number {
  return Math.max(
    ...terminalText(table)
      .split("\n")
      .map((line) => line.length),
  );
}

function renderMeasures(shown: readonly CustomerOutcome[], total: Outcome): SafeText {
  const columns: Column[] = [
    { name: "measure", title: trusted(" "), alignment: "left" },
    ...shown.map(({ name }) => ({ name, alignment: "right" as const })),
    { name: "total", alignment: "right" },
  ];
  const rows = MEASURES.filter(([, show]) => show(total) !== null).map(([measure, show]) => ({
    // Indented, where it is a part of the one above.
    measure: trusted(measure),
    ...Object.fromEntries(shown.map((customer) => [customer.name, show(customer) ?? ""])),
    total: show(total) ?? "",
  }));
  return renderTable(columns, rows);
}

function renderCustomers(customers: readonly CustomerOutcome[]): SafeText {
  const columns = ["customer", "granted", "refused", "credit", "spent", "available"];
  return renderTable(
    columns.map((name) => ({ name, alignment: name === "customer" ? "left" : "right" })),
    customers.map((customer) => ({
      customer: customer.name,
      granted: count(customer.granted),
      refused: count(customer.refused),
      credit: formatDollars(customer.credited),
      spent: formatDollars(customer.spent),
      available: formatDollars(customer.available),
    })),
  );
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
