import { InsufficientFundsError } from "../errors/index.ts";
import type { ReserveArgs } from "../generated/index.ts";
import { LedgerClosedError, QueueFullError } from "./errors.ts";
import type { Held } from "./granted.ts";

/** How a request waits for funds. */
export interface Wait {
  /** Seconds for which it is tried again while other reservations hold the funds. */
  readonly wait?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The requests that wait for funds which other reservations hold. */
export interface WaitingRoom {
  /** Asks for a reservation, again for as long as it may wait; the key is the same each time. */
  reserve(args: ReserveArgs, wait: Wait): Promise<Held>;
  /** Tells what is available in a wallet, by an answer that has come. */
  observe(walletId: string, available: bigint | null): void;
  /** Turns those away that wait. */
  close(): void;
}

interface Waiter {
  readonly args: ReserveArgs;
  /** The least that it is content with. */
  readonly need: bigint;
  /** What it may take of the funds, while it is under way. */
  claim: bigint | undefined;
  /** When it waits no longer: what it fails with if it is refused once more. */
  verdict: ((refusal: unknown) => unknown) | undefined;
  readonly resolve: (held: Held) => void;
  readonly reject: (error: unknown) => void;
}

/** Those who wait in one wallet, in their order. */
interface Queue {
  readonly waiters: Set<Waiter>;
  /** Available by the last answer. */
  available: bigint;
  pauseMs: number;
  timer: { readonly id: NodeJS.Timeout; readonly at: number } | undefined;
}

// Of those who wait in a wallet, one asks after each pause: twice a second, in the long run.
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
// The deadline of a hold by a clock that may be a little behind.
const LEEWAY_MS = 5;
const UNKNOWN = 2n ** 63n;

/**
 * Makes requests wait. When an answer to this client says what is available in a wallet, those who
 * wait for it are tried in their order, as far as that goes; one that wants less may pass one that
 * does not fit. As others return funds as well, the first one is tried without such news, too, after
 * pauses that grow, and when the next hold comes due.
 *
 * @param limit - how many may wait
 */
export function createWaitingRoom(
  request: (args: ReserveArgs) => Promise<Held>,
  limit: number,
): WaitingRoom {
  const queues = new Map<string, Queue>();
  let count = 0;
  let closed = false;

  function reserve(args: ReserveArgs, { wait = 0, signal }: Wait): Promise<Held> {
    if (!(wait >= 0)) throw new RangeError(`wait must be 0 or more seconds, not ${wait}`);
    // An amount that is none is refused by the request.
    if (wait === 0 || closed || typeof args.amount !== "bigint") return request(args);
    if (count >= limit) throw new QueueFullError(limit);
    const { promise, resolve, reject } = Promise.withResolvers<Held>();
    const need = args.atLeast ?? args.amount;
    const waiter = { args, need, claim: undefined, verdict: undefined, resolve, reject };
    const queue = queues.get(args.walletId) ?? open(args.walletId);
    const timer = setTimeout(finish, Math.min(wait * 1000, LONGEST_TIMER_MS), queue, waiter);
    const abort = () => turnAway(queue, waiter, signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    queue.waiters.add(waiter);
    count += 1;
    tryWhatFits(queue);
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

  function tryWhatFits(queue: Queue): void {
    let left = queue.available;
    for (const { claim = 0n } of queue.waiters) left -= claim;
    let allUnderWay = true;
    for (const waiter of queue.waiters) {
      if (waiter.claim !== undefined) continue;
      if (waiter.need > left) allUnderWay = false;
      else left -= tryNow(queue, waiter, left);
    }
    if (!allUnderWay) lookAgain(queue);
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
      if (isHeld(error) && !waiter.verdict) return putBack(queue, error);
      leave(queue, waiter);
      waiter.reject(isHeld(error) ? waiter.verdict?.(error) : error);
      // What stops this one, such as a freeze, may stop the next one, who shall not wait for it.
      if (!isHeld(error)) tryFirst(queue);
    }
    tryWhatFits(queue);
  }

  function putBack(queue: Queue, { available, retryAt }: InsufficientFundsError): void {
    lookAgain(queue, retryAt);
    if (queue.available === UNKNOWN) queue.available = available;
    // Another answer has come since.
    else if (queue.available !== available) tryWhatFits(queue);
  }

  function lookAgain(queue: Queue, retryAt: Date | null = null): void {
    const pause = queue.pauseMs * (1 - Math.random() / 2);
    const due = (retryAt?.getTime() ?? 0) + LEEWAY_MS - Date.now();
    const delay = due > 0 ? Math.min(due, pause) : pause;
    const at = performance.now() + delay;
    if (queue.timer && queue.timer.at <= at) return;
    clearTimeout(queue.timer?.id);
    queue.timer = { id: setTimeout(look, delay, queue), at };
  }

  function look(queue: Queue): void {
    queue.timer = undefined;
    queue.pauseMs = Math.min(queue.pauseMs * 2, LONGEST_PAUSE_MS);
    tryFirst(queue);
    lookAgain(queue);
  }

  function finish(queue: Queue, waiter: Waiter): void {
    waiter.verdict ??= (refusal) => refusal;
    if (waiter.claim === undefined) tryNow(queue, waiter, 0n);
  }

  function turnAway(queue: Queue, waiter: Waiter, reason: unknown): void {
    waiter.verdict = () => reason;
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
      tryWhatFits(queue);
    },
    close() {
      closed = true;
      for (const queue of queues.values()) {
        for (const waiter of queue.waiters) turnAway(queue, waiter, new LedgerClosedError());
      }
    },
  };
}

function isHeld(error: unknown): error is InsufficientFundsError {
  return error instanceof InsufficientFundsError && error.reason === "held";
}
