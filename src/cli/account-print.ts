import { formatAmount } from "../amounts/index.ts";
import type { Account, Entry, Sum } from "./account.ts";
import { decimalsFor, printAll } from "./output.ts";
import { reasonOf } from "./reason.ts";
import { type Shown, terminalText, text } from "./shown.ts";
import { type Column, pagedTable, type Row } from "./table.ts";
import { shortened } from "./width.ts";

const NUMBERS = ["no.", "amount", "in", "out", "balance", "held", "available"];
const NAMES = ["no.", "time", "event", "reference", "amount", "in", "out", "balance"];
const COLUMNS: readonly Column[] = [...NAMES, "held", "available"].map((name) => ({
  name,
  alignment: NUMBERS.includes(name) ? "right" : "left",
}));
/** Longer names are cut off in the table: a line that wraps could show what is not there. */
const MOST_REFERENCE = 40;

/** Prints an account for a person. */
export async function printAccount(account: Account): Promise<void> {
  await printAll(linesOf(account));
}

async function* linesOf(account: Account): AsyncGenerator<string> {
  for await (const part of partsOf(account)) yield `${terminalText(part)}\n`;
}

async function* partsOf(account: Account): AsyncGenerator<Shown> {
  const { unit, walletId } = account;
  const table = pagedTable(COLUMNS);
  // As many as the amounts need that have been seen: a later page may add to them.
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
    time: line.occurredAt.toISOString().replace("T", " ").slice(0, 19),
    event: line.event,
    reference: shortened(
      line.reservationId ?? reasonOf(line) ?? line.idempotencyKey ?? "",
      MOST_REFERENCE,
    ),
    // What was held or released, which moves nothing in or out.
    amount: entry.in === 0n && entry.out === 0n ? unlessZero(line.amount ?? 0n) : "",
    in: unlessZero(entry.in),
    out: unlessZero(entry.out),
    balance: show(entry.balance),
    held: unlessZero(line.reserved),
    available: show(line.available),
  };
}
