import type { StatementLine } from "../generated/baseledger.ts";
import type { Denomination } from "./receipt.ts";

/** A line of an account: what came into the wallet, or went out of it, and what is there then. */
export interface Entry {
  readonly line: StatementLine;
  readonly in: bigint;
  readonly out: bigint;
  /** available and reserved together */
  readonly balance: bigint;
}

/** The account of a wallet over some time, as a bookkeeper keeps it. */
export interface Account extends Denomination {
  readonly walletId: string;
  readonly opening: bigint;
  readonly entries: readonly Entry[];
  readonly in: bigint;
  readonly out: bigint;
  readonly closing: bigint;
}

/**
 * Keeps the account of a wallet's events, which follow each other without a gap.
 *
 * A reservation moves nothing in or out: it only earmarks a part of the balance. So what each
 * event moved is known from the event alone, and the opening balance from the first one.
 */
export function toAccount(
  walletId: string,
  { unit, scale }: Denomination,
  lines: readonly StatementLine[],
): Account {
  const entries = lines.map(toEntry);
  const sum = (side: "in" | "out"): bigint => entries.reduce((all, entry) => all + entry[side], 0n);
  const [first] = entries;
  const opening = first ? first.balance - first.in + first.out : 0n;
  const closing = entries.at(-1)?.balance ?? opening;
  return { walletId, unit, scale, opening, entries, in: sum("in"), out: sum("out"), closing };
}

function toEntry(line: StatementLine): Entry {
  const amount = line.amount ?? 0n;
  const balance = line.available + line.reserved;
  switch (line.event) {
    case "credited":
    case "transferred_in":
    case "refunded":
      return { line, in: amount, out: 0n, balance };
    case "withdrawn":
    case "transferred_out":
    case "settled":
    case "charged":
      return { line, in: 0n, out: amount, balance };
    default:
      return { line, in: 0n, out: 0n, balance };
  }
}
