/** Funds of one wallet, in its smallest step. */
export interface Funds {
  readonly available: bigint;
  readonly reserved: bigint;
  readonly spent: bigint;
}

/** How a settlement went. */
export interface Settlement {
  /** The deadline had passed: the hold was gone, and all of it came out of available. */
  readonly late: boolean;
  /** What was spent beyond the reservation, if it was still held. */
  readonly over: bigint;
}

/**
 * A wallet as the ledger keeps it, without database, journal and clock: the rules of
 * `db/functions/_execute.sql` for reserve, settle and the deadline, and nothing else. A test compares
 * the two.
 */
export interface Model {
  funds(): Funds;
  /** Open reservations. */
  readonly open: number;
  /** False when refused: less is available than asked for. */
  reserve(id: number, amount: bigint): boolean;
  /** The deadline of a reservation passes. What is released; null when it has ended before. */
  expire(id: number): bigint | null;
  /** Books what was spent, whatever that takes; null of a reservation that was never granted. */
  settle(id: number, amount: bigint): Settlement | null;
}

/** A wallet with a credit. */
export function createModel(credit: bigint): Model {
  let available = credit;
  let reserved = 0n;
  let spent = 0n;
  const holds = new Map<number, bigint>();
  const expired = new Set<number>();

  function release(id: number, hold: bigint): void {
    holds.delete(id);
    reserved -= hold;
    available += hold;
  }

  return {
    funds: () => ({ available, reserved, spent }),
    get open() {
      return holds.size;
    },
    reserve(id, amount) {
      if (available <= 0n || available < amount) return false;
      available -= amount;
      reserved += amount;
      holds.set(id, amount);
      return true;
    },
    expire(id) {
      const hold = holds.get(id);
      if (hold === undefined) return null;
      release(id, hold);
      expired.add(id);
      return hold;
    },
    settle(id, amount) {
      const hold = holds.get(id);
      const late = expired.delete(id);
      if (hold === undefined && !late) return null;
      if (hold !== undefined) release(id, hold);
      available -= amount;
      spent += amount;
      return { late, over: hold !== undefined && amount > hold ? amount - hold : 0n };
    },
  };
}
