// Generates usage, and prices that make its costs as small as other amounts.
import fc from "fast-check";
import type { Json } from "../../../src/json/index.ts";
import type { Arguments } from "../requests.ts";
import type { Step } from "./compare.ts";
import { BEGINNINGS } from "./times.ts";

type Call = Pick<Step, "call" | "args">;

/** A step of a wallet of 9 decimals for one. */
const ONE = 1_000_000;

/** The catalogue at the start: tiers, variants, an alias, a model that costs nothing, another currency. */
const CATALOGUE: readonly Arguments[] = [
  { model: "x/one", rates: { input: ONE, output: 3 * ONE, cache_read: ONE / 4, requests: 1 } },
  // Without tiers, which are priced in another way.
  { model: "x/flat", rates: { input: ONE, output: 2 * ONE, cache_read: ONE / 4 } },
  { model: "x/one", rates: { input: 2 * ONE, output: 4 * ONE, cache_read: ONE / 2 }, above: 3 },
  { model: "x/one", rates: { input: ONE / 2, output: ONE }, variant: "batch" },
  { model: "x/free", rates: { input: 0, output: 0 } },
  { model: "x/euro", rates: { input: ONE, output: ONE }, currency: "EUR" },
  { model: "y/two/three", rates: { input: 1, cache_write_5m: ONE, output: 10 ** 15 } },
  { model: "x/it", rates: null, alias_of: "x/one" },
  { model: "x/same", rates: null, alias_of: "x/flat" },
];

/** Some of it, set before the wallets are opened. */
export const catalogue: fc.Arbitrary<Call[]> = fc
  .tuple(fc.constantFrom(CATALOGUE.length, CATALOGUE.length, 3, 1, 0), fc.boolean())
  .map(([most, one]): Call[] => {
    const prices = CATALOGUE.slice(0, most);
    if (!one) return [{ call: "set_prices", args: { prices: prices as Json, source: "start" } }];
    return prices.map((args) => ({ call: "set_price", args: { ...args } }));
  });

const MODELS = ["x/one", "x/it", "x/same", "x/free", "x/euro", "y/two/three", "x/none"] as const;
const model = fc.oneof(
  { arbitrary: fc.constantFrom("x/one", "x/flat", "x/flat", "x/it", "x/same"), weight: 12 },
  { arbitrary: fc.constantFrom(...MODELS), weight: 5 },
);
const variant = fc.oneof(
  { arbitrary: fc.constant(undefined), weight: 8 },
  { arbitrary: fc.constantFrom("standard", "batch", "flex"), weight: 2 },
);
const count = fc.constantFrom(0, 1, 2, 3, 4, 5, 6);
const counts = fc.oneof(
  {
    arbitrary: fc.constantFrom(
      ...[{ input: 4 }, { input: 2, output: 1 }, { input: 3, cache_read: 1 }, { output: 3 }],
      ...[{ input: 3, output: 2 }, { input: 10 }, { input: 0 }, { input: 5, cache_read: 3 }],
    ),
    weight: 8,
  },
  {
    arbitrary: fc.record(
      { input: count, output: count, cache_read: count, requests: count, cache_write_5m: count },
      { requiredKeys: [] },
    ),
    weight: 6,
  },
);

/** Usage that no price fits, or that is impossible. */
const bad = fc.oneof(
  {
    arbitrary: fc.constantFrom<Record<string, Json>[]>(
      ...[{ input: -1 }, { input: 1.5 }, { input: "1" }, { input: null }, { input: [1] }],
      ...[{ model: null }, { model: 7 }, { model: "x" }, { model: "/one" }, { model: "x/" }],
      ...[{ variant: null }, { variant: 1 }, { variant: "" }, { model: "" }, { output: true }],
      ...[{ input: 10 ** 12 + 1 }, { Input: 1 }, { tokens: 1 }, { input: 10 ** 18 }],
    ),
    weight: 4,
  },
  { arbitrary: fc.constantFrom({ output: 10 ** 12 }, { input: 10 ** 12 }), weight: 2 },
);

/** What was used. A settlement mostly names no model. */
const made = (isSettling: boolean) =>
  fc
    .tuple(model, variant, counts, fc.option(bad, { freq: 9, nil: {} }), fc.nat({ max: 9 }))
    .map(([name, its, kinds, spoiled, unnamed]): Record<string, Json> => {
      const isNamed = isSettling ? unnamed < 2 : unnamed > 0;
      return {
        ...(isNamed && { model: name }),
        ...(its !== undefined && (isNamed || unnamed > 7) && { variant: its }),
        ...kinds,
        ...spoiled,
      };
    });
const usages = (isSettling: boolean) =>
  fc.oneof(
    { arbitrary: made(isSettling), weight: 30 },
    {
      arbitrary: isSettling
        ? fc.constantFrom<Json[]>({}, [], { model: "x/one" })
        : fc.constantFrom<Json[]>({}, [], "x", 1, { model: "x/one" }),
      weight: 1,
    },
  );

