import { costOf, type NanoDollars, type TracedCall } from "../trace/index.ts";
import { createModel, type Funds, type Model } from "./model.ts";
import { type Assumptions, durationMs, holdOf, type Moment, momentsOf } from "./moments.ts";

/** Calls, and an amount that they have in common. */
export interface Sum {
  calls: number;
  amount: NanoDollars;
}

/** The first call that would have been refused. */
export interface Refusal {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Number of the call in the trace, from 1. */
  readonly call: number;
  readonly requested: NanoDollars;
  readonly available: NanoDollars;
  readonly reserved: NanoDollars;
}

/** The funds at a moment. */
export interface Point extends Funds {
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What a log of calls would have done to a budget; amounts in nano-dollars. */
export interface Simulation {
  readonly credit: NanoDollars;
  readonly calls: number;
  readonly from: number;
  readonly to: number;
  readonly granted: Sum;
  readonly refused: Sum;
  readonly firstRefused: Refusal | null;
  /** The most that was held at once, by so many calls, and when. */
  readonly peak: Sum & { readonly at: number };
  /** Released because the call lasted beyond the deadline. */
  readonly expired: Sum;
  /** Settled after that, out of what was available. */
  readonly late: Sum;
  /** Beyond what was reserved. */
  readonly over: Sum;
  readonly longestCallMs: number;
  readonly end: Funds;
  /** After each change. */
  readonly points: readonly Point[];
}

/** Runs the calls of a trace against a wallet with a credit. */
export function simulate(
  calls: readonly TracedCall[],
  credit: NanoDollars,
  assumptions: Assumptions,
): Simulation {
  const model = createModel(credit);
  const points: Point[] = [];
  const tally = emptyTally();
  const moments = momentsOf(calls, assumptions);
  for (const moment of moments) {
    const call = calls[moment.call] as TracedCall;
    if (act(model, moment, call, assumptions, tally)) {
      points.push({ at: moment.at, ...model.funds() });
      notePeak(model, moment.at, tally);
    }
  }
  const longest = calls.reduce((most, call) => Math.max(most, call.outputTokens), 0);
  return {
    credit,
    calls: calls.length,
    from: moments[0]?.at ?? 0,
    to: Math.max(
      points.at(-1)?.at ?? 0,
      calls.reduce((last, { at }) => Math.max(last, at), 0),
    ),
    ...tally,
    longestCallMs: durationMs(longest, assumptions.tokensPerSecond),
    end: model.funds(),
    points,
  };
}

/** The least credit with which none of the calls would have been refused. */
export function sufficientCredit(
  calls: readonly TracedCall[],
  assumptions: Assumptions,
): NanoDollars {
  // More than they can cost and hold together: whatever happens, there is enough.
  const plenty = calls.reduce(
    (sum, call) => sum + holdOf(call, assumptions) + actualCost(call, assumptions),
    1n,
  );
  // Right after each grant: a settlement may go below zero, and only the next grant minds.
  const model = createModel(plenty);
  let most = 0n;
  for (const moment of momentsOf(calls, assumptions)) {
    act(model, moment, calls[moment.call] as TracedCall, assumptions, emptyTally());
    if (moment.kind === "start") {
      const used = plenty - model.funds().available;
      most = used > most ? used : most;
    }
  }
  return most;
}

interface Tally {
  readonly granted: Sum;
  readonly refused: Sum;
  readonly expired: Sum;
  readonly late: Sum;
  readonly over: Sum;
  firstRefused: Refusal | null;
  peak: Sum & { readonly at: number };
}

function emptyTally(): Tally {
  const none = (): Sum => ({ calls: 0, amount: 0n });
  return {
    granted: none(),
    refused: none(),
    expired: none(),
    late: none(),
    over: none(),
    firstRefused: null,
    peak: { ...none(), at: 0 },
  };
}

function actualCost(
  { inputTokens, outputTokens }: TracedCall,
  { price }: Assumptions,
): NanoDollars {
  return costOf(price, inputTokens, outputTokens);
}

// True if it changed the funds.
function act(
  model: Model,
  { at, kind, call: id }: Moment,
  call: TracedCall,
  assumptions: Assumptions,
  tally: Tally,
): boolean {
  const cost = actualCost(call, assumptions);
  if (kind === "start") {
    const requested = holdOf(call, assumptions);
    const granted = model.reserve(id, requested);
    add(granted ? tally.granted : tally.refused, cost);
    if (!granted) tally.firstRefused ??= { at, call: id + 1, requested, ...model.funds() };
    return granted;
  }
  if (kind === "deadline") {
    const released = model.expire(id);
    if (released !== null) add(tally.expired, released);
    return released !== null;
  }
  const settled = model.settle(id, cost);
  if (settled?.late) add(tally.late, cost);
  if (settled && settled.over > 0n) add(tally.over, settled.over);
  return settled !== null;
}

function add(sum: Sum, amount: bigint): void {
  sum.calls += 1;
  sum.amount += amount;
}

function notePeak(model: Model, at: number, tally: Tally): void {
  const { reserved } = model.funds();
  if (reserved > tally.peak.amount) tally.peak = { calls: model.open, amount: reserved, at };
}
