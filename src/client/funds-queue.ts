import { InsufficientFundsError, LedgerClosedError, QueueFullError } from "../errors/index.ts";
import type { ReserveArgs } from "../generated/index.ts";
import { type Obstacle, obstacleOf } from "./obstacle.ts";
import type { Held } from "./receipts.ts";

/** How long a request waits for funds, or for room in a limit. */
export interface Wait {
  /** Seconds for which it is tried again while waiting may help. */
  readonly wait?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The requests that wait for what other reservations hold, or for the next window of a limit. */
export interface FundsQueue {
  /** Asks for a reservation, repeatedly while it may wait; the key is the same each time. */
  reserve(args: ReserveArgs, wait: Wait): Promise<Held>;
  /** Takes note of what is available in a wallet, by an answer to this client. */
  observe(walletId: string, available: bigint | null): void;
  /** Takes note that a reservation of a wallet has ended or shrunk, so that limits may have room. */
  noteEnd(walletId: string): void;
  /** Rejects all that wait. */
  close(): void;
}

interface Waiter {
  readonly args: ReserveArgs;
  /** What it asks for; of usage not known before a refusal says what that costs. */
  amount: bigint;
  /** The smallest amount that it accepts. */
  least: bigint;
  /** When it stops waiting, by this program's clock. */
  readonly deadline: number;
  /** What stands in its way, as far as is known. */
  queue: Queue;
  /** What it may take of the funds, while it is being sent. */
  claim: bigint | undefined;
  /** Set once it waits no longer: what it fails with if it is refused once more. */
  finalError: ((refusal: unknown) => unknown) | undefined;
  readonly resolve: (held: Held) => void;
  readonly reject: (error: unknown) => void;
}

/** The requests that wait in one wallet for one thing, in their order. */
interface Queue {
  readonly walletId: string;
  /** The limit and its combination of values; undefined: funds. */
  readonly limit: string | undefined;
  readonly waiters: Set<Waiter>;
  /** Of funds: available by the last answer. */
  available: bigint;
  /** Of a limit that is exhausted: when its next window begins. */
  resetsAt: Date | null;
  pauseMs: number;
  timer: { readonly id: NodeJS.Timeout; readonly at: number } | undefined;
}

// One request of a wallet is tried after each pause: in the long run, twice a second.
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
// For a deadline of the server's clock, when this program's clock is a little ahead.
const LEEWAY_MS = 5;
/** Queues of limits that are tried when a reservation has ended: it may have freed any of them. */
const TRIED_AT_AN_END = 10;
const UNKNOWN = 2n ** 63n;

/**
 * Queues requests for funds, and for room in limits.
 *
 * Funds: when an answer to this client shows what is available in a wallet, its requests are tried
 * in their order, as far as the funds go; a smaller one may pass one that does not fit. As other
 * clients return funds as well, the first one is also tried after pauses that grow, and when the
 * next hold expires.
 *
 * A limit: those that the same combination of values has refused wait in a queue of their own, so
 * that they delay nobody else. The first one is tried when this client has ended a reservation in
 * the wallet, after the same pauses, or, if the limit is exhausted, when its next window begins; the
 * next one once it was granted.
 *
 * @param limit - how many may wait
 */
export function createFundsQueue(
  request: (args: ReserveArgs) => Promise<Held>,
  limit: number,
): FundsQueue {
  const wallets = new Map<string, Map<string | undefined, Queue>>();
  let count = 0;
  let closed = false;

  function reserve(args: ReserveArgs, { wait = 0, signal }: Wait): Promise<Held> {
    if (!(wait >= 0)) throw new RangeError(`wait must be 0 or more seconds, not ${wait}`);
    // The request refuses what is neither.
    const isValid = typeof args.amount === "bigint" || args.usage;
    if (wait === 0 || closed || !isValid) return request(args);
    if (count >= limit) throw new QueueFullError(limit);
    const { promise, resolve, reject } = Promise.withResolvers<Held>();
    const waitMs = Math.min(wait * 1000, LONGEST_TIMER_MS);
    const amount = args.amount ?? 0n;
    const waiter: Waiter = {
      args,
      amount,
      least: args.atLeast ?? amount,
      deadline: Date.now() + waitMs,
      queue: queueOf(args.walletId, undefined),
      claim: undefined,
      finalError: undefined,
      resolve,
      reject,
    };
    const timer = setTimeout(finish, waitMs, waiter);
    const abort = () => dismiss(waiter, signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    waiter.queue.waiters.add(waiter);
    count += 1;
    tryNext(waiter.queue);
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    });
  }

  function queueOf(walletId: string, limit: string | undefined): Queue {
    const queues = wallets.get(walletId) ?? new Map<string | undefined, Queue>();
    wallets.set(walletId, queues);
    const queue = queues.get(limit) ?? {
      walletId,
      limit,
      waiters: new Set(),
      available: UNKNOWN,
      resetsAt: null,
      pauseMs: FIRST_PAUSE_MS,
      timer: undefined,
    };
    queues.set(limit, queue);
    return queue;
  }

  function leave(waiter: Waiter): void {
    const { queue } = waiter;
    queue.waiters.delete(waiter);
    if (queue.waiters.size > 0) return;
    clearTimeout(queue.timer?.id);
    const queues = wallets.get(queue.walletId);
    queues?.delete(queue.limit);
    if (queues?.size === 0) wallets.delete(queue.walletId);
  }

  function end(waiter: Waiter): void {
    leave(waiter);
    count -= 1;
  }