type Args = Record<string, Json>;

/** A command with usage instead of its amount, now and then beside it. */
export function withUsage(command: fc.Arbitrary<Args>, isSettling = false): fc.Arbitrary<Args> {
  return fc
    .tuple(command, fc.option(usages(isSettling), { freq: 2, nil: null }), fc.nat({ max: 24 }))
    .map(([args, usage, both]): Args => {
      if (usage === null) return args;
      return both === 0 ? { ...args, usage } : { ...args, amount: null, usage };
    });
}

const rates = fc.constantFrom<Json[]>(
  ...[
    { input: ONE, output: 3 * ONE },
    { input: 2 * ONE, output: ONE, cache_read: 1 },
  ],
  ...[
    { input: 3 * ONE, output: 5 * ONE, cache_read: ONE },
    { input: 0, output: 0 },
  ],
  ...[{ input: ONE / 2, output: 10 ** 18 }, { output: 2 * ONE }],
);
const badRates = fc.constantFrom<Json[]>(
  ...[{}, [], { input: -1 }, { input: 0.5 }, { input: "1" }, { model: 1 }, { Input: 1 }, null],
);

/** Times around which something begins to hold: before, during and after sequences. */
const validFrom = fc.oneof(
  { arbitrary: fc.constant<Json>(null), weight: 16 },
  { arbitrary: fc.constantFrom<Json[]>("-infinity", "2020-01-01T00:00:00+00:00"), weight: 1 },
  {
    arbitrary: fc.constantFrom<Json[]>(
      ...BEGINNINGS.map((time) => {
        const half = new Date(Date.parse(time) + 1_800_000 + 457);
        return half.toISOString().replace("Z", "+00:00");
      }),
    ),
    weight: 3,
  },
);

const price = fc
  .record({
    model: fc.oneof(
      {
        arbitrary: fc.constantFrom<Json[]>("x/one", "x/flat", "y/two/three", "x/free"),
        weight: 16,
      },
      { arbitrary: fc.constantFrom<Json[]>("x/none", "x/new", "x/it"), weight: 4 },
      { arbitrary: fc.constantFrom<Json[]>("x", "", "/x", null), weight: 1 },
    ),
    rates: fc.oneof({ arbitrary: rates, weight: 16 }, { arbitrary: badRates, weight: 1 }),
    variant: fc.constantFrom("standard", "standard", "standard", "batch"),
    above: fc.constantFrom(0, 0, 0, 3, 5),
    valid_from: validFrom,
    currency: fc.constantFrom("USD", "USD", "USD", "USD", "USD", "EUR"),
    max_output: fc.constantFrom<Json[]>(null, null, 2),
  })
  .map((args): Arguments => args);
const alias = fc
  .record({
    model: fc.constantFrom<Json[]>("x/it", "x/that", "x/one", "x/none"),
    alias_of: fc.constantFrom<Json[]>("x/one", "x/one", "y/two/three", "x/it", "x/none"),
    valid_from: validFrom,
  })
  .map((args): Arguments => ({ ...args, rates: null }));
const priceOrAlias = fc.oneof({ arbitrary: price, weight: 4 }, { arbitrary: alias, weight: 1 });

/** Prices change. */
export const pricing: fc.Arbitrary<Call[]> = fc.oneof(
  { arbitrary: priceOrAlias.map((args): Call[] => [{ call: "set_price", args }]), weight: 4 },
  {
    arbitrary: fc
      .array(priceOrAlias, { maxLength: 3 })
      .map((prices): Call[] => [
        { call: "set_prices", args: { prices: prices as unknown as Json, source: "proof" } },
      ]),
    weight: 1,
  },
);

/** Somebody asks what something costs. */
export const asking: fc.Arbitrary<Call> = fc
  .record({
    call: fc.constantFrom("quote", "quote", "affordable", "affordable", "quotes", "list_prices"),
    usage: usages(false),
    usages: fc.array(usages(false), { maxLength: 3 }),
    at: fc.constantFrom<Json[]>(null, null, null, "2020-01-01T00:00:00+00:00"),
    scale: fc.constantFrom(9, 9, 9, 6, 18, 5, 19),
    amount: fc.constantFrom<Json[]>(0, 5, 12, 1000, -1),
    prefix: fc.constantFrom("", "x/", "x/it"),
    history: fc.boolean(),
  })
  .map(({ call, at, ...all }): Call => {
    const { usage, usages: list, scale, amount, prefix, history } = all;
    const args = {
      quote: { usage, scale },
      affordable: { usage, scale, amount },
      quotes: { usages: list, scale },
      list_prices: { prefix, history },
    }[call as "quote"];
    return { call, args: { at, ...args } as Arguments };
  });
