import type { Reservation } from "./reservation.ts";
import type { Metadata } from "./tally.ts";

/** An amount to book, with what goes on record with it. */
export type Floor = bigint | { readonly amount: bigint; readonly metadata?: Metadata | undefined };

/**
 * What a call has cost when it breaks off before anything was reported: an amount, or a function
 * that finds it. `error` is undefined where a block with `await using` was left.
 */
export type OnThrow =
  | bigint
  | ((error: unknown, reservation: Reservation) => Floor | PromiseLike<Floor>);

/** Refuses at once what could not be booked later. */
export function requireOnThrow(onThrow: unknown): void {
  if (onThrow === undefined || typeof onThrow === "function") return;
  requireAmount(onThrow);
}

/** The amount to book for a reservation that broke off with an error. */
export async function floorOf(
  onThrow: OnThrow | undefined,
  error: unknown,
  reservation: Reservation,
): Promise<{ readonly amount: bigint; readonly metadata?: Metadata | undefined }> {
  const given = typeof onThrow === "function" ? await onThrow(error, reservation) : (onThrow ?? 0n);
  const floor = typeof given === "object" && given !== null ? given : { amount: given };
  requireAmount(floor.amount);
  return floor;
}

function requireAmount(amount: unknown): void {
  if (typeof amount !== "bigint") throw new TypeError("onThrow must give a bigint, such as 250n");
  if (amount < 0n) throw new RangeError(`onThrow must give 0n or more, not ${amount}`);
}

// No message: it may have a secret in it, such as a key in the address of the provider.
const PLAIN = /^[\w.:$-]{1,64}$/;

/** Why a callback broke off, as it goes on record: name and code of what it threw. */
export function whyThrown(error: unknown): Metadata {
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
