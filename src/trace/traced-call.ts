import type { Usage } from "../json/index.ts";

/** One call of a model, as a trace records it. */
export interface TracedCall {
  /** Milliseconds since 1970, by the clock of the trace. */
  readonly at: number;
  /** What it used; the model only where the trace names it. */
  readonly usage: Usage;
}

/** A model that calls are priced as, and what it is charged as. */
export interface Model {
  readonly model: string;
  readonly variant?: string | undefined;
}

/** What a call used, of its own model or else of this one. */
export function usageOf({ usage }: TracedCall, { model, variant }: Model): Usage {
  return { model, ...(variant !== undefined && { variant }), ...usage };
}

/** The most that a call may use that is like this one but for its output; it may have none. */
export function withOutput(usage: Usage, output: number): Usage {
  return usage.output === undefined ? usage : { ...usage, output };
}

/** Tokens of all kinds of output. */
export function outputTokens(usage: Usage): number {
  return Object.entries(usage).reduce(
    (sum, [kind, count]) => (kind.startsWith("output") ? sum + Number(count) : sum),
    0,
  );
}

/** The most output tokens that a call of a trace has, and at least one. */
export function longestAnswer(trace: readonly TracedCall[]): number {
  return trace.reduce((most, { usage }) => Math.max(most, usage.output ?? 0), 1);
}
