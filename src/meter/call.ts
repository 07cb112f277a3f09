import type { Labels, Ledger, Reservation } from "../client/index.ts";
import type { Metadata } from "../json/index.ts";
import { createEnds } from "./call-ends.ts";
import { catalogueOf, type ModelFacts } from "./catalogue.ts";
import { type CallEnd, type CallObserver, observeCall } from "./telemetry.ts";
import {
  type Asked,
  type BoundOptions,
  boundUsage,
  type UsageBound,
  usageOf,
  withModel,
} from "./usage-bound.ts";
import { walletUnit } from "./wallet-units.ts";
import type { Kinds } from "./wire/index.ts";

/** What metering uses of a ledger. */
export type MeterLedger = Pick<
  Ledger,
  "hold" | "settle" | "listPrices" | "quote" | "quotes" | "affordable" | "balance"
>;

/** A call that is about to be made. */
export interface CallOptions extends BoundOptions {
  readonly ledger: MeterLedger;
  readonly asked: Asked;
  readonly walletId: string;
  readonly labels?: Labels | undefined;
  /** Goes on record with the reservation. */
  readonly metadata?: Metadata | undefined;
  /** Accept a lower limit of output, down to so many tokens for each choice. */
  readonly shrinkTo?: number | undefined;
  /** Seconds to wait while others hold the funds; see `HoldOptions`. */
  readonly wait?: number | undefined;
  readonly ttl?: string | number | undefined;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
  /** Called with what could not be booked. Default: a warning of the process. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** For spans and metrics: chat, embeddings, generate_content … */
  readonly operation: string;
  readonly stream?: boolean | undefined;
}

/**
 * A call that funds are held for. It ends once: the first of the four decides, and none of them
 * rejects, as the answer has been paid for by then.
 */
export interface Call {
  readonly reservation: Reservation;
  /** A lower limit of output for each choice, where the funds suffice for less than was asked for. */
  readonly limit: number | undefined;
  /** Books what was used; `variant` where the answer says another than was asked for. */
  used(kinds: Kinds, variant?: string): Promise<CallEnd | undefined>;
  /** Books the input that is known with the most output, at most the hold. */
  atMost(kinds: Kinds, why: string): Promise<CallEnd | undefined>;
  /** Books nothing: it is certain that nothing was spent. */
  free(why: string): Promise<CallEnd | undefined>;
  /** Books the whole hold: something may have been spent, and nobody knows how much. */
  unknown(why: string): Promise<CallEnd | undefined>;
}

/**
 * Holds what a call may cost at most.
 *
 * @throws LedgerError if the ledger refuses that; NoBoundError if nothing bounds the call
 */
export async function beginCall(options: CallOptions): Promise<Call> {
  const { ledger, asked, walletId } = options;
  const observer = observeCall({
    operation: options.operation,
    model: asked.model,
    variant: asked.variant,
    stream: options.stream ?? false,
    walletId,
    wallet: () => walletUnit(ledger, walletId).catch(() => undefined),
  });
  try {
    const facts = await findModel(options);
    const bound = boundUsage(asked, facts, options);
    const least = await leastOf(options, bound);
    const reservation = await holdFor(options, bound, least?.amount);
    const limit = least && (await shrunk(options, bound, least, reservation));
    const most = usageOf(bound, limit);
    const ends = createEnds({ ...options, facts, most, bound, reservation });
    const once = createOnce(options, observer);
    return {
      reservation,
      limit,
      used: (kinds, variant) => once(() => ends.used(kinds, variant)),
      atMost: (kinds, why) => once(() => ends.atMost(kinds, why)),
      free: (why) => once(() => ends.free(why)),
      unknown: (why) => once(() => ends.hold(why)),
    };
  } catch (error) {
    observer.refused(codeOf(error), error);
    throw error;
  }
}

/** A word for why a call was not begun. */
export function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
  return typeof code === "string" ? code : String(name);
}

async function findModel({ ledger, asked }: CallOptions): Promise<ModelFacts> {
  const { model, variant } = asked;
  const found = await catalogueOf(ledger).find(model, variant);
  if (found) return found;
  // The ledger says what is missing.
  await ledger.quote({ usage: { model, variant, requests: 0 } });
  const set = await catalogueOf(ledger).find(model, variant);
  if (set) return set;
  throw new Error(`the price of ${model} could not be read`);
}

/** The least that is accepted: its output for each choice, and what that and all of it cost. */
interface Least {
  readonly output: number;
  readonly amount: bigint;
  readonly full: bigint;
}

async function leastOf(options: CallOptions, bound: UsageBound): Promise<Least | undefined> {
  const { ledger, asked, walletId, shrinkTo } = options;
  const { lowest } = asked.output;
  // What an amount affords is known for tokens of text only.
  if (shrinkTo === undefined || lowest === undefined || bound.outputKind !== "output") return;
  const output = Math.max(Math.floor(shrinkTo), lowest);
  if (output >= bound.output) return;
  const { scale } = await walletUnit(ledger, walletId);
  const usages = [bound.output, output].map((each) => withModel(asked, usageOf(bound, each)));
  const [all, least] = await ledger.quotes({ usages, scale });
  if (all === undefined || least === undefined) return;
  return { output, amount: least.amount, full: all.amount };
}

async function holdFor(
  options: CallOptions,
  bound: UsageBound,
  atLeast: bigint | undefined,
): Promise<Reservation> {
  const { ledger, asked, walletId, labels, metadata, wait, ttl, signal } = options;
  // Of its own, as the signal of a hold also ends the heartbeats, which the settlement may need.
  const waiting = new AbortController();
  const stop = () => waiting.abort(signal?.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await ledger.hold({
      walletId,
      usage: withModel(asked, usageOf(bound)),
      atLeast,
      labels,
      metadata,
      wait,
      ttl,
      signal: waiting.signal,
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The output for each choice that was granted, if it is less than was asked for. */
async function shrunk(
  { ledger, asked, walletId }: CallOptions,
  bound: UsageBound,
  least: Least,
  reservation: Reservation,
): Promise<number | undefined> {
  const { amount } = reservation;
  if (amount >= least.full) return undefined;
  try {
    const { scale } = await walletUnit(ledger, walletId);
    const usage = withModel(asked, bound.rest);
    const affordable = Number(await ledger.affordable({ usage, amount, scale }));
    return Math.max(Math.floor(affordable / bound.choices), least.output);
  } catch (error) {
    await reservation.cancel({ reason: "threw" }).catch(() => undefined);
    throw error;
  }
}

/** Lets the first end count, and reports what goes wrong with it. */
function createOnce({ onError = warn }: CallOptions, observer: CallObserver) {
  let ended: Promise<CallEnd | undefined> | undefined;
  return (end: () => Promise<CallEnd>): Promise<CallEnd | undefined> => {
    ended ??= end().then(
      (how) => {
        observer.ended(how);
        return how;
      },
      (error: unknown) => {
        observer.lost(error);
        onError(error);
        return undefined;
      },
    );
    return ended;
  };
}

let warned = false;

function warn(error: unknown): void {
  if (warned) return;
  warned = true;
  process.emitWarning(
    `a model call was made, and what it cost could not be booked: ${String(error)}; this is said ` +
      "once; the option onError is called each time",
    { code: "BASELEDGER_NOT_BOOKED" },
  );
}