  function tryNext(queue: Queue): void {
    if (queue.limit === undefined) tryAllThatFit(queue);
    else tryFirst(queue);
  }

  function tryAllThatFit(queue: Queue): void {
    let left = queue.available;
    for (const { claim = 0n } of queue.waiters) left -= claim;
    let allSent = true;
    for (const waiter of queue.waiters) {
      if (waiter.claim !== undefined) continue;
      if (waiter.least > left) allSent = false;
      else left -= tryNow(waiter, left);
    }
    if (!allSent) tryLater(queue);
  }

  function tryFirst(queue: Queue): void {
    const [first] = queue.waiters;
    if (first && first.claim === undefined) tryNow(first, 0n);
  }

  /** Tries the next one behind a request that was refused, if it is small enough. */
  function trySmaller(refused: Waiter, room: bigint): void {
    const waiters = [...refused.queue.waiters];
    const smaller = waiters
      .slice(waiters.indexOf(refused) + 1)
      .find(({ claim, least }) => claim === undefined && least <= room);
    if (smaller) tryNow(smaller, room);
  }

  function tryNow(waiter: Waiter, left: bigint): bigint {
    const { amount } = waiter;
    waiter.claim = amount < left ? amount : left;
    void answer(waiter);
    return waiter.claim;
  }

  async function answer(waiter: Waiter): Promise<void> {
    const { queue } = waiter;
    try {
      const held = await request(waiter.args);
      end(waiter);
      waiter.resolve(held);
    } catch (error) {
      waiter.claim = undefined;
      noteCost(waiter, error);
      const obstacle = obstacleOf(error);
      if (obstacle && !waiter.finalError && mayClear(obstacle, waiter)) {
        return waitFor(waiter, obstacle);
      }
      end(waiter);
      waiter.reject(obstacle && waiter.finalError ? waiter.finalError(error) : error);
      // What failed this one, such as a freeze, may fail the next one, which then need not wait.
      if (!obstacle) tryFirst(queue);
    }
    tryNext(queue);
  }

  function waitFor(waiter: Waiter, obstacle: Obstacle): void {
    const before = waiter.queue;
    const queue = queueOf(before.walletId, obstacle.limit);
    if (queue !== before) {
      queue.waiters.add(waiter);
      leave(waiter);
      waiter.queue = queue;
    }
    queue.resetsAt = obstacle.mayClearEarlier ? null : obstacle.clearsAt;
    tryLater(queue, obstacle.clearsAt);
    if (queue.limit !== undefined) trySmaller(waiter, obstacle.room);
    else if (queue.available === UNKNOWN) queue.available = obstacle.room;
    // Another answer has changed it since.
    else if (queue.available !== obstacle.room) tryAllThatFit(queue);
    if (queue !== before) tryNext(before);
  }

  function tryLater(queue: Queue, clearsAt: Date | null = null): void {
    const delay = delayOf(queue, clearsAt);
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

  function finish(waiter: Waiter): void {
    waiter.finalError ??= (refusal) => refusal;
    if (waiter.claim === undefined) tryNow(waiter, 0n);
  }

  function dismiss(waiter: Waiter, reason: unknown): void {
    waiter.finalError = () => reason;
    if (waiter.claim !== undefined || !waiter.queue.waiters.has(waiter)) return;
    end(waiter);
    waiter.reject(reason);
  }

  return {
    reserve,
    observe(walletId, available) {
      const queue = wallets.get(walletId)?.get(undefined);
      if (!queue || available === null) return;
      queue.available = available;
      tryAllThatFit(queue);
    },
    noteEnd(walletId) {
      const queues = wallets.get(walletId);
      const held = [...(queues?.values() ?? [])].filter(
        ({ limit, resetsAt }) => limit !== undefined && resetsAt === null,
      );
      for (const queue of held.slice(0, TRIED_AT_AN_END)) {
        // Behind the others, whose turn it is at the next end.
        queues?.delete(queue.limit);
        queues?.set(queue.limit, queue);
        tryFirst(queue);
      }
    },
    close() {
      closed = true;
      for (const { waiters } of [...wallets.values()].flatMap((queues) => [...queues.values()])) {
        for (const waiter of waiters) dismiss(waiter, new LedgerClosedError());
      }
    },
  };
}

/** Whether it pays to wait: what is exhausted does not clear before its next window begins. */
function mayClear({ clearsAt, mayClearEarlier }: Obstacle, { deadline }: Waiter): boolean {
  return mayClearEarlier || (clearsAt?.getTime() ?? Infinity) <= deadline;
}

/** Takes note of what usage costs, so that it waits for as much. */
function noteCost(waiter: Waiter, error: unknown): void {
  if (!waiter.args.usage || !(error instanceof InsufficientFundsError)) return;
  waiter.amount = error.requested;
  waiter.least = waiter.args.atLeast ?? error.requested;
}

function delayOf({ pauseMs, resetsAt }: Queue, clearsAt: Date | null): number {
  const pause = pauseMs * (1 - Math.random() / 2);
  const dueIn = (at: Date | null): number => (at?.getTime() ?? 0) + LEEWAY_MS - Date.now();
  const resetsIn = dueIn(resetsAt);
  // Not all clients at the same instant.
  if (resetsIn > 0) return Math.min(resetsIn + pause, LONGEST_TIMER_MS);
  const clearsIn = dueIn(clearsAt);
  return clearsIn > 0 ? Math.min(clearsIn, pause) : pause;
}
