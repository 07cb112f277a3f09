import {
  AlreadyEndedError,
  isUnpriced,
  type LedgerError,
  NotSettledError,
  type Settlement,
  UsageNotPricedError,
} from "../errors/index.ts";
import type { BatchOperations, Receipt } from "../generated/index.ts";
import type { Metadata, Usage } from "../json/index.ts";
import type { BatchedMethod } from "./commands.ts";
import { createIdempotencyKey } from "./keys.ts";
import { type LeaseOptions, startLease } from "./lease.ts";
import type { Booked, Held } from "./receipts.ts";
import { type Booking, requireUsage } from "./usage.ts";

/**
 * Funds held for work in progress. While it is open, heartbeats keep it from expiring. It ends once,
 * settled or cancelled; from then on its methods fail with `AlreadyEndedError`.
 *
 * With `await using`, leaving the block settles what was spent. If nothing was reported, it books
 * what `onThrow` says, or cancels without it.
 */
export interface Reservation extends AsyncDisposable {
  /** Id of the wallet. */
  readonly walletId: string;
  /** Its id in the wallet. */
  readonly id: string;
  /** What it holds: of usage, its cost. With `atLeast`, that may be less than was requested. */
  readonly amount: bigint;
  /** Its deadline, by the database's clock; each heartbeat moves it. */
  readonly expiresAt: Date;
  /** The sum of the amounts that were reported with {@link Reservation.spend} so far. */
  readonly spent: bigint;
  /**
   * Aborts when the caller's signal does, and when the reservation is lost: somebody else has ended
   * it, or no heartbeat got through before it expired. From then on there are no heartbeats.
   */
  readonly signal: AbortSignal;
  /**
   * Reports that so much more was spent: an amount, or the usage of one request, whose model is that
   * of the reservation unless it names another. Sends nothing yet. More than is held is settled in
   * full. `metadata` goes with the settlement.
   *
   * Amounts are added up. Each usage has a settlement of its own, as its input decides its price: so
   * report all of a request at once, when its last usage is known.
   */
  spend(spent: bigint | Usage, metadata?: Metadata): void;
  /** Holds so much from now on, more or less than before. */
  extend(amount: bigint): Promise<Held>;
  /**
   * Reports that so much more was spent, then books everything reported and returns the rest. The
   * receipt is that of the last settlement.
   */
  settle(spent?: bigint | Usage, metadata?: Metadata): Promise<Booked>;
  /** Returns everything. `metadata` goes on record, e.g. the reason. */
  cancel(metadata?: Metadata): Promise<Booked>;
  /**
   * Does what `await using` does: ends it, if it is still open, by what was reported. For a `finally`
   * where JavaScript has no `await using`, as on Node 22.
   */
  close(): Promise<void>;
}

/** Sends a command that extends or ends a reservation. */
export type SendFollowUp = <Name extends BatchedMethod>(
  name: Name,
  args: BatchOperations[Name],
) => Promise<Receipt>;

/** What guard and hold need beyond the public handle. */
export interface Handle {
  readonly reservation: Reservation;
  /** Whether anything was reported, even zero. */
  hasReported(): boolean;
  /** Whether it has ended; waits for an end that is being sent. */
  hasEnded(): Promise<boolean>;
  /** Settles what was spent, or fails with NotSettledError. */
  book(outcome?: PromiseSettledResult<unknown>): Promise<void>;
  /**
   * Settles all that it holds, when it is not known what was spent: the books must never show less
   * than was spent, and too much can be refunded.
   */
  bookAll(reason: Metadata, outcome?: PromiseSettledResult<unknown>): Promise<void>;
  /** Ends it after a throw: settles what was reported, or else what `onThrow` says, or cancels. */
  breakOff(outcome?: PromiseRejectedResult): Promise<void>;
  /** Cancels. If that fails, the reservation expires. */
  release(metadata: Metadata): Promise<void>;
}

