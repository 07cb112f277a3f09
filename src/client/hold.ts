import { type OnThrow, requireOnThrow } from "./floor.ts";
import type { Held } from "./granted.ts";
import { createKey } from "./keys.ts";
import { createHandle, type Handle, type HandleParts } from "./reservation.ts";
import type { Metadata } from "./tally.ts";
import type { WaitingRoom } from "./waiting.ts";

/** What to hold, and for how long. */
export interface HoldOptions {
  /** Id of the wallet. */
  readonly walletId: string;
  /** The most that it may cost, in the wallet's smallest step. */
  readonly amount: bigint;
  /**
   * How long the hold outlives this program, should it die: seconds, or an interval such as
   * `5 minutes`. While the program lives, heartbeats extend it. Default: 10 minutes.
   */
  readonly ttl?: string | number | undefined;
  /** Be content with less, down to this; the reservation's `amount` says how much it is. */
  readonly atLeast?: bigint | undefined;
  /** Default: the idempotency key. */
  readonly reservationId?: string | undefined;
  /**
   * Name of the reservation, for a caller that may ask for the same one again, e.g. a job that is
   * run again after a crash: as long as it is open, it is taken over. Default: a new one.
   */
  readonly idempotencyKey?: string | undefined;
  /** Goes on record with the reservation. */
  readonly metadata?: Metadata | undefined;
  /** Ends the waiting and the heartbeat, and aborts the reservation's signal. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What to book when the callback of `guard` throws, or a block with `await using` is left, before
   * anything was reported: an amount, or a function that finds it, e.g. what the tokens of the
   * prompt cost once a stream has begun. `(_, { amount }) => amount` books the whole hold. More can
   * be charged later, too much refunded.
   *
   * Default: 0n, and the hold is cancelled. That is right only where a call that throws costs
   * nothing: most providers bill a stream that is cut off, without saying how much.
   */
  readonly onThrow?: OnThrow | undefined;
  /**
   * Seconds for which it is tried again, with the same key, while other reservations hold the
   * funds. Those who wait in this client for one wallet are served in their order, as far as the
   * funds go. When only a credit would help, nothing is waited for. Default: 0.
   */
  readonly wait?: number | undefined;
}

/** How {@link hold} sends. */
export interface HoldParts extends Pick<HandleParts, "send"> {
  readonly reserve: WaitingRoom["reserve"];
  /** Begins something that closing waits for. */
  readonly stay: () => () => void;
}

/** Holds funds, and gives the handle. */
export async function hold(options: HoldOptions, parts: HoldParts): Promise<Handle> {
  const { signal } = options;
  signal?.throwIfAborted();
  requireOnThrow(options.onThrow);
  const reserving = reserve(options, parts);
  if (!signal) return reserving;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([reserving, aborted.promise]);
  } catch (error) {
    // It may be granted yet: then nobody wants it.
    reserving.then((handle) => handle.release({ reason: "aborted" })).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function reserve(options: HoldOptions, parts: HoldParts): Promise<Handle> {
  const { signal, onThrow, wait, idempotencyKey = createKey(), ...args } = options;
  const onEnd = parts.stay();
  try {
    const receipt = await parts.reserve({ ...args, idempotencyKey }, { wait, signal });
    const ttl = options.ttl ?? lifeOf(receipt);
    const extended = receipt.replayed ? await takeOver(receipt, ttl, parts) : receipt;
    return createHandle({ receipt: extended, ttl, signal, onThrow, send: parts.send, onEnd });
  } catch (error) {
    onEnd();
    throw error;
  }
}

/** Proves that a reservation of before is open, and gives it a new life. */
async function takeOver(receipt: Held, ttl: number | string, { send }: HoldParts): Promise<Held> {
  const { walletId, reservationId } = receipt;
  const args = { walletId, reservationId, ttl, idempotencyKey: createKey() };
  const { expiresAt, occurredAt } = (await send("extend", args)) as Held;
  return { ...receipt, expiresAt, occurredAt };
}

/** The seconds that the database gave a reservation which asked for none. */
function lifeOf({ expiresAt, occurredAt }: Held): number {
  return Math.round((expiresAt.getTime() - occurredAt.getTime()) / 1000);
}
