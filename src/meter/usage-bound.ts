import type { Usage } from "../json/index.ts";
import { inputAtMost } from "./bound.ts";
import type { ModelFacts } from "./catalogue.ts";
import type { Kinds, MeteredCall } from "./wire/index.ts";

/** What a call may use, as far as its price depends on it. */
export type Asked = Pick<MeteredCall, "model" | "variant" | "input" | "output" | "fees">;

/** What bounds a call beside its request. */
export interface BoundOptions {
  /** Tokens of input, as counted by the provider. */
  readonly counted?: number | undefined;
  /** The longest sound, in seconds, where that is what costs. */
  readonly longest?: number | undefined;
}

/** The most that a call may use. */
export interface UsageBound {
  /** Without output. */
  readonly rest: Kinds;
  /** Tokens of output for each choice. */
  readonly output: number;
  readonly choices: number;
  /** The kind that the output is held as; undefined if it costs nothing. */
  readonly outputKind: string | undefined;
}

/** Nothing bounds what a call may cost, so it is not sent. */
export class NoBoundError extends Error {
  override readonly name = "NoBoundError";
  readonly code = "no_bound";
}

/** Bounds a call, each side by the dearest kind that it may be reported as. */
export function boundUsage(asked: Asked, facts: ModelFacts, options: BoundOptions): UsageBound {
  const { output } = asked;
  const input = boundInput(asked, facts, options);
  const rates = facts.ratesFor(input.kind === "seconds" ? 0 : input.most);
  const outputKind = dearest(output.kinds, rates);
  return {
    rest: { [dearest(asked.input.kinds, rates) ?? input.kind]: input.most, ...asked.fees },
    output: outputKind === undefined ? 0 : boundOutput(asked, facts),
    choices: output.choices,
    outputKind,
  };
}

/** A bound as usage, with less output if that is given. */
export function usageOf(bound: UsageBound, output = bound.output): Kinds {
  if (bound.outputKind === undefined) return bound.rest;
  return { ...bound.rest, [bound.outputKind]: output * bound.choices };
}

/** Usage of a model, as the ledger prices it. */
export function withModel(
  { model, variant }: Pick<Asked, "model" | "variant">,
  kinds: Kinds,
): Usage {
  return { model, variant, ...kinds };
}

function boundInput(
  { model, input }: Asked,
  { contextWindow }: ModelFacts,
  { counted, longest }: BoundOptions,
): { readonly kind: string; readonly most: number } {
  if (input.kinds.includes("seconds")) {
    if (longest !== undefined) return { kind: "seconds", most: Math.ceil(longest) };
    throw new NoBoundError(`${model} costs by the second: the option longest has to bound it`);
  }
  const counts = counted !== undefined && input.passes === 1;
  const most = counts ? counted : inputAtMost(input, contextWindow);
  if (most !== undefined) return { kind: "input", most };
  throw new NoBoundError(
    `the input refers to more than its text, and the price of ${model} has no context window`,
  );
}

function boundOutput({ model, output }: Asked, facts: ModelFacts): number {
  const { contextWindow, maxOutput } = facts;
  if (output.limit !== undefined) return Math.min(output.limit, contextWindow ?? output.limit);
  // A context window bounds text; images and sound have no limit but the model's.
  const most = maxOutput ?? (output.lowest === undefined ? undefined : contextWindow);
  if (most !== undefined) return most;
  throw new NoBoundError(
    `the request has no limit of output, and the price of ${model} has no max_output`,
  );
}

/** If none has a rate, the first, so that the ledger says which is missing. */
function dearest(kinds: readonly string[], rates: Kinds): string | undefined {
  const [first] = [...kinds].sort((a, b) => (rates[b] ?? -1) - (rates[a] ?? -1));
  return first;
}

/** Cheaper kinds, and what they cost at most where a price does not have them. */
const INSTEAD: Readonly<Record<string, string>> = {
  cache_read: "input",
  cache_read_audio: "input_audio",
  // The one price of all writes.
  cache_write_5m: "cache_write",
  cache_write_1h: "cache_write",
  cache_write_12h: "cache_write",
};

/** Reported usage in kinds that have a price; undefined if one of them has none. */
export function pricedKinds(kinds: Kinds, facts: ModelFacts): Kinds | undefined {
  const rates = facts.ratesFor(countInput(kinds));
  const priced: Record<string, number> = {};
  for (const [kind, n] of Object.entries(kinds)) {
    const as = kind in rates ? kind : INSTEAD[kind];
    if (as !== undefined && as in rates) priced[as] = (priced[as] ?? 0) + n;
    else if (n > 0) return undefined;
  }
  const [any = "input"] = Object.keys(rates);
  return Object.keys(priced).length > 0 ? priced : { [any]: 0 };
}

/** The tokens that decide the tier. */
function countInput(kinds: Kinds): number {
  return Object.entries(kinds)
    .filter(([kind]) => /^(?:input|cache_)/.test(kind))
    .reduce((sum, [, n]) => sum + n, 0);
}
