import { longestAnswer, type Random, type TracedCall } from "../trace/index.ts";
import type { Operation } from "./measure.ts";
import type { BenchDatabase } from "./server.ts";
import type { Execution } from "./wire.ts";

/** Something to measure beside the naive statement. */
export type Workload = WireWorkload | CallerWorkload;

interface Described {
  readonly name: string;
  readonly wallets: Distribution;
  /** How many clients run it at once. */
  readonly clients: number;
  /** Whether a goal depends on it, so that a quick run measures it, too. */
  readonly isGoal?: true;
}

/** SQL that the load generator sends: a process of its own, which finds the workload by its name. */
export interface WireWorkload extends Described {
  readonly family: "single" | "batch" | "comparators";
  /** Makes what one of its clients sends. */
  readonly create: (nextCall: NextCall<TextCall>, pick: PickWallet) => NextStep;
}

/** Callers within this program, each of whom awaits the answer to a call before the next. */
export interface CallerWorkload extends Described {
  readonly family: "client";
  /** Makes the operation of one of its callers, counted from 0. */
  readonly create: (ground: Ground, pick: PickWallet, caller: number) => Operation;
}

/** Workloads of one kind. */
export type Family = Workload["family"];

/** How many clients the load generator has; each has a connection of its own. */
export const CLIENTS = 8;

/** Gives what a client sends next, in one round trip. */
export type NextStep = () => Step;

/** What a client sends at once. */
export interface Step {
  readonly executions: readonly Execution[];
  /** How many operations it completes; 0 if the next step belongs to the same. */
  readonly operations: number;
}

/** What callers work on. */
export interface Ground {
  /** The naive tables are in the first of them. */
  readonly byStatement: BenchDatabase;
  readonly throughClient: BenchDatabase;
  readonly nextCall: NextCall;
}

/** A call of a model: what is reserved for it, and what it costs in the end. */
export interface Call {
  readonly hold: bigint;
  readonly cost: bigint;
}

/** The same as text, ready to be sent. */
export interface TextCall {
  readonly hold: string;
  readonly cost: string;
}

/** Gives the next call, in the order of arrival; after the last comes the first again. */
export type NextCall<C = Call> = () => C;

// What is measured needs amounts of a usual size, from no catalogue: $2.50 and $10 a million tokens.
const NANO_DOLLARS = { input: 2_500, output: 10_000 };

/** What the calls of a trace reserve and cost, in nano-dollars and in their order. */
export function callsOf(trace: readonly TracedCall[]): Call[] {
  const longest = longestAnswer(trace);
  const cost = (input: number, output: number): bigint =>
    BigInt(input * NANO_DOLLARS.input + output * NANO_DOLLARS.output);
  return trace.map(({ usage: { input = 0, output = 0 } }) => ({
    // The caller does not know the length of the answer, and reserves for the longest.
    hold: cost(input, longest),
    cost: cost(input, output),
  }));
}

/** Repeats calls in their order. */
export function cycle<C>(calls: readonly C[]): NextCall<C> {
  let next = 0;
  return () => {
    const call = calls[next];
    if (!call) throw new Error("there are no calls to make");
    next = (next + 1) % calls.length;
    return call;
  };
}

let keys = 0;

/**
 * An idempotency key of the usual length that was not used before in this program; programs that
 * share a database have different names of 4 letters.
 */
export function nextKey(program: "call" | "wire" = "call"): string {
  keys += 1;
  return `${program}-${keys}`;
}

/** How commands are distributed over wallets. */
export type Distribution = "hot" | "spread" | "zipf";

/** Gives the id of the wallet of the next call. */
export type PickWallet = () => string;

/** The wallet that all calls go to in the distribution `hot`. */
export const HOT = "hot";

/** The id of one of many wallets, counted from 0. */
export function walletId(index: number): string {
  return `wallet-${index}`;
}

/** Makes the picker of a distribution, given how many wallets there are. */
export function createPicker(
  distribution: Distribution,
  counts: { readonly spread: number; readonly zipf: number },
  random: Random,
): PickWallet {
  if (distribution === "hot") return () => HOT;
  if (distribution === "spread") return () => walletId(random.integer(0, counts.spread - 1));
  const draw = createZipf(counts.zipf, random);
  return () => walletId(draw());
}

/**
 * Zipf's law with exponent 1: draws 0, 1, 2 … `count` - 1, the n-th with a probability in
 * proportion to 1 / n. Of 100,000 wallets the first gets 8 % of all calls.
 */
function createZipf(count: number, random: Random): () => number {
  const sums = new Float64Array(count);
  let total = 0;
  for (let rank = 1; rank <= count; rank += 1) {
    total += 1 / rank;
    sums[rank - 1] = total;
  }
  return () => firstAbove(sums, random.uniform() * total);
}

function firstAbove(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
