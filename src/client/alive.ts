import type { Held } from "./granted.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { createKey } from "./keys.ts";
import type { Send } from "./reservation.ts";

/** An open reservation: what it holds until when. */
export interface Life {
  readonly amount: bigint;
  readonly expiresAt: Date;
  /** Aborts when the caller's signal does, and when the reservation is lost. */
  readonly signal: AbortSignal;
  extend(amount?: bigint): Promise<Held>;
  /** Ends the heartbeat, and lets go of the caller's signal. */
  stop(): void;
}

/** What an open reservation is kept alive with. */
export interface LifeParts {
  readonly receipt: Held;
  readonly ttl: number | string;
  readonly signal: AbortSignal | undefined;
  readonly send: Send;
}

/** Keeps a reservation from expiring, until it is stopped or lost, or the caller's signal aborts. */
export function keepAlive({ receipt, ttl, signal, send }: LifeParts): Life {
  const { walletId, reservationId } = receipt;
  const lost = new AbortController();
  let { amount, expiresAt } = receipt;

  async function extend(hold?: bigint): Promise<Held> {
    const args = { walletId, reservationId, ttl, amount: hold, idempotencyKey: createKey() };
    const extended = (await send("extend", args)) as Held;
    amount += extended.amount;
    expiresAt = extended.expiresAt;
    return extended;
  }

  const heartbeat = startHeartbeat({
    reservationId,
    ttlMs: lifeMs(ttl, receipt),
    beat: () => extend(),
    onLost: (reason) => lost.abort(reason),
  });
  const abort = () => {
    heartbeat.stop();
    lost.abort(signal?.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });

  return {
    get amount() {
      return amount;
    },
    get expiresAt() {
      return expiresAt;
    },
    signal: lost.signal,
    extend,
    stop() {
      heartbeat.stop();
      signal?.removeEventListener("abort", abort);
    },
  };
}

const LEAST_LIFE_MS = 1_000;

/**
 * How long a reservation lives, in milliseconds. The database reads an interval such as `5 minutes`:
 * its life is from the event to the deadline, unless the event is dated ahead of the server's clock,
 * by which deadlines count. Then this program's clock has to do.
 */
function lifeMs(ttl: number | string, { expiresAt, occurredAt }: Held): number {
  if (typeof ttl === "number") return ttl * 1000;
  const life = expiresAt.getTime() - occurredAt.getTime();
  if (life >= LEAST_LIFE_MS) return life;
  return Math.max(expiresAt.getTime() - Date.now(), LEAST_LIFE_MS);
}
