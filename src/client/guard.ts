import { NothingReportedError } from "./errors.ts";
import type { Handle, Reservation } from "./reservation.ts";

/** Runs a callback on a reservation, and ends that by what the callback has reported. */
export async function guard<T>(
  handle: Handle,
  callback: (reservation: Reservation) => T | PromiseLike<T>,
): Promise<T> {
  const [outcome] = await Promise.allSettled([run(handle.reservation, callback)]);
  await conclude(handle, outcome);
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

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
  // The books must never show less than was spent; too much can be refunded.
  reservation.spend(reservation.amount, { reason: "unreported" });
  await handle.book(outcome);
  throw new NothingReportedError(reservation.id, reservation.amount, outcome.value);
}
