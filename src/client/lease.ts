import { HeartbeatLostError, LedgerError } from "../errors/index.ts";
import { createIdempotencyKey } from "./keys.ts";
import type { Held } from "./receipts.ts";
import type { SendFollowUp } from "./reservation.ts";

/** The lease of a reservation: what it holds until when. Heartbeats renew it. */
export interface Lease {
  readonly amount: bigint;
  readonly expiresAt: Date;
  /** Aborts when the caller's signal does, and when the reservation is lost. */
  readonly signal: AbortSignal;
  extend(amount?: bigint): Promise<Held>;
  /** Ends the heartbeats, and stops listening to the caller's signal. */
  stop(): void;
}

/** Options of {@link startLease}. */
export interface LeaseOptions {
  readonly receipt: Held;
  readonly ttl: number | string;
  readonly signal: AbortSignal | undefined;
  readonly send: SendFollowUp;
}

const BEATS_PER_TTL = 3;
const RETRIES_PER_TTL = 10;
const SHORTEST_TTL_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Extends a reservation after every third of its time to live, until the lease is stopped, the
 * reservation is lost or the caller's signal aborts. The timers do not keep the program alive.
 */
export function startLease({ receipt, ttl, signal, send }: LeaseOptions): Lease {
  const { walletId, reservationId } = receipt;
  const ttlMs = toMilliseconds(ttl, receipt);
  const controller = new AbortController();
  let { amount, expiresAt } = receipt;
  let isStopped = false;
  let lastError: unknown;
  let nextBeat = after(ttlMs / BEATS_PER_TTL, beat);
  // It starts after the event, when the answer is there: when it fires, the deadline has passed.
  let deadline = after(ttlMs, expire);

  async function extend(hold?: bigint): Promise<Held> {
    const args = {
      walletId,
      reservationId,
      ttl,
      amount: hold,
      idempotencyKey: createIdempotencyKey(),
    };
    const extended = (await send("extend", args)) as Held;
    amount += extended.amount;
    expiresAt = extended.expiresAt;
    return extended;
  }

  async function beat(): Promise<void> {
    try {
      await extend();
      if (isStopped) return;
      clearTimeout(deadline);
      deadline = after(ttlMs, expire);
      nextBeat = after(ttlMs / BEATS_PER_TTL, beat);
    } catch (error) {
      if (isStopped) return;
      lastError = error;
      if (error instanceof LedgerError) abort(error);
      else nextBeat = after(ttlMs / RETRIES_PER_TTL, beat);
    }
  }

  function expire(): void {
    abort(new HeartbeatLostError(reservationId, lastError));
  }

  function abort(reason: unknown): void {
    stopBeating();
    controller.abort(reason);
  }

  function stopBeating(): void {
    isStopped = true;
    clearTimeout(nextBeat);
    clearTimeout(deadline);
  }

  const abortWithCaller = () => abort(signal?.reason);
  signal?.addEventListener("abort", abortWithCaller, { once: true });

  return {
    get amount() {
      return amount;
    },
    get expiresAt() {
      return expiresAt;
    },
    signal: controller.signal,
    extend,
    stop() {
      stopBeating();
      signal?.removeEventListener("abort", abortWithCaller);
    },
  };
}

function after(ms: number, run: () => unknown): NodeJS.Timeout {
  return setTimeout(run, Math.min(ms, LONGEST_TIMER_MS)).unref();
}

/**
 * The time to live in milliseconds. Only the database reads an interval such as `5 minutes`, so it
 * is taken from the receipt: from the event to the deadline. If the event is dated ahead of the
 * server's clock, which decides about deadlines, this program's clock is used instead.
 */
function toMilliseconds(ttl: number | string, { expiresAt, occurredAt }: Held): number {
  if (typeof ttl === "number") return ttl * 1000;
  const ms = expiresAt.getTime() - occurredAt.getTime();
  if (ms >= SHORTEST_TTL_MS) return ms;
  return Math.max(expiresAt.getTime() - Date.now(), SHORTEST_TTL_MS);
}
