import { LedgerError } from "../errors/index.ts";
import { HeartbeatLostError } from "./errors.ts";

/** What a heartbeat needs. */
export interface HeartbeatOptions {
  readonly reservationId: string;
  /** How long the reservation lives after each beat. */
  readonly ttlMs: number;
  /** Extends the reservation. */
  readonly beat: () => Promise<unknown>;
  /** Called once when the reservation is lost: a beat was refused, or none came through in time. */
  readonly onLost: (reason: LedgerError | HeartbeatLostError) => void;
}

/** A heartbeat that goes on until it is stopped, or the reservation lost. */
export interface Heartbeat {
  stop(): void;
}

const BEATS_IN_A_LIFE = 3;
const RETRIES_IN_A_LIFE = 10;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Extends a reservation at every third of its life. It does not keep the program alive. */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { reservationId, ttlMs, beat, onLost } = options;
  let stopped = false;
  let trouble: unknown;
  let next = after(ttlMs / BEATS_IN_A_LIFE, extend);
  // From the answer on, which came after the event: when it fires, the deadline has passed.
  let deadline = after(ttlMs, expire);

  async function extend(): Promise<void> {
    try {
      await beat();
      if (stopped) return;
      clearTimeout(deadline);
      deadline = after(ttlMs, expire);
      next = after(ttlMs / BEATS_IN_A_LIFE, extend);
    } catch (error) {
      if (stopped) return;
      trouble = error;
      if (error instanceof LedgerError) lose(error);
      else next = after(ttlMs / RETRIES_IN_A_LIFE, extend);
    }
  }

  function expire(): void {
    lose(new HeartbeatLostError(reservationId, trouble));
  }

  function lose(reason: LedgerError | HeartbeatLostError): void {
    stop();
    onLost(reason);
  }

  function stop(): void {
    stopped = true;
    clearTimeout(next);
    clearTimeout(deadline);
  }

  return { stop };
}

function after(ms: number, run: () => unknown): NodeJS.Timeout {
  return setTimeout(run, Math.min(ms, LONGEST_TIMER_MS)).unref();
}
