import { NothingReportedError } from "../errors/index.ts";
import type { Metadata } from "../json/index.ts";
import type { FundsQueue } from "./funds-queue.ts";
import { createIdempotencyKey } from "./keys.ts";
import type { Held } from "./receipts.ts";
import { createHandle, type Handle, type Reservation, type SendFollowUp } from "./reservation.ts";
import { type Booking, type Cost, requireUsage } from "./usage.ts";

/** What to book: an amount, or an object with an amount or usage, and what goes on record with it. */
export type Floor = bigint | Booking;

/**
 * What a call has cost when it breaks off before anything was reported: an amount, usage, or a
 * function that finds it. `error` is undefined where a block with `await using` was left.
 */
export type OnThrow =
  | Floor
  | ((error: unknown, reservation: Reservation) => Floor | PromiseLike<Floor>);

/** Labels of a reservation, by which limits count it. */
export type Labels = Readonly<Record<string, string>>;

/**
 * What to hold: `amount`, the most that it may cost in the wallet's smallest step, or `usage`, the
 * most that it may use, which the ledger prices; and for how long.
 */
export type HoldOptions = HoldTerms & Cost;

/** How something is held. */
export interface HoldTerms {
  /** Id of the wallet. */
  readonly walletId: string;
  /**
   * How long the hold outlives this program, should it die: seconds, or an interval such as
   * `5 minutes`. While the program lives, heartbeats extend it. Default: 10 minutes.
   */
  readonly ttl?: string | number | undefined;
  /** Accept less, down to this; the reservation's `amount` says how much was granted. */
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
  /**
   * What limits count it by, such as `{ user: "ann", run: "run-7" }`: texts of 1 to 255 bytes, which
   * are merged into the metadata. In a restricted wallet only those count that the caller may choose.
   */
  readonly labels?: Labels | undefined;
  /** Ends the waiting and the heartbeats, and aborts the reservation's signal. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What to book when the callback of `guard` throws, or a block with `await using` is left, before
   * anything was reported: an amount, `{ usage }`, or a function that finds it, e.g. the tokens of
   * the prompt once a stream has begun. `(_, { amount }) => amount` books the full hold. More can
   * be charged later, too much refunded.
   *
   * Default: 0n, and the hold is cancelled. That is right only where a call that throws costs
   * nothing: most providers bill a stream that is cut off, without saying how much.
   */
  readonly onThrow?: OnThrow | undefined;
  /**
   * Seconds for which it is tried again, with the same key, while other reservations hold the funds
   * or what a limit leaves, or until the next window of a limit that is exhausted, if that begins in
   * time. Those who wait in this client for the same thing are served in their order, as far as it
   * goes. Where waiting does not help, e.g. as only a credit would, it is refused at once. Default: 0.
   */
  readonly wait?: number | undefined;
}

/** What {@link hold} uses of the client. */
export interface HoldContext {
  readonly reserve: FundsQueue["reserve"];
  readonly send: SendFollowUp;
  /** Keeps the client open until the function that is returned was called. */
  readonly keepOpen: () => () => void;
}

/** The default of `reserve`. */
const DEFAULT_TTL_S = 600;

/** Holds funds, and gives the handle. */
export async function hold(options: HoldOptions, context: HoldContext): Promise<Handle> {
  const { signal } = options;
  signal?.throwIfAborted();
  requireOnThrow(options.onThrow);
  requireLabels(options.labels);
  const reserving = reserve(options, context);
  if (!signal) return reserving;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([reserving, aborted.promise]);
  } catch (error) {
    // It may still be granted, and nobody wants it any more.
    reserving.then((handle) => handle.release({ reason: "aborted" })).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function reserve(options: HoldOptions, context: HoldContext): Promise<Handle> {
  const { signal, onThrow, wait, labels, ...args } = options;
  const { idempotencyKey = createIdempotencyKey() } = options;
  const metadata = labels ? { ...options.metadata, ...labels } : options.metadata;
  const onEnd = context.keepOpen();
  try {
    const asked = { ...args, metadata, idempotencyKey };
    const receipt = await context.reserve(asked, { wait, signal });
    const ttl = options.ttl ?? DEFAULT_TTL_S;
    return createHandle({
      receipt: receipt.replayed ? await takeOver(receipt, ttl, context) : receipt,
      ttl,
      signal,
      send: context.send,
      onThrow: (error, reservation) => findFloor(onThrow, error, reservation),
      onEnd,
    });
  } catch (error) {
    onEnd();
    throw error;
  }
}

/** Extends a reservation that was granted before, which also proves that it is open. */
async function takeOver(receipt: Held, ttl: number | string, { send }: HoldContext): Promise<Held> {
  const { walletId, reservationId } = receipt;
  const args = { walletId, reservationId, ttl, idempotencyKey: createIdempotencyKey() };
  const { expiresAt, occurredAt } = (await send("extend", args)) as Held;
  return { ...receipt, expiresAt, occurredAt };
}

const LONGEST_LABEL = 255;

/** Refuses what limits would count as if it had no such label. */
function requireLabels(labels: Labels = {}): void {
  for (const [name, value] of Object.entries(labels)) {
    const bytes = typeof value === "string" ? Buffer.byteLength(value) : 0;
    if (bytes >= 1 && bytes <= LONGEST_LABEL) continue;
    throw new TypeError(`label ${name} must be a text of 1 to ${LONGEST_LABEL} bytes`);
  }
}

/** Refuses at once what could not be booked later. */
function requireOnThrow(onThrow: OnThrow | undefined): void {
  if (onThrow !== undefined && typeof onThrow !== "function") readFloor(onThrow);
}

async function findFloor(
  onThrow: OnThrow | undefined,
  error: unknown,
  reservation: Reservation,
): Promise<Booking> {
  return readFloor(
    typeof onThrow === "function" ? await onThrow(error, reservation) : (onThrow ?? 0n),
  );
}

function readFloor(given: Floor): Booking {
  const floor = typeof given === "object" && given !== null ? given : { amount: given };
  if (floor.usage) requireUsage(floor.usage);
  else requireAmount(floor.amount);
  return floor;
}

function requireAmount(amount: unknown): void {
  if (typeof amount !== "bigint")
    throw new TypeError("onThrow must give a bigint, such as 250n, or usage");
  if (amount < 0n) throw new RangeError(`onThrow must give 0n or more, not ${amount}`);
}

/** Runs a callback with a reservation, then ends that by what the callback has reported. */
export async function guard<T>(
  handle: Handle,
  callback: (reservation: Reservation) => T | PromiseLike<T>,
): Promise<T> {
  const [outcome] = await Promise.allSettled([run(handle.reservation, callback)]);
  await conclude(handle, outcome);
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/** Makes a rejection of what the callback throws at once. */
async function run<T>(
  reservation: Reservation,
  callback: (reservation: Reservation) => T | PromiseLike<T>,
): Promise<T> {
  return callback(reservation);
}

async function conclude(handle: Handle, outcome: PromiseSettledResult<unknown>): Promise<void> {
  const { reservation } = handle;
  if (await handle.hasEnded()) return;
  if (outcome.status === "rejected") return handle.breakOff(outcome);
  if (handle.hasReported()) return handle.book(outcome);
  await handle.bookAll({ reason: "unreported" }, outcome);
  throw new NothingReportedError(reservation.id, reservation.amount, outcome.value);
}
