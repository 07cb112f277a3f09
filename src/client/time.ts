/** The time that something has. */
export interface Time {
  /**
   * How long, in milliseconds, the server may wait for others if its answer is to come before a
   * deadline (by `performance.now()`); 0 if it is too late to begin.
   */
  patienceUntil(deadline: number | undefined): number;
}

const MARGIN_PART = 0.1;
const LONGEST_MARGIN_MS = 1_000;

/**
 * Divides the time that each call has. What is still with the server when time is up may yet be
 * done, and nobody knows; so the server gives up a little earlier, and nothing begins at the end.
 */
export function createTime(seconds: number): Time {
  const margin = Math.min(seconds * 1000 * MARGIN_PART, LONGEST_MARGIN_MS);
  return {
    patienceUntil(deadline) {
      if (deadline === undefined) return 0;
      const left = deadline - performance.now();
      return left < margin / 2 ? 0 : Math.max(left - margin, left / 2);
    },
  };
}
