import { pipeline } from "node:stream/promises";
import { stringify } from "csv-stringify";
import { formatAmount } from "../client/amounts.ts";
import type { StatementLine } from "../generated/baseledger.ts";
import type { Account, Entry } from "./account.ts";
import { decimalsFor, printLine, printTable } from "./output.ts";

const NUMBERS = ["no.", "amount", "in", "out", "balance", "held", "available"];

/** Prints an account for a person. */
export function printAccount(account: Account): void {
  const { entries, unit, walletId, opening, closing } = account;
  const decimals = decimalsFor(entries.flatMap(amountsOf), account.scale);
  const show = (amount: bigint): string =>
    formatAmount(amount, account.scale, { grouping: true, decimals });
  const blank = { "no.": "", time: "", event: "", reference: "", amount: "", in: "", out: "" };
  const tail = { held: "", available: "" };
  printLine(`Statement of account: ${walletId}, in ${unit}, times in UTC`);
  printTable(
    [
      { ...blank, event: "opening balance", balance: show(opening), ...tail },
      ...entries.map((entry) => toRow(entry, show)),
      {
        ...blank,
        event: "closing balance",
        in: show(account.in),
        out: show(account.out),
        balance: show(closing),
        ...tail,
      },
    ],
    NUMBERS,
  );
}

function amountsOf({ line, ...entry }: Entry): bigint[] {
  return [line.amount ?? 0n, line.available, line.reserved, entry.in, entry.out, entry.balance];
}

function toRow(entry: Entry, show: (amount: bigint) => string): Record<string, string> {
  const { line } = entry;
  const unlessZero = (amount: bigint): string => (amount === 0n ? "" : show(amount));
  return {
    "no.": line.seq.toString(),
    time: line.occurredAt.toISOString().replace("T", " ").slice(0, 19),
    event: line.event,
    reference: line.reservationId ?? reasonOf(line.details) ?? line.idempotencyKey ?? "",
    // What was held or released, which moves nothing in or out.
    amount: entry.in === 0n && entry.out === 0n ? unlessZero(line.amount ?? 0n) : "",
    in: unlessZero(entry.in),
    out: unlessZero(entry.out),
    balance: show(entry.balance),
    held: unlessZero(line.reserved),
    available: show(line.available),
  };
}

function reasonOf(details: StatementLine["details"]): string | undefined {
  const { reason } = (details ?? {}) as { readonly reason?: unknown };
  return typeof reason === "string" ? reason : undefined;
}

/** Writes an account as CSV: the opening balance, the events, the closing balance. */
export async function writeCsv(account: Account, out: NodeJS.WritableStream): Promise<void> {
  await pipeline(csvRows(account), stringify(), out, { end: false });
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
];

function* csvRows(account: Account): Generator<readonly string[]> {
  const { unit, entries, opening, closing } = account;
  const show = (amount: bigint): string => formatAmount(amount, account.scale);
  const balanceRow = (name: string, balance: bigint): string[] =>
    HEADER.map((column) => ({ event: name, balance: show(balance), unit })[column] ?? "");
  yield HEADER;
  yield balanceRow("opening balance", opening);
  for (const { line, in: credit, out: debit, balance } of entries) {
    yield [
      line.seq.toString(),
      line.occurredAt.toISOString(),
      line.event,
      asText(line.reservationId ?? ""),
      asText(line.idempotencyKey ?? ""),
      line.amount === null ? "" : show(line.amount),
      show(credit),
      show(debit),
      show(balance),
      show(line.reserved),
      show(line.available),
      unit,
      line.actor,
    ];
  }
  yield balanceRow("closing balance", closing);
}

// Agents choose these names, and a spreadsheet runs what begins like a formula.
function asText(name: string): string {
  return /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
}
