import type { StatementLine } from "../generated/index.ts";
import type { Denomination } from "./amounts.ts";

/** An event in an account: what came into the wallet or went out of it, and the balance after. */
export interface Entry {
  readonly line: StatementLine;
  readonly in: bigint;
  readonly out: bigint;
  /** available and reserved together */
  readonly balance: bigint;
}

/** The account of a wallet over a period: its events in order, with a running balance. */
export interface Account extends Denomination {
  readonly walletId: string;
  /** The events, page by page: there may be millions. */
  readonly pages: AsyncIterable<readonly Entry[]>;
  /** The totals of the pages read so far. */
  readonly sum: () => Sum;
}

/** The totals of an account: opening and closing balance, and what moved between them. */
export interface Sum {
  readonly opening: bigint;
  readonly in: bigint;
  readonly out: bigint;
  readonly closing: bigint;
}

const NOTHING: Sum = { opening: 0n, in: 0n, out: 0n, closing: 0n };

/**
 * Makes the account of a wallet from its events, which must have no gap between them.
 *
 * A reservation moves nothing in or out: it only earmarks a part of the balance. So each event
 * alone says what it moved, and the first one gives the opening balance.
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

/** The reason on record for an event, if one was given. */
export function reasonOf({ details }: Pick<StatementLine, "details">): string | undefined {
  const { reason } = (details ?? {}) as { readonly reason?: unknown };
  return typeof reason === "string" ? reason : undefined;
}