/** Options of {@link createHandle}. */
export interface HandleOptions extends LeaseOptions {
  /** Finds what to book if it is broken off before anything was reported. */
  readonly onThrow: (error: unknown, reservation: Reservation) => Promise<Booking>;
  /** Called after each attempt to end it. */
  readonly onEnd: () => void;
}

type End = "settled" | "cancelled";

/** Usage that was reported. */
interface Used {
  readonly usage: Usage;
  readonly metadata: Metadata;
  readonly idempotencyKey: string;
}

/** Makes the handle of a reservation that was granted. */
export function createHandle(options: HandleOptions): Handle {
  const { walletId, reservationId } = options.receipt;
  // An end is sent with the same key each time, so that it is carried out once.
  const keys = { settled: createIdempotencyKey(), cancelled: createIdempotencyKey() };
  const lease = startLease(options);
  const spent: { amount: bigint; metadata: Metadata } = { amount: 0n, metadata: {} };
  let used: Used[] = [];
  /** What settlements have cost, and those whose usage was refused, by their keys. */
  const costs = new Map<string, bigint>();
  const unpriced = new Set<string>();
  let hasAmount = false;
  let cancelling: { readonly metadata: Metadata | undefined } | undefined;
  let ending: { readonly how: End; readonly answer: Promise<Receipt> } | undefined;

  function requireOpen(): void {
    if (ending) throw new AlreadyEndedError(reservationId, ending.how);
  }

  async function hasEnded(): Promise<boolean> {
    await ending?.answer.catch(() => undefined);
    return ending !== undefined;
  }

  function hasReported(): boolean {
    return hasAmount || used.length > 0;
  }

  function spend(more: bigint | Usage, metadata: Metadata = {}): void {
    requireOpen();
    if (typeof more === "object") {
      requireUsage(more);
      used.push({ usage: { ...more }, metadata, idempotencyKey: createIdempotencyKey() });
      return;
    }
    if (typeof more !== "bigint") throw new TypeError("an amount is a bigint, such as 250n");
    if (more < 0n) throw new RangeError(`an amount that was spent is 0n or more, not ${more}`);
    spent.amount += more;
    spent.metadata = { ...spent.metadata, ...metadata };
    hasAmount = true;
  }

  /** What books everything reported, in order; all but the last leave the reservation open. */
  function settlements(): Settlement[] {
    const amount = { ...spent, idempotencyKey: keys.settled };
    const all = hasAmount || used.length === 0 ? [...used, amount] : used;
    return all.map((each, i) => ({
      walletId,
      reservationId,
      ...each,
      ...(i < all.length - 1 && { final: false }),
    }));
  }

  async function settle(): Promise<Receipt> {
    const parts = settlements();
    const last = parts.pop() as Settlement;
    if (parts.length > 0) {
      const sent = await Promise.allSettled(parts.map(settleOne));
      const failed = sent.find((each) => each.status === "rejected");
      // A part that was refused could not be settled any more once the last one has ended it.
      if (failed) throw failed.reason;
    }
    return settleOne(last);
  }

  async function settleOne(settlement: Settlement): Promise<Receipt> {
    try {
      const receipt = await options.send("settle", settlement);
      costs.set(settlement.idempotencyKey, receipt.amount ?? 0n);
      return receipt;
    } catch (error) {
      if (isUnpriced(error)) unpriced.add(settlement.idempotencyKey);
      throw error;
    }
  }

  function send(how: End): Promise<Receipt> {
    if (how === "settled") return settle();
    const args = { walletId, reservationId, ...cancelling, idempotencyKey: keys.cancelled };
    return options.send("cancel", args);
  }

  async function end(how: End): Promise<Booked> {
    requireOpen();
    lease.stop();
    try {
      ending = { how, answer: send(how) };
      return (await ending.answer) as Booked;
    } catch (error) {
      // It may be tried again.
      ending = undefined;
      throw error;
    } finally {
      options.onEnd();
    }
  }

  async function cancel(metadata?: Metadata): Promise<Booked> {
    requireOpen();
    // A second try repeats the request: with other metadata, its key would be refused.
    cancelling ??= { metadata };
    return end("cancelled");
  }

  async function book(outcome?: PromiseSettledResult<unknown>): Promise<void> {
    try {
      await end("settled");
    } catch (cause) {
      if (isUnpriced(cause)) return bookUnpriced(cause, outcome);
      throw new NotSettledError(settlements(), outcome, cause);
    }
  }

  /** Settles what is left of the hold in place of usage that has no price. */
  async function bookUnpriced(
    cause: LedgerError,
    outcome?: PromiseSettledResult<unknown>,
  ): Promise<void> {
    const usage = used
      .filter((each) => unpriced.has(each.idempotencyKey))
      .map((each) => each.usage);
    used = used.filter((each) => !unpriced.has(each.idempotencyKey));
    let left = lease.amount - spent.amount;
    for (const cost of costs.values()) left -= cost;
    const amount = left > 0n ? left : 0n;
    spend(amount, { reason: "unpriced", usage });
    await book(outcome);
    throw new UsageNotPricedError({ walletId, reservationId, amount }, outcome, cause);
  }

  async function bookAll(reason: Metadata, outcome?: PromiseSettledResult<unknown>): Promise<void> {
    spend(reservation.amount, reason);
    await book(outcome);
  }

  async function release(metadata: Metadata): Promise<void> {
    await cancel(metadata).catch(() => undefined);
  }

  async function breakOff(outcome?: PromiseRejectedResult): Promise<void> {
    const reason = outcome ? describeThrown(outcome.reason) : { reason: "left" };
    if (!hasReported()) await spendOnThrow(reason, outcome);
    if (await hasEnded()) return;
    await (spent.amount > 0n || used.length > 0 ? book(outcome) : release(reason));
  }

  async function spendOnThrow(reason: Metadata, outcome?: PromiseRejectedResult): Promise<void> {
    try {
      const { amount, usage, metadata } = await options.onThrow(outcome?.reason, reservation);
      if (await hasEnded()) return;
      const floor = usage ?? amount ?? 0n;
      if (floor !== 0n) spend(floor, { ...reason, ...metadata });
    } catch (error) {
      if (await hasEnded()) throw error;
      await bookAll(reason, outcome);
      const errors = outcome ? [outcome.reason, error] : [error];
      const { amount, id } = reservation;
      throw new AggregateError(errors, `onThrow failed, so all of ${amount} was settled for ${id}`);
    }
  }

  async function close(): Promise<void> {
    if (!(await hasEnded())) await breakOff();
  }

  const reservation: Reservation = {
    walletId,
    id: reservationId,
    signal: lease.signal,
    get amount() {
      return lease.amount;
    },
    get expiresAt() {
      return lease.expiresAt;
    },
    get spent() {
      return spent.amount;
    },
    spend,
    async extend(amount) {
      requireOpen();
      return lease.extend(amount);
    },
    async settle(more, metadata) {
      if (more !== undefined) spend(more, metadata);
      return end("settled");
    },
    cancel,
    close,
    [Symbol.asyncDispose]: close,
  };
  return {
    reservation,
    hasReported,
    hasEnded,
    book,
    bookAll,
    breakOff,
    release,
  };
}

// Never the message: it may contain a secret, such as a key in the address of a provider.
const PLAIN = /^[\w.:$-]{1,64}$/;

/** The name and code of what a callback threw, for the record. */
function describeThrown(error: unknown): Metadata {
  const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown };
  return {
    reason: "threw",
    ...(isPlain(name) && { error: name }),
    ...(isPlain(code) && { code }),
  };
}

function isPlain(text: unknown): text is string {
  return typeof text === "string" && PLAIN.test(text);
}
