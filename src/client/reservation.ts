import type { Receipt } from "../generated/index.ts";
import { keepAlive, type LifeParts } from "./alive.ts";
import type { BatchedArgs, BatchedOp } from "./commands.ts";
import { createEnding, type End } from "./ending.ts";
import { NotSettledError } from "./errors.ts";
import { floorOf, type OnThrow, whyThrown } from "./floor.ts";
import type { Booked, Held } from "./granted.ts";
import { createKey } from "./keys.ts";
import { createTally, type Metadata } from "./tally.ts";

/**
 * Funds held for something that is going on. While it is open, a heartbeat keeps it from expiring.
 * It ends once, settled or cancelled; from then on its methods fail with `AlreadyEndedError`.
 *
 * With `await using`, leaving the block settles what was spent. If nothing was reported, it books
 * what `onThrow` says, and cancels without it.
 */
export interface Reservation extends AsyncDisposable {
  /** Id of the wallet. */
  readonly walletId: string;
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
  /** Returns everything. `metadata` goes on record with it, e.g. the reason. */
  cancel(metadata?: Metadata): Promise<Booked>;
  /**
   * What `await using` does: ends it, if it is still open, by what was reported. For a `finally` in
   * JavaScript that has no `await using`, as on Node 22.
   */
  close(): Promise<void>;
}

/** Sends a command that extends or ends what was begun. */
export type Send = <Op extends BatchedOp>(op: Op, args: BatchedArgs[Op]) => Promise<Receipt>;

/** What guard and hold need beyond the public handle. */
export interface Handle {
  readonly reservation: Reservation;
  /** Whether anything was reported, be it zero. */
  hasReported(): boolean;
  /** Whether it has ended; waits for an end that is under way. */
  hasEnded(): Promise<boolean>;
  /** Settles what was spent, or fails with NotSettledError. */
  book(outcome?: PromiseSettledResult<unknown>): Promise<void>;
  /** Ends what broke off: settles what was spent, or else the floor, or cancels. */
  breakOff(outcome?: PromiseRejectedResult): Promise<void>;
  /** Cancels. Where that fails, the deadline does the same. */
  release(metadata: Metadata): Promise<void>;
}

/** What a handle is made of. */
export interface HandleParts extends LifeParts {
  readonly onThrow: OnThrow | undefined;
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
  let cancelling: { readonly metadata: Metadata | undefined } | undefined;

  function settlement() {
    const { amount, metadata } = tally;
    return { walletId, reservationId, amount, metadata, idempotencyKey: keys.settled };
  }

  // With the same key each time, so that it acts once.
  const senders: Readonly<Record<End, () => Promise<Receipt>>> = {
    settled: () => parts.send("settle", settlement()),
    cancelled: () => {
      const args = { walletId, reservationId, ...cancelling, idempotencyKey: keys.cancelled };
      return parts.send("cancel", args);
    },
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

  async function cancel(metadata?: Metadata): Promise<Booked> {
    ending.requireOpen();
    // Tried again, it is the same request: with other metadata the key would be refused.
    cancelling ??= { metadata };
    return end("cancelled");
  }

  async function book(outcome?: PromiseSettledResult<unknown>): Promise<void> {
    try {
      await end("settled");
    } catch (cause) {
      throw new NotSettledError(settlement(), outcome, cause);
    }
  }

  async function release(metadata: Metadata): Promise<void> {
    await cancel(metadata).catch(() => undefined);
  }

  async function breakOff(outcome?: PromiseRejectedResult): Promise<void> {
    const why = outcome ? whyThrown(outcome.reason) : { reason: "left" };
    if (!tally.reported) await addFloor(why, outcome);
    if (await ending.hasEnded()) return;
    await (tally.amount > 0n ? book(outcome) : release(why));
  }

  async function addFloor(why: Metadata, outcome?: PromiseRejectedResult): Promise<void> {
    try {
      const floor = await floorOf(parts.onThrow, outcome?.reason, reservation);
      if (await ending.hasEnded()) return;
      if (floor.amount > 0n) spend(floor.amount, { ...why, ...floor.metadata });
    } catch (error) {
      if (await ending.hasEnded()) throw error;
      // The books must never show less than was spent; too much can be refunded.
      spend(reservation.amount, why);
      await book(outcome);
      const errors = outcome ? [outcome.reason, error] : [error];
      const { amount, id } = reservation;
      throw new AggregateError(errors, `onThrow failed, so all of ${amount} was settled for ${id}`);
    }
  }

  async function close(): Promise<void> {
    if (!(await ending.hasEnded())) await breakOff();
  }

  const reservation: Reservation = {
    walletId,
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
    cancel,
    close,
    [Symbol.asyncDispose]: close,
  };
  const { hasEnded } = ending;
  return { reservation, hasReported: () => tally.reported, hasEnded, book, breakOff, release };
}
