// What models cost: the catalogue, and the price of usage. Part of the model: see ../model.ts.
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../../src/json/index.ts";
import { plain } from "../plain.ts";
import { type Arguments, invalid, isName, MAX, type Refusal, type Time } from "../requests.ts";

/** A row of the catalogue, as the view `prices` shows it. */
export interface Price {
  readonly price_id: bigint;
  readonly model: string;
  /** Null: it is an alias. */
  readonly variant: string | null;
  /** It holds for requests with more tokens of input than that. */
  readonly above: bigint;
  readonly valid_from: Time | "-infinity";
  /** 10^-15 of the currency for one; null for an alias. */
  readonly rates: Rates | null;
  readonly currency: string | null;
  readonly context_window: bigint | null;
  readonly max_output: bigint | null;
  readonly alias_of: string | null;
  readonly source: string | null;
  readonly added_at: Time;
  readonly added_by: string;
}

type Rates = Readonly<Record<string, bigint>>;
export type Catalogue = readonly Price[];

/** What was used, in plain form. */
export type Usage = Readonly<Record<string, Json>>;

/** What usage costs in a wallet. */
export interface Cost {
  readonly price: Price;
  /** An alias resolved. */
  readonly model: string;
  readonly cost: bigint;
}

/** Where the model of usage comes from, and when it was opened. */
export interface Pricing {
  /** Of the reservation, where usage names none. */
  readonly model: string | null;
  readonly variant: string;
  readonly at: Time;
  /** The row by which the reservation was opened. */
  readonly known?: bigint | undefined;
  /** Null: whatever the price is in. */
  readonly unit: string | null;
  readonly scale: number;
}

const MOST = 10n ** 12n;

/** The counts of usage by kind, if it is possible as far as that can be seen without a price. */
function countsOf(usage: Json): readonly (readonly [string, bigint])[] | undefined {
  if (!isObject(usage)) return undefined;
  const { model, variant, ...counts } = plain(usage) as Usage;
  const isText = (value: Json | undefined) => value === undefined || typeof value === "string";
  const isCount = (n: Json) => typeof n === "bigint" && n >= 0n && n <= MOST;
  const kinds = Object.entries(counts) as [string, bigint][];
  const fits = isText(model) && isText(variant) && kinds.length > 0;
  return fits && kinds.every(([, n]) => isCount(n)) ? kinds : undefined;
}

function isObject(value: Json): value is Arguments & Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a kind counts as tokens of input, which decide the tier. */
function isInput(kind: string): boolean {
  return kind.startsWith("input") || kind.startsWith("cache_");
}

/** The tokens of usage: what went in and what came out. */
export function tokensOf(usage: Json): bigint {
  const counts = countsOf(usage) ?? [];
  const isToken = (kind: string) => isInput(kind) || kind.startsWith("output");
  return counts.reduce((sum, [kind, n]) => (isToken(kind) ? sum + n : sum), 0n);
}

/** Whether a text is the name of a model: a provider, a slash, and what may have slashes of its own. */
function isModel(name: string | null): name is string {
  return name !== null && /^[^/]+\/.+$/s.test(name);
}

/** Whether usage is impossible, whatever the prices are. */
export function isBadUsage(usage: Json, model: string | null): boolean {
  const named = isObject(usage) ? (usage.model ?? model) : null;
  return countsOf(usage) === undefined || !isModel(named as string | null);
}

/** The price of usage, or why there is none. */
export function priceOf(prices: Catalogue, usage: Json, pricing: Pricing): Cost | Refusal {
  const counts = countsOf(usage);
  const { at, unit, scale, known } = pricing;
  const given = usage as { readonly model?: string; readonly variant?: string };
  const asked = given?.model ?? pricing.model;
  if (!counts || !isModel(asked)) return invalid("usage");
  const variant = given.variant ?? pricing.variant;
  const model =
    latest(
      prices.filter((row) => isAlias(row, asked)),
      at,
    )?.alias_of ?? asked;
  const none = (why: Readonly<Record<string, Json>>): Refusal => {
    return { refused: "LGPRC", detail: { ...why, model: asked, variant } };
  };
  const rows = prices.filter((row) => row.model === model && row.rates && startOf(row) <= at);
  if (rows.length === 0) return none({ reason: "model" });
  const input = counts.reduce((sum, [kind, n]) => (isInput(kind) ? sum + n : sum), 0n);
  const its = rows.filter((row) => row.variant === variant);
  const tier = its.map(({ above }) => above).filter((above) => above === 0n || above < input);
  const above = tier.reduce((a, b) => (a > b ? a : b), -1n);
  const counting = latest(
    its.filter((row) => row.above === above),
    at,
  );
  // As in the SQL: the opening's own row, if the tier is the same.
  const opening = prices.find((row) => row.price_id === known);
  const isSame = counting && opening?.model === model && opening.variant === variant;
  const price = isSame && opening.above === above ? opening : counting;
  if (!price) return none({ reason: "variant" });

  const rates = price.rates ?? {};
  const unknown = counts.map(([kind]) => kind).filter((kind) => !Object.hasOwn(rates, kind));
  const [kind] = unknown.sort();
  if (kind !== undefined) return none({ reason: "kind", kind });
  if (unit !== null && price.currency !== unit) {
    return none({ reason: "currency", currency: price.currency, unit });
  }
  if (scale < 6) return none({ reason: "scale", scale });
  const cost = costOf(counts, rates, scale);
  return cost > MAX ? invalid("usage") : { price, model, cost };
}

