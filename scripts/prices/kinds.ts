import type { ModelPrice } from "@pydantic/genai-prices";
import type { Rates } from "../../src/prices/index.ts";
import { divideUp, ratioOf } from "./decimals.ts";

/** What a price of the package is for, and how many units of it cost so much. */
interface Unit {
  readonly kind: string;
  readonly per: bigint;
}

const PER_MILLION = 1_000_000n;
const PER_THOUSAND = 1_000n;
const PER_HOUR_IN_SECONDS = 3_600n;

const UNITS: Readonly<Record<string, Unit>> = {
  ...perMillion({
    input_mtok: "input",
    input_audio_mtok: "input_audio",
    input_image_mtok: "input_image",
    input_video_mtok: "input_video",
    cache_read_mtok: "cache_read",
    cache_audio_read_mtok: "cache_read_audio",
    cache_image_read_mtok: "cache_read_image",
    cache_write_mtok: "cache_write",
    cache_write_1h_mtok: "cache_write_1h",
    output_mtok: "output",
    output_audio_mtok: "output_audio",
    output_image_mtok: "output_image",
    output_video_mtok: "output_video",
    output_reasoning_mtok: "output_reasoning",
    output_citation_mtok: "output_citation",
  }),
  requests_kcount: { kind: "requests", per: PER_THOUSAND },
  web_searches_kcount: { kind: "web_searches", per: PER_THOUSAND },
  storage_searches_kcount: { kind: "storage_searches", per: PER_THOUSAND },
  input_text_messages_kcount: { kind: "text_messages", per: PER_THOUSAND },
  input_document_kpages: { kind: "pages", per: PER_THOUSAND },
  input_annotated_document_kpages: { kind: "annotated_pages", per: PER_THOUSAND },
  audio_hours: { kind: "seconds", per: PER_HOUR_IN_SECONDS },
  input_audio_hours: { kind: "seconds", per: PER_HOUR_IN_SECONDS },
};

function perMillion(kinds: Readonly<Record<string, string>>): Record<string, Unit> {
  return Object.fromEntries(
    Object.entries(kinds).map(([key, kind]) => [key, { kind, per: PER_MILLION }]),
  );
}

/** The rates of a price of the package for requests whose input exceeds `above` tokens. */
export function ratesOf(prices: ModelPrice, above: number): Rates {
  const rates: Record<string, bigint> = {};
  for (const [key, price] of Object.entries(prices)) {
    if (price === undefined) continue;
    const { kind, per } = unitOf(key, prices);
    const [numerator, denominator] = ratioOf(priceAbove(price, above));
    const rate = divideUp(numerator * 10n ** 9n * 1_000_000n, denominator * per);
    if ((rates[kind] ?? rate) !== rate) throw new Error(`two prices for ${kind}: see ${key}`);
    rates[kind] = rate;
  }
  return rates;
}

function unitOf(key: string, prices: ModelPrice): Unit {
  const unit = UNITS[key];
  if (!unit) throw new Error(`${key} is new: say in scripts/prices/kinds.ts what it is for`);
  // Beside a price of writes for an hour, the other one is that of writes for five minutes.
  const isShort = unit.kind === "cache_write" && prices.cache_write_1h_mtok !== undefined;
  return isShort ? { ...unit, kind: "cache_write_5m" } : unit;
}

type Price = NonNullable<ModelPrice[string]>;

function priceAbove(price: Price, above: number): number {
  if (typeof price === "number") return price;
  return price.tiers.reduce(
    (found, tier) => (tier.start <= above ? tier.price : found),
    price.base,
  );
}

/** Where the tiers of a price begin, the base included. */
export function tiersOf(prices: ModelPrice): number[] {
  const starts = Object.values(prices).flatMap((price) =>
    typeof price === "object" ? price.tiers.map(({ start }) => start) : [],
  );
  return [0, ...starts];
}
