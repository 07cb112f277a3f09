import type { ConditionalPrice, ModelInfo } from "@pydantic/genai-prices";
import { type Rates, readTime } from "../../src/prices/index.ts";
import { ratesOf, tiersOf } from "./kinds.ts";

/** What a model costs from a time on, by the tokens of input that a request has to exceed. */
export interface Period {
  readonly validFrom: string | null;
  readonly tiers: ReadonlyMap<number, Rates>;
}

interface Dated {
  readonly validFrom: string | null;
  /** One, and those of times of day. */
  readonly prices: ConditionalPrice["prices"][];
}

/** The periods of a model's prices, the first from ever. */
export function periodsOf({ id, prices }: ModelInfo): Period[] {
  const list = Array.isArray(prices) ? prices : [{ prices }];
  const dated = list.reduce<Dated[]>((periods, one) => addPrice(periods, one, id), []);
  const starts = new Set<number>();
  return dated.map((period) => {
    // A later row without tiers would not count above the start of an earlier one that has them.
    for (const one of period.prices) for (const start of tiersOf(one)) starts.add(start);
    const tiers = [...starts].map((above) => [above, dearest(period, above)] as const);
    return { validFrom: period.validFrom, tiers: new Map(tiers) };
  });
}

function addPrice(periods: Dated[], { constraint, prices }: ConditionalPrice, id: string): Dated[] {
  if (constraint?.type === "time_of_date") {
    periods.at(-1)?.prices.push(prices);
  } else {
    periods.push({
      validFrom: constraint ? readTime(constraint.start_date) : null,
      prices: [prices],
    });
  }
  if (periods[0]?.validFrom !== null) throw new Error(`${id}: its first price is not plain`);
  return periods;
}

/** The highest rate of each kind at any time of the day. */
function dearest({ prices }: Dated, above: number): Rates {
  const rates: Record<string, bigint> = {};
  for (const one of prices) {
    for (const [kind, rate] of Object.entries(ratesOf(one, above))) {
      if (rate > (rates[kind] ?? -1n)) rates[kind] = rate;
    }
  }
  return rates;
}