/** In steps of a wallet, rounded up once. */
function costOf(counts: readonly (readonly [string, bigint])[], rates: Rates, scale: number) {
  const sum = counts.reduce((all, [kind, n]) => all + n * (rates[kind] ?? 0n), 0n);
  const [times, by] = [10n ** BigInt(scale), 10n ** 15n];
  return (sum * times + by - 1n) / by;
}

/** What usage costs by a row, whenever that counts; undefined if the row does not fit. */
export function costBy(row: Price | undefined, usage: Json, scale: number): bigint | undefined {
  const counts = countsOf(usage);
  if (!counts || !row?.rates) return undefined;
  return costOf(counts, row.rates, scale);
}

function isAlias({ model, alias_of }: Price, name: string): boolean {
  return model === name && alias_of !== null;
}

/** Of rows, the latest that is valid at an instant; of several the last added. */
function latest(rows: readonly Price[], at: Time): Price | undefined {
  const valid = rows.filter((row) => startOf(row) <= at);
  const start = valid.map(startOf).reduce((a, b) => (a > b ? a : b), EARLIEST);
  return valid.findLast((row) => startOf(row) === start);
}

const EARLIEST = -(2n ** 63n);

export function startOf({ valid_from }: Pick<Price, "valid_from">): Time {
  return valid_from === "-infinity" ? EARLIEST : valid_from;
}

/** What is asked without spending. */
interface Question {
  readonly usage: Json;
  readonly at: Time;
  readonly scale: number;
}

function answer(prices: Catalogue, { usage, at, scale }: Question): Cost | Refusal {
  if (scale < 0 || scale > 18) return invalid("scale");
  return priceOf(prices, usage, { model: null, variant: "standard", at, unit: null, scale });
}

/** What `quote` says. */
export function quote(prices: Catalogue, question: Question): Record<string, Json> | Refusal {
  const priced = answer(prices, question);
  if ("refused" in priced) return priced;
  const { price_id, currency, variant, context_window, max_output } = priced.price;
  const { cost: amount, model } = priced;
  const { scale } = question;
  return { amount, currency, scale, model, variant, price_id, context_window, max_output };
}

/** The most tokens of output of which an amount pays the cost, found by trying. */
export function affordable(
  prices: Catalogue,
  question: Question,
  amount: bigint,
): bigint | Refusal {
  const without = answer(prices, { ...question, usage: withOutput(question.usage, 0n) });
  if ("refused" in without) return without;
  const pays = (n: bigint) => {
    const priced = answer(prices, { ...question, usage: withOutput(question.usage, n) });
    return "cost" in priced && priced.cost <= amount;
  };
  if (!pays(0n)) return 0n;
  let [least, most] = [0n, without.price.max_output ?? MOST];
  while (least < most) {
    const middle = (least + most + 1n) / 2n;
    if (pays(middle)) least = middle;
    else most = middle - 1n;
  }
  return least;
}

function withOutput(usage: Json, output: bigint): Json {
  return isObject(usage) ? ({ ...(usage as Usage), output } as Json) : usage;
}

/** What `list_prices` lists. */
export function listPrices(prices: Catalogue, prefix: string, at: Time, history: boolean): Price[] {
  const key = (row: Price) => [row.model, row.variant, row.above].join(" ");
  const counting = [...Map.groupBy(prices, key).values()].map((its) => latest(its, at));
  const shown = prices.filter((row) => history || counting.includes(row));
  return shown.filter(({ model }) => model.startsWith(prefix)).sort(byName);
}

function byName(a: Price, b: Price): number {
  for (const name of ["model", "variant", "above"] as const) {
    if (a[name] !== b[name]) return (a[name] ?? "") < (b[name] ?? "") ? -1 : 1;
  }
  const [x, y] = [startOf(a), startOf(b)];
  return x === y ? Number(a.price_id - b.price_id) : Number(x - y);
}

