import { costOf, longestAnswer, type Price, type TracedCall } from "../trace/index.ts";

/** A call of a model: what is reserved for it, and what it costs in the end. */
export interface Call {
  readonly hold: bigint;
  readonly cost: bigint;
}

/** Gives the next call, in the order of arrival; after the last comes the first again. */
export type NextCall = () => Call;

/** What the calls of a log reserve and cost, in nano-dollars and in their order. */
export function callsOf(trace: readonly TracedCall[], price: Price): Call[] {
  const longest = longestAnswer(trace);
  return trace.map(({ inputTokens, outputTokens }) => ({
    // Who calls does not know the length of the answer, and reserves for the longest.
    hold: costOf(price, inputTokens, longest),
    cost: costOf(price, inputTokens, outputTokens),
  }));
}

/** Takes calls in turn, over and over. */
export function inTurn(calls: readonly Call[]): NextCall {
  let next = 0;
  return () => {
    const call = calls[next];
    if (!call) throw new Error("there are no calls to take");
    next = (next + 1) % calls.length;
    return call;
  };
}

let keys = 0;

/** An idempotency key of the usual length that was not used before in this program. */
export function nextKey(): string {
  keys += 1;
  return `call-${keys}`;
}
