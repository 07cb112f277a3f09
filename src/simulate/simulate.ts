import type { NanoDollars } from "../trace/index.ts";
import { createModel, type Funds, type Model } from "./model.ts";
import {
  type Assumptions,
  durationMs,
  type Moment,
  momentsOf,
  type PricedCall,
} from "./moments.ts";

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
  /** Settled after the deadline, out of what was available. */
  readonly late: Sum;
  /** The overage of the settlements in time. */
  readonly over: Sum;
  readonly longestCallMs: number;
  readonly end: Funds;
  /** After each change. */
  readonly points: readonly Point[];
}

/** Runs the calls of a trace against a wallet with a credit. */
export function simulate(
  calls: readonly PricedCall[],
  credit: NanoDollars,
  assumptions: Assumptions,
): Simulation {
  const model = createModel(credit);
  const points: Point[] = [];
  const totals = emptyTotals();
  const moments = momentsOf(calls, assumptions);
  for (const moment of moments) {
    const call = calls[moment.call] as PricedCall;
    if (apply(model, moment, call, totals)) {
      points.push({ at: moment.at, ...model.funds() });
      recordPeak(model, moment.at, totals);
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
    ...totals,
    longestCallMs: durationMs(longest, assumptions.tokensPerSecond),
    end: model.funds(),
    points,
  };
}

/** The least credit with which none of the calls would have been refused. */
export function sufficientCredit(
  calls: readonly PricedCall[],
  assumptions: Assumptions,
): NanoDollars {
  // More than all calls can cost and hold together, so that nothing is refused.
  const plenty = calls.reduce((sum, { cost, hold }) => sum + hold + cost, 1n);
  // Measured after each grant: a settlement may take available below zero, a grant may not.
  const model = createModel(plenty);
  let most = 0n;
  for (const moment of momentsOf(calls, assumptions)) {
    apply(model, moment, calls[moment.call] as PricedCall, emptyTotals());
    if (moment.kind === "start") {
      const used = plenty - model.funds().available;
      most = used > most ? used : most;
    }
  }
  return most;
}

interface Totals {
  readonly granted: Sum;
  readonly refused: Sum;
  readonly expired: Sum;
  readonly late: Sum;
  readonly over: Sum;
  firstRefused: Refusal | null;
  peak: Sum & { readonly at: number };
}

function emptyTotals(): Totals {
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

/** Plays a moment; true if it changed the funds. */
function apply(
  model: Model,
  { at, kind, call: id }: Moment,
  { cost, hold }: PricedCall,
  totals: Totals,
): boolean {
  if (kind === "start") {
    const granted = model.reserve(id, hold);
    add(granted ? totals.granted : totals.refused, cost);
    if (!granted) {
      totals.firstRefused ??= { at, call: id + 1, requested: hold, ...model.funds() };
    }
    return granted;
  }
  if (kind === "deadline") {
    const released = model.expire(id);
    if (released !== null) add(totals.expired, released);
    return released !== null;
  }
  const settled = model.settle(id, cost);
  if (settled?.late) add(totals.late, cost);
  if (settled && settled.overage > 0n) add(totals.over, settled.overage);
  return settled !== null;
}

function add(sum: Sum, amount: bigint): void {
  sum.calls += 1;
  sum.amount += amount;
}

function recordPeak(model: Model, at: number, totals: Totals): void {
  const { reserved } = model.funds();
  if (reserved > totals.peak.amount) totals.peak = { calls: model.open, amount: reserved, at };
}