/** When a price is set, and by whom. */
export interface Setting {
  readonly clock: Time;
  readonly actor: string;
  readonly source: string | null;
  /** The ids of the rows from before the call. */
  readonly before: bigint;
}

/** What setting a price comes to: the row that says so, and the catalogue with it. */
export interface Set {
  readonly row: Price;
  readonly prices: Catalogue;
}

/** Sets a price or an alias. */
export function setPrice(prices: Catalogue, args: Arguments, setting: Setting): Set | Refusal {
  const field = findInvalidPrice(args);
  if (field) return invalid(field);
  const asked = toPrice(args, setting);
  const wrong = findConflict(prices, asked);
  if (wrong) return invalid(wrong);
  const known = findSame(prices, asked, args.valid_from == null, setting.clock);
  if (known) return { row: known, prices };
  if (isTooEarly(prices, asked, setting)) return invalid("valid_from");
  const row = { ...asked, price_id: BigInt(prices.length) + 1n };
  return { row, prices: [...prices, row] };
}

const KIND = /^[a-z][a-z0-9_]{0,62}$/;

function findInvalidPrice(args: Arguments): string | undefined {
  const { model = null, rates = null, variant = "standard", above = 0, currency = "USD" } = args;
  if (!isModel(model as string | null)) return "model";
  if (args.alias_of != null) return rates === null ? undefined : "alias_of";
  if (!isObject(rates) || !isRates(plain(rates) as Usage)) return "rates";
  if (!isName(variant as string | null)) return "variant";
  if (above === null || BigInt(above as bigint) < 0n) return "above";
  if (!isName(currency as string | null) || String(currency).length > 16) return "currency";
  return ["context_window", "max_output"].find((name) => {
    return args[name] != null && BigInt(args[name] as bigint) < 1n;
  });
}

function isRates(rates: Usage): boolean {
  const all = Object.entries(rates);
  const isRate = (rate: Json) => typeof rate === "bigint" && rate >= 0n && rate <= 10n ** 18n;
  const isKind = (kind: string) => KIND.test(kind) && kind !== "model" && kind !== "variant";
  return all.length > 0 && all.length <= 64 && all.every(([k, rate]) => isKind(k) && isRate(rate));
}

function toPrice(args: Arguments, { clock, actor, source }: Setting): Price {
  const { model, rates = null, variant, above, currency, alias_of = null } = args;
  const number = (value: Json | undefined) => (value == null ? null : BigInt(value as bigint));
  const alias = alias_of !== null;
  return {
    price_id: 0n,
    model: model as string,
    variant: alias ? null : ((variant ?? "standard") as string),
    above: alias ? 0n : (number(above) ?? 0n),
    valid_from: args.valid_from == null ? clock : (plain(args.valid_from) as Price["valid_from"]),
    rates: rates === null ? null : (plain(rates) as unknown as Rates),
    currency: alias ? null : ((currency ?? "USD") as string),
    context_window: number(args.context_window),
    max_output: number(args.max_output),
    alias_of: alias_of as string | null,
    source,
    added_at: clock,
    added_by: actor,
  };
}

/** A name is a model or an alias for ever, and an alias names a model. */
function findConflict(prices: Catalogue, { model, alias_of }: Price): string | undefined {
  const isKnown = (name: string) => prices.some((row) => row.model === name && row.rates);
  if (alias_of === null) return prices.some((row) => isAlias(row, model)) ? "model" : undefined;
  if (isKnown(model)) return "model";
  return isKnown(alias_of) ? undefined : "alias_of";
}

/** What has been priced keeps its price: only a name without rows from before may have a past. */
function isTooEarly(prices: Catalogue, asked: Price, { clock, before }: Setting): boolean {
  const { model, variant } = asked;
  const older = prices.some(
    (row) => row.model === model && row.variant === variant && row.price_id <= before,
  );
  return older && startOf(asked) < clock;
}

const CONTENT = ["rates", "currency", "context_window", "max_output", "alias_of"] as const;

/** The row that says the same already. */
function findSame(prices: Catalogue, asked: Price, now: boolean, clock: Time): Price | undefined {
  const { model, variant, above } = asked;
  const its = prices.filter(
    (row) => row.model === model && row.variant === variant && row.above === above,
  );
  const row = now
    ? its.every((each) => startOf(each) <= clock) && latest(its, clock)
    : its.findLast((each) => startOf(each) === startOf(asked));
  return row && CONTENT.every((name) => isDeepStrictEqual(row[name], asked[name]))
    ? row
    : undefined;
}
