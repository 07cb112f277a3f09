import { costOf, type NanoDollars, type Price, type TracedCall } from "../trace/index.ts";

/** What is assumed about the calls of a trace, which has only their start and their tokens. */
export interface Assumptions {
  readonly price: Price;
  /** Output tokens that each call asks the model for at most, and so reserves. */
  readonly maxOutput: number;
  /** Reserved on top of that, in percent. */
  readonly overhead: number;
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
  calls: readonly TracedCall[],
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

/** What a call reserves: the most it may cost, and the overhead, rounded up. */
export function holdOf(
  { inputTokens }: TracedCall,
  { price, maxOutput, overhead }: Assumptions,
): NanoDollars {
  const most = costOf(price, inputTokens, maxOutput);
  return (most * BigInt(100 + overhead) + 99n) / 100n;
}
