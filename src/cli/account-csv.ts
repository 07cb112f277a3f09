import { Readable } from "node:stream";
import { stringify } from "csv-stringify";
import { formatAmount } from "../amounts/index.ts";
import { type Json, stringifyJson } from "../wire/json.ts";
import type { Account, Entry } from "./account.ts";
import { csvText } from "./csv.ts";
import { printAll } from "./output.ts";
import { reasonOf } from "./reason.ts";
import { printableJson } from "./shown.ts";

/** Prints an account as CSV: the opening balance, the events, the closing balance. */
export async function printCsv(account: Account): Promise<void> {
  // As the source of a pipe it is pulled from, so that it holds no more than the reader takes.
  await printAll(Readable.from(rowsOf(account)).compose(stringify()));
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
