import type { NanoDollars } from "../trace/index.ts";

/** A call of a trace, with what it reserves and costs. */
export interface PricedCall {
  /** Milliseconds since 1970, by the clock of the trace. */
  readonly at: number;
  readonly outputTokens: number;
  readonly hold: NanoDollars;
  readonly cost: NanoDollars;
}

/** What is assumed about the time of calls, of which a trace has only the start. */
export interface Assumptions {
  /** How long a reservation lives. */
  readonly ttlMs: number;
  /** How fast the model writes; what a call lasts. */
  readonly tokensPerSecond: number;
}

/** Something that happens to a call: it starts, it ends, or the deadline of its hold passes. */
export interface Moment {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly kind: "deadline" | "end" | "start";
  /** Number of the call in the order of the trace, from 0. */
  readonly call: number;
}

const ORDER = { deadline: 0, end: 1, start: 2 } as const;

/**
 * All moments of all calls, in the order in which they happen. Funds that return at an instant can
 * be reserved at that instant; a call that ends on its deadline is late, as in the ledger.
 */
export function momentsOf(
  calls: readonly PricedCall[],
  { ttlMs, tokensPerSecond }: Assumptions,
): Moment[] {
  const moments = calls.flatMap(({ at, outputTokens }, call): Moment[] => [
    { at, kind: "start", call },
    { at: at + durationMs(outputTokens, tokensPerSecond), kind: "end", call },
    { at: at + ttlMs, kind: "deadline", call },
  ]);
  return moments.sort((a, b) => a.at - b.at || ORDER[a.kind] - ORDER[b.kind] || a.call - b.call);
}

/** How long a call lasts: at least 1 ms, as it must end after it starts. */
export function durationMs(outputTokens: number, tokensPerSecond: number): number {
  return Math.max((outputTokens / tokensPerSecond) * 1000, 1);
}
