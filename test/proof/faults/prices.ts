// What the models cost that clients name: set once, before they start.
import type { Json } from "../../../src/json/index.ts";
import { type Catalogue, setPrice } from "../model/prices.ts";

const ONE = 1_000_000;
const EVER = { valid_from: "-infinity" };

/** Costs about as much as other amounts: a nano-dollar or two for one. */
export const PRICES: readonly Record<string, Json>[] = [
  { model: "x/one", rates: { input: ONE, output: 2 * ONE, cache_read: ONE / 4 }, ...EVER },
  {
    model: "x/one",
    rates: { input: 2 * ONE, output: 3 * ONE, cache_read: ONE },
    above: 20,
    ...EVER,
  },
  { model: "x/free", rates: { input: 0, output: 0 }, ...EVER },
  { model: "x/it", rates: null, alias_of: "x/one", ...EVER },
];

/** The same in the model. */
export const CATALOGUE = PRICES.reduce<Catalogue>((prices, price) => {
  const set = setPrice(prices, price, { clock: 0n, actor: "", source: null, before: 0n });
  if ("refused" in set) throw new Error(`a price is impossible: ${price.model}`);
  return set.prices;
}, []);
