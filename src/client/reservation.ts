import type { Receipt } from "../generated/baseledger.ts";
import { keepAlive, type LifeParts } from "./alive.ts";
import type { BatchedArgs, BatchedOp } from "./commands.ts";
import { createEnding, type End } from "./ending.ts";
import { NotSettledError } from "./errors.ts";
import type { Booked, Held } from "./granted.ts";
import { createKey } from "./keys.ts";
import { createTally, type Metadata } from "./tally.ts";

/**
 * Funds held for something that is going on. While it is open, a heartbeat keeps it from expiring.
 * It ends once, settled or cancelled; from then on its methods fail with `AlreadyEndedError`.
 *
 * With `await using`, leaving the block settles what was spent, or cancels if nothing was.
 */
export interface Reservation extends AsyncDisposable {
  readonly wallet: string;
  /** Its id in the wallet. */
  readonly id: string;
  /** What it holds. With `atLeast`, that may be less than was asked for. */
  readonly amount: bigint;
  /** Its deadline, by the database's clock; each heartbeat moves it. */
  readonly expiresAt: Date;
  /** What was reported with {@link Reservation.spend} so far. */
  readonly spent: bigint;
  /**
   * Aborts when the caller's signal does, and when the reservation is lost: somebody else has ended
   * it, or no heartbeat came through until it expired. From then on there is no heartbeat.
   */
  readonly signal: AbortSignal;
  /**
   * Reports that so much was spent, beyond what was reported before. Sends nothing yet. More than
   * is held is settled in full. `metadata` goes with the settlement.
   */
  spend(amount: bigint, metadata?: Metadata): void;
  /** Holds so much from now on, more or less than before. */
  extend(amount: bigint): Promise<Held>;
  /** Reports that so much more was spent, then books all that was reported and returns the rest. */
  settle(amount?: bigint, metadata?: Metadata): Promise<Booked>;
  /** Returns everything. */
  cancel(): Promise<Booked>;
}

/** Sends a command that extends or ends what was begun. */
export type Send = <Op extends BatchedOp>(op: Op, args: BatchedArgs[Op]) => Promise<Receipt>;

/** A reservation from inside. */
export interface Handle {
  readonly reservation: Reservation;
  /** Whether anything was reported, be it zero. */
  hasReported(): boolean;
  /** Whether it has ended; waits for an end that is under way. */
  hasEnded(): Promise<boolean>;
  /** Settles what was spent, or fails with NotSettledError. */
  book(outcome?: PromiseSettledResult<unknown>): Promise<void>;
  /** Cancels. Where that fails, the deadline does the same. */
  release(): Promise<void>;
}

/** What a handle is made of. */
export interface HandleParts extends LifeParts {
  /** Called when it is over. */
  readonly onEnd: () => void;
}

/** Makes the handle of a reservation that was granted. */
export function createHandle(parts: HandleParts): Handle {
  const { walletId, reservationId } = parts.receipt;
  const keys = { settled: createKey(), cancelled: createKey() };
  const life = keepAlive(parts);
  const ending = createEnding(reservationId);
  const tally = createTally();

  // With the same key each time, so that it acts once.
  const senders: Readonly<Record<End, () => Promise<Receipt>>> = {
    settled: () => {
      const { amount, metadata } = tally;
      const args = { walletId, reservationId, amount, metadata, idempotencyKey: keys.settled };
      return parts.send("settle", args);
    },
    cancelled: () =>
      parts.send("cancel", { walletId, reservationId, idempotencyKey: keys.cancelled }),
  };

  async function end(how: End): Promise<Booked> {
    ending.requireOpen();
    life.stop();
    try {
      return (await ending.end(how, senders[how])) as Booked;
    } finally {
      parts.onEnd();
    }
  }

  function spend(more: bigint, metadata?: Metadata): void {
    ending.requireOpen();
    tally.add(more, metadata);
  }

  async function book(outcome?: PromiseSettledResult<unknown>): Promise<void> {
    try {
      await end("settled");
    } catch (cause) {
      const { amount } = tally;
      const settlement = { walletId, reservationId, amount, idempotencyKey: keys.settled };
      throw new NotSettledError(settlement, outcome, cause);
    }
  }

  async function release(): Promise<void> {
    await end("cancelled").catch(() => undefined);
  }

  const reservation: Reservation = {
    wallet: walletId,
    id: reservationId,
    signal: life.signal,
    get amount() {
      return life.amount;
    },
    get expiresAt() {
      return life.expiresAt;
    },
    get spent() {
      return tally.amount;
    },
    spend,
    async extend(amount) {
      ending.requireOpen();
      return life.extend(amount);
    },
    async settle(more, metadata) {
      if (more !== undefined) spend(more, metadata);
      return end("settled");
    },
    cancel: () => end("cancelled"),
    async [Symbol.asyncDispose]() {
      if (await ending.hasEnded()) return;
      await (tally.amount > 0n ? book() : release());
    },
  };
  const { hasEnded } = ending;
  return { reservation, hasReported: () => tally.reported, hasEnded, book, release };
}
