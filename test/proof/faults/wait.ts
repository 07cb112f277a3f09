import { until } from "../../support/until.ts";

/** How long to wait on a machine that may be very busy. */
export const PATIENCE_MS = 120_000;

/** Waits for a condition, on a machine that may be very busy. */
export function waitUntil<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  return until(what, condition, PATIENCE_MS);
}
