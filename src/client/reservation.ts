import type { Receipt } from "../generated/baseledger.ts";
import type { BatchedArgs, BatchedOp } from "./commands.ts";
import { AlreadyEndedError, NotSettledError } from "./errors.ts";
import type { Booked, Held } from "./granted.ts";
import { startHeartbeat } from "./heartbeat.ts";
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
export interface HandleParts {
  readonly receipt: Held;
  readonly ttl: number | string;
  readonly signal: AbortSignal | undefined;
  readonly send: Send;
  /** Called when it is over. */
  readonly onEnd: () => void;
}

type Ending = { readonly how: "settled" | "cancelled"; readonly done: Promise<Receipt> };

/** Makes the handle of a reservation that was granted. */
export function createHandle({ receipt, ttl, signal, send, onEnd }: HandleParts): Handle {
  const name = { walletId: receipt.walletId, reservationId: receipt.reservationId };
  const keys = { settled: createKey(), cancelled: createKey() };
  const tally = createTally();
  const lost = new AbortController();
  let { amount, expiresAt } = receipt;
  let ending: Ending | undefined;

  const heartbeat = startHeartbeat({
    reservationId: name.reservationId,
    ttlMs: receipt.expiresAt.getTime() - receipt.occurredAt.getTime(),
    beat: () => extend(),
    onLost: (reason) => lost.abort(reason),
  });
  signal?.addEventListener("abort", abort, { once: true });

  function abort(): void {
    heartbeat.stop();
    lost.abort(signal?.reason);
  }

  function requireOpen(): void {
    if (ending) throw new AlreadyEndedError(name.reservationId, ending.how);
  }

  async function extend(hold?: bigint): Promise<Held> {
    requireOpen();
    const args = { ...name, ttl, amount: hold, idempotencyKey: createKey() };
    const extended = (await send("extend", args)) as Held;
    amount += extended.amount;
    expiresAt = extended.expiresAt;
    return extended;
  }

  async function end(how: Ending["how"]): Promise<Booked> {
    requireOpen();
    heartbeat.stop();
    const args = { ...name, idempotencyKey: keys[how] };
    ending = {
      how,
      done:
        how === "cancelled"
          ? send("cancel", args)
          : send("settle", { ...args, amount: tally.amount, metadata: tally.metadata }),
    };
    try {
      return (await ending.done) as Booked;
    } catch (error) {
      // It may be tried again: with the same key, so that it acts once.
      ending = undefined;
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
      onEnd();
    }
  }

  function spend(more: bigint, metadata?: Metadata): void {
    requireOpen();
    tally.add(more, metadata);
  }

  async function hasEnded(): Promise<boolean> {
    await ending?.done.catch(() => undefined);
    return ending !== undefined;
  }

  async function book(outcome?: PromiseSettledResult<unknown>): Promise<void> {
    try {
      await end("settled");
    } catch (cause) {
      const settlement = { ...name, idempotencyKey: keys.settled, amount: tally.amount };
      throw new NotSettledError(settlement, outcome, cause);
    }
  }

  async function release(): Promise<void> {
    await end("cancelled").catch(() => undefined);
  }

  async function dispose(): Promise<void> {
    if (await hasEnded()) return;
    await (tally.amount > 0n ? book() : release());
  }

  const reservation: Reservation = {
    wallet: name.walletId,
    id: name.reservationId,
    signal: lost.signal,
    get amount() {
      return amount;
    },
    get expiresAt() {
      return expiresAt;
    },
    get spent() {
      return tally.amount;
    },
    spend,
    extend,
    async settle(more, metadata) {
      if (more !== undefined) spend(more, metadata);
      return end("settled");
    },
    cancel: () => end("cancelled"),
    [Symbol.asyncDispose]: dispose,
  };
  return { reservation, hasReported: () => tally.reported, hasEnded, book, release };
}
