import { formatAmount } from "../amounts/index.ts";
import { type Json, stringifyJson } from "../json/index.ts";
import {
  columnsOf,
  csvText,
  formatTime,
  pagedTable,
  printableJson,
  printCsv,
  printLines,
  type Row,
  type SafeText,
  shortened,
  text,
} from "../terminal/index.ts";
import { type Account, type Entry, reasonOf, type Sum } from "./account.ts";
import { decimalsFor } from "./amounts.ts";

const NUMBERS = ["no.", "amount", "in", "out", "balance", "held", "available"];
const COLUMNS = columnsOf(
  ["no.", "time", "event", "reference", "amount", "in", "out", "balance", "held", "available"],
  NUMBERS,
);
const WIDEST_REFERENCE = 40;

/** Prints an account as a table for a person. */
export async function printAccount(account: Account): Promise<void> {
  await printLines(linesOf(account));
}

async function* linesOf(account: Account): AsyncGenerator<SafeText> {
  const { unit, walletId } = account;
  const table = pagedTable(COLUMNS);
  // A later page may need more than those before it.
  let decimals = 0;
  let begun = false;
  const show = (amount: bigint): string =>
    formatAmount(amount, account.scale, { grouping: true, decimals });
  for await (const entries of account.pages) {
    decimals = Math.max(decimals, decimalsFor(entries.flatMap(amountsOf), account.scale));
    const rows = entries.map((entry) => toRow(entry, show));
    if (!begun) {
      yield text`Statement of account: ${walletId}, in ${unit}, times in UTC`;
      rows.unshift({ event: "opening balance", balance: show(account.sum().opening) });
    }
    begun = true;
    yield table.page(rows);
  }
  if (begun) {
    yield table.page([closingRow(account.sum(), show)]);
    yield table.end();
  } else {
    yield text`no events in this time`;
  }
}

function closingRow(sum: Sum, show: (amount: bigint) => string): Row {
  const { closing, in: credited, out } = sum;
  return {
    event: "closing balance",
    in: show(credited),
    out: show(out),
    balance: show(closing),
  };
}

function amountsOf({ line, ...entry }: Entry): bigint[] {
  return [line.amount ?? 0n, line.available, line.reserved, entry.in, entry.out, entry.balance];
}

function toRow(entry: Entry, show: (amount: bigint) => string): Row {
  const { line } = entry;
  const unlessZero = (amount: bigint): string => (amount === 0n ? "" : show(amount));
  return {
    "no.": line.seq.toString(),
    time: formatTime(line.occurredAt),
    event: line.event,
    reference: shortened(
      line.reservationId ?? reasonOf(line) ?? line.idempotencyKey ?? "",
      WIDEST_REFERENCE,
    ),
    // Only what was held or released: other amounts stand under in or out.
    amount: entry.in === 0n && entry.out === 0n ? unlessZero(line.amount ?? 0n) : "",
    in: unlessZero(entry.in),
    out: unlessZero(entry.out),
    balance: show(entry.balance),
    held: unlessZero(line.reserved),
    available: show(line.available),
  };
}

/** Prints an account as CSV: the opening balance, the events, the closing balance. */
export async function printAccountAsCsv(account: Account): Promise<void> {
  await printCsv(rowsOf(account));
}

const HEADER = [
  "seq",
  "occurred_at",
  "event",
  "reservation_id",
  "idempotency_key",
  "amount",
  "in",
  "out",
  "balance",
  "reserved",
  "available",
  "unit",
  "actor",
  "spent",
  "expires_at",
  "reason",
  "metadata",
  "details",
];

async function* rowsOf(account: Account): AsyncGenerator<readonly string[]> {
  const unit = csvText(account.unit);
  const show = (amount: bigint): string => formatAmount(amount, account.scale);
  const balanceRow = (name: string, balance: bigint): string[] =>
    HEADER.map((column) => ({ event: name, balance: show(balance), unit })[column] ?? "");
  let begun = false;
  yield HEADER;
  for await (const entries of account.pages) {
    if (!begun) yield balanceRow("opening balance", account.sum().opening);
    begun = true;
    for (const entry of entries) yield eventRow(entry, unit, show);
  }
  if (!begun) yield balanceRow("opening balance", account.sum().opening);
  yield balanceRow("closing balance", account.sum().closing);
}

function eventRow(entry: Entry, unit: string, show: (amount: bigint) => string): string[] {
  const { line } = entry;
  return [
    line.seq.toString(),
    line.occurredAt.toISOString(),
    line.event,
    csvText(line.reservationId ?? ""),
    csvText(line.idempotencyKey ?? ""),
    line.amount === null ? "" : show(line.amount),
    show(entry.in),
    show(entry.out),
    show(entry.balance),
    show(line.reserved),
    show(line.available),
    unit,
    csvText(line.actor),
    show(line.spent),
    line.expiresAt?.toISOString() ?? "",
    csvText(reasonOf(line) ?? ""),
    asJson(line.metadata),
    asJson(line.details),
  ];
}

function asJson(value: Json): string {
  return value === null ? "" : printableJson(stringifyJson(value));
}
