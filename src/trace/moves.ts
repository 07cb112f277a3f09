import type { EventType } from "../generated/index.ts";

/*
 * What each event moves between the four accounts of its wallet. The engine and `_verify_events`
 * have the same rule in SQL, and the proof's model repeats it on purpose, to check the engine; all
 * other TypeScript takes it from here.
 */

/** The accounts of a wallet, in its smallest step. Their sum is always zero. */
export interface Accounts {
  /** What was credited and not withdrawn, with a minus. */
  readonly funding: bigint;
  readonly available: bigint;
  readonly reserved: bigint;
  readonly spent: bigint;
}

/** The part of an event that decides what it moves. */
export interface JournalEvent {
  readonly event: EventType;
  readonly amount: bigint | null;
  /** Of a settlement: false if it books a part and keeps the rest reserved. */
  readonly final?: boolean;
}

/** Accounts with nothing in them. */
export const NO_MONEY: Accounts = { funding: 0n, available: 0n, reserved: 0n, spent: 0n };

/** What an event adds to each account, if its reservation held `held` before. */
export function movesOf({ event, amount, final = true }: JournalEvent, held: bigint): Accounts {
  const a = amount ?? 0n;
  switch (event) {
    case "opened":
    case "frozen":
    case "unfrozen":
    case "allowed":
    case "disallowed":
    case "key_created":
    case "key_revoked":
    case "limit_set":
    case "limit_set_for":
    case "limit_removed":
    case "overdraft_limit_set":
    case "low_balance_set":
    case "closed":
    case "reopened":
      return NO_MONEY;
    case "credited":
    case "transferred_in":
      return move(a, "funding", "available");
    case "withdrawn":
    case "transferred_out":
      return move(a, "available", "funding");
    case "reserved":
    case "extended":
      return move(a, "available", "reserved");
    case "charged":
      return move(a, "available", "spent");
    case "refunded":
      return move(a, "spent", "available");
    case "cancelled":
    case "expired":
      return move(held, "reserved", "available");
    case "settled": {
      // If it is late, nothing is held any more, and all of it comes out of available.
      const used = a < held ? a : held;
      const released = final ? held - used : 0n;
      const available = released + used - a;
      return { ...NO_MONEY, available, reserved: -used - released, spent: a };
    }
  }
}

/** Accounts after a move. */
export function addMoves(accounts: Accounts, moves: Accounts): Accounts {
  return {
    funding: accounts.funding + moves.funding,
    available: accounts.available + moves.available,
    reserved: accounts.reserved + moves.reserved,
    spent: accounts.spent + moves.spent,
  };
}

function move(amount: bigint, from: keyof Accounts, to: keyof Accounts): Accounts {
  return { ...NO_MONEY, [from]: -amount, [to]: amount };
}
