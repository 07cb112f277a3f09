import type { StatementLine } from "../generated/index.ts";
import type { Denomination } from "./receipt.ts";

/** A line of an account: what came into the wallet, or went out of it, and what is there then. */
export interface Entry {
  readonly line: StatementLine;
  readonly in: bigint;
  readonly out: bigint;
  /** available and reserved together */
  readonly balance: bigint;
}

/** The account of a wallet over some time, as a bookkeeper keeps it: read from the top down. */
export interface Account extends Denomination {
  readonly walletId: string;
  /** The events, in their order, some at a time: there may be millions. */
  readonly pages: AsyncIterable<readonly Entry[]>;
  /** The totals of the pages that have been read. */
  readonly sum: () => Sum;
}

/** The balances at both ends of an account, and what moved in between. */
export interface Sum {
  readonly opening: bigint;
  readonly in: bigint;
  readonly out: bigint;
  readonly closing: bigint;
}

const NOTHING: Sum = { opening: 0n, in: 0n, out: 0n, closing: 0n };

/**
 * Keeps the account of a wallet's events, which follow each other without a gap.
 *
 * A reservation moves nothing in or out: it only earmarks a part of the balance. So what each
 * event moved is known from the event alone, and the opening balance from the first one.
 */
export function toAccount(
  walletId: string,
  { unit, scale }: Denomination,
  pages: AsyncIterable<readonly StatementLine[]>,
): Account {
  let sum: Sum | undefined;
  async function* entriesOf(): AsyncGenerator<readonly Entry[]> {
    for await (const lines of pages) {
      const entries = lines.map(toEntry);
      sum = entries.reduce<Sum | undefined>(add, sum);
      yield entries;
    }
  }
  return { walletId, unit, scale, pages: entriesOf(), sum: () => sum ?? NOTHING };
}

function add(sum: Sum | undefined, entry: Entry): Sum {
  const before = sum ?? { ...NOTHING, opening: entry.balance - entry.in + entry.out };
  return {
    opening: before.opening,
    in: before.in + entry.in,
    out: before.out + entry.out,
    closing: entry.balance,
  };
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
