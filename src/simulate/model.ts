import { type Accounts, addMoves, type JournalEvent, movesOf, NO_MONEY } from "../trace/index.ts";

/** Funds of one wallet, in its smallest step. */
export type Funds = Omit<Accounts, "funding">;

/** How a settlement went. */
export interface Settlement {
  /** The deadline had passed: nothing was held any more, and all of it came out of available. */
  readonly late: boolean;
  /** What was settled above the hold; 0 if it is late. */
  readonly overage: bigint;
}

/**
 * A wallet without database, journal and clock: the rules of `db/functions/execute/_execute.sql`
 * for reserve, settle and the deadline. A test compares the two.
 */
export interface Model {
  funds(): Funds;
  /** Open reservations. */
  readonly open: number;
  /** False when refused: less is available than asked for. */
  reserve(id: number, amount: bigint): boolean;
  /** The deadline of a reservation passes. Returns what is released; null if it has ended before. */
  expire(id: number): bigint | null;
  /** Books what was spent, whatever that takes; null of a reservation that was never granted. */
  settle(id: number, amount: bigint): Settlement | null;
}

/** A wallet with a credit. */
export function createModel(credit: bigint): Model {
  let accounts = NO_MONEY;
  const holds = new Map<number, bigint>();
  const expired = new Set<number>();

  function book(event: JournalEvent["event"], amount: bigint, held = 0n): void {
    accounts = addMoves(accounts, movesOf({ event, amount }, held));
  }

  book("credited", credit);
  return {
    funds: () => {
      const { funding: _, ...funds } = accounts;
      return funds;
    },
    get open() {
      return holds.size;
    },
    reserve(id, amount) {
      if (accounts.available < amount) return false;
      book("reserved", amount);
      holds.set(id, amount);
      return true;
    },
    expire(id) {
      const hold = holds.get(id);
      if (hold === undefined) return null;
      book("expired", hold, hold);
      holds.delete(id);
      expired.add(id);
      return hold;
    },
    settle(id, amount) {
      const hold = holds.get(id);
      const late = expired.delete(id);
      if (hold === undefined && !late) return null;
      book("settled", amount, hold);
      holds.delete(id);
      return { late, overage: hold !== undefined && amount > hold ? amount - hold : 0n };
    },
  };
}
