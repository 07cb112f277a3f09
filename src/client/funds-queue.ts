import { InsufficientFundsError, LedgerClosedError, QueueFullError } from "../errors/index.ts";
import type { ReserveArgs } from "../generated/index.ts";
import type { Held } from "./receipts.ts";

/** How long a request waits for funds. */
export interface Wait {
  /** Seconds for which it is tried again while other reservations hold the funds. */
  readonly wait?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The requests that wait for funds held by other reservations. */
export interface FundsQueue {
  /** Asks for a reservation, repeatedly while it may wait; the key is the same each time. */
  reserve(args: ReserveArgs, wait: Wait): Promise<Held>;
  /** Takes note of what is available in a wallet, by an answer to this client. */
  observe(walletId: string, available: bigint | null): void;
  /** Rejects all that wait. */
  close(): void;
}

interface Waiter {
  readonly args: ReserveArgs;
  /** The smallest amount that it accepts. */
  readonly least: bigint;
  /** What it may take of the funds, while it is being sent. */
  claim: bigint | undefined;
  /** Set once it waits no longer: what it fails with if it is refused once more. */
  finalError: ((refusal: unknown) => unknown) | undefined;
  readonly resolve: (held: Held) => void;
  readonly reject: (error: unknown) => void;
}

/** The requests that wait in one wallet, in their order. */
interface Queue {
  readonly waiters: Set<Waiter>;
  /** Available by the last answer. */
  available: bigint;
  pauseMs: number;
  timer: { readonly id: NodeJS.Timeout; readonly at: number } | undefined;
}

// One request of a wallet is tried after each pause: in the long run, twice a second.
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
// For a deadline of the server's clock, when this program's clock is a little ahead.
const LEEWAY_MS = 5;
const UNKNOWN = 2n ** 63n;

/**
 * Queues requests for funds. When an answer to this client shows what is available in a wallet, its
 * requests are tried in their order, as far as the funds go; a smaller one may pass one that does
 * not fit. As other clients return funds as well, the first one is also tried after pauses that
 * grow, and when the next hold expires.
 *
 * @param limit - how many may wait
 */
export function createFundsQueue(
  request: (args: ReserveArgs) => Promise<Held>,
  limit: number,
): FundsQueue {
  const queues = new Map<string, Queue>();
  let count = 0;
  let closed = false;

  function reserve(args: ReserveArgs, { wait = 0, signal }: Wait): Promise<Held> {
    if (!(wait >= 0)) throw new RangeError(`wait must be 0 or more seconds, not ${wait}`);
    // The request refuses an amount that is not a bigint.
    if (wait === 0 || closed || typeof args.amount !== "bigint") return request(args);
    if (count >= limit) throw new QueueFullError(limit);
    const { promise, resolve, reject } = Promise.withResolvers<Held>();
    const least = args.atLeast ?? args.amount;
    const waiter = { args, least, claim: undefined, finalError: undefined, resolve, reject };
    const queue = queues.get(args.walletId) ?? open(args.walletId);
    const timer = setTimeout(finish, Math.min(wait * 1000, LONGEST_TIMER_MS), queue, waiter);
    const abort = () => dismiss(queue, waiter, signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    queue.waiters.add(waiter);
    count += 1;
    tryAllThatFit(queue);
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    });
  }

  function open(walletId: string): Queue {
    const waiters = new Set<Waiter>();
    const queue = { waiters, available: UNKNOWN, pauseMs: FIRST_PAUSE_MS, timer: undefined };
    queues.set(walletId, queue);
    return queue;
  }

  function leave(queue: Queue, waiter: Waiter): void {
    queue.waiters.delete(waiter);
    count -= 1;
    if (queue.waiters.size > 0) return;
    clearTimeout(queue.timer?.id);
    queues.delete(waiter.args.walletId);
  }

  function tryAllThatFit(queue: Queue): void {
    let left = queue.available;
    for (const { claim = 0n } of queue.waiters) left -= claim;
    let allSent = true;
    for (const waiter of queue.waiters) {
      if (waiter.claim !== undefined) continue;
      if (waiter.least > left) allSent = false;
      else left -= tryNow(queue, waiter, left);
    }
    if (!allSent) tryLater(queue);
  }

  function tryFirst(queue: Queue): void {
    const [first] = queue.waiters;
    if (first && first.claim === undefined) tryNow(queue, first, 0n);
  }

  function tryNow(queue: Queue, waiter: Waiter, left: bigint): bigint {
    const { amount } = waiter.args;
    waiter.claim = amount < left ? amount : left;
    void answer(queue, waiter);
    return waiter.claim;
  }

  async function answer(queue: Queue, waiter: Waiter): Promise<void> {
    try {
      const held = await request(waiter.args);
      leave(queue, waiter);
      waiter.resolve(held);
    } catch (error) {
      waiter.claim = undefined;
      if (isHeld(error) && !waiter.finalError) return waitOn(queue, error);
      leave(queue, waiter);
      waiter.reject(isHeld(error) ? waiter.finalError?.(error) : error);
      // What failed this one, such as a freeze, may fail the next one, which then need not wait.
      if (!isHeld(error)) tryFirst(queue);
    }
    tryAllThatFit(queue);
  }

  function waitOn(queue: Queue, { available, retryAt }: InsufficientFundsError): void {
    tryLater(queue, retryAt);
    if (queue.available === UNKNOWN) queue.available = available;
    // Another answer has changed it since.
    else if (queue.available !== available) tryAllThatFit(queue);
  }

  function tryLater(queue: Queue, retryAt: Date | null = null): void {
    const pause = queue.pauseMs * (1 - Math.random() / 2);
    const due = (retryAt?.getTime() ?? 0) + LEEWAY_MS - Date.now();
    const delay = due > 0 ? Math.min(due, pause) : pause;
    const at = performance.now() + delay;
    if (queue.timer && queue.timer.at <= at) return;
    clearTimeout(queue.timer?.id);
    queue.timer = { id: setTimeout(tryAgain, delay, queue), at };
  }

  function tryAgain(queue: Queue): void {
    queue.timer = undefined;
    queue.pauseMs = Math.min(queue.pauseMs * 2, LONGEST_PAUSE_MS);
    tryFirst(queue);
    tryLater(queue);
  }

  function finish(queue: Queue, waiter: Waiter): void {
    waiter.finalError ??= (refusal) => refusal;
    if (waiter.claim === undefined) tryNow(queue, waiter, 0n);
  }

  function dismiss(queue: Queue, waiter: Waiter, reason: unknown): void {
    waiter.finalError = () => reason;
    if (waiter.claim !== undefined || !queue.waiters.has(waiter)) return;
    leave(queue, waiter);
    waiter.reject(reason);
  }

  return {
    reserve,
    observe(walletId, available) {
      const queue = queues.get(walletId);
      if (!queue || available === null) return;
      queue.available = available;
      tryAllThatFit(queue);
    },
    close() {
      closed = true;
      for (const queue of queues.values()) {
        for (const waiter of queue.waiters) dismiss(queue, waiter, new LedgerClosedError());
      }
    },
  };
}

function isHeld(error: unknown): error is InsufficientFundsError {
  return error instanceof InsufficientFundsError && error.reason === "held";
}
