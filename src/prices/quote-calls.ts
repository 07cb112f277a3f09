import { LedgerError, PriceNotFoundError } from "../errors/index.ts";
import { type Quote, quotes } from "../generated/index.ts";
import type { Queryable, Usage } from "../wire/index.ts";
import { DOLLARS } from "./price-row.ts";

/** What a call reserves, and what it uses in the end. */
export interface CallUsage {
  readonly reserves: Usage;
  readonly uses: Usage;
}

/** What a call reserves and costs, by the catalogue of a database. */
export interface CallQuotes {
  readonly hold: Quote;
  readonly cost: Quote;
}

/** A call has no price in dollars; the message says why. */
export class UnpricedCallError extends Error {
  override readonly name = "UnpricedCallError";
  /** Index of the call. */
  readonly call: number;
  /** What cannot be had: a price for the model, its variant, a kind, or one in dollars. */
  readonly reason: PriceNotFoundError["reason"] | undefined;

  constructor(call: number, reason: UnpricedCallError["reason"], why: string, cause?: unknown) {
    super(why, { cause });
    this.call = call;
    this.reason = reason;
  }
}

/** As many as quotes takes at once. */
const MOST = 10_000;

/**
 * Prices calls in dollars by the catalogue of a database, equal usage only once.
 *
 * @throws UnpricedCallError
 */
export async function quoteCalls(
  sql: Queryable,
  calls: readonly CallUsage[],
  onProgress: (done: number, all: number) => void = () => undefined,
): Promise<CallQuotes[]> {
  const keys = calls.map(({ reserves, uses }) => [keyOf(reserves), keyOf(uses)] as const);
  // In this order a model's usages are side by side, for which quotes is fastest.
  const distinct = [...new Set(keys.flat())].sort();
  const found = new Map<string, Quote>();
  for (let first = 0; first < distinct.length; first += MOST) {
    onProgress(first, distinct.length);
    const batch = distinct.slice(first, first + MOST);
    const callOf = (index: number): number =>
      keys.findIndex((both) => both.includes(batch[index] ?? ""));
    for (const [index, quote] of (await quoteBatch(sql, batch, callOf)).entries()) {
      found.set(batch[index] ?? "", quote);
    }
  }
  return keys.map(([reserves, uses]) => ({
    hold: found.get(reserves) as Quote,
    cost: found.get(uses) as Quote,
  }));
}

function keyOf({ model, variant, ...counts }: Usage): string {
  return JSON.stringify({ model, variant, ...counts });
}

async function quoteBatch(
  sql: Queryable,
  batch: readonly string[],
  callOf: (index: number) => number,
): Promise<Quote[]> {
  try {
    const usages = batch.map((key) => JSON.parse(key) as Usage);
    const quoted = await quotes(sql, { usages });
    const foreign = quoted.findIndex(({ currency }) => currency !== DOLLARS);
    if (foreign >= 0) {
      const { currency, model } = quoted[foreign] as Quote;
      const why = `${model} is priced in ${currency}, not in ${DOLLARS}`;
      throw new UnpricedCallError(callOf(foreign), "currency", why);
    }
    return quoted;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    const { place } = (error.detail ?? {}) as { readonly place?: number };
    if (place === undefined) throw error;
    const reason = error instanceof PriceNotFoundError ? error.reason : undefined;
    throw new UnpricedCallError(callOf(Number(place) - 1), reason, describe(error), error);
  }
}

function describe(error: LedgerError): string {
  if (!(error instanceof PriceNotFoundError)) return error.message;
  const { kind, model, reason, variant } = error;
  const name = variant === "standard" ? model : `${model} (${variant})`;
  return `${name} has no price${reason === "kind" ? ` for ${kind}` : ""}`;
}
