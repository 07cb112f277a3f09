import { quoteCalls } from "../prices/index.ts";
import {
  type Model,
  type NanoDollars,
  outputTokens,
  type TracedCall,
  usageOf,
  withOutput,
} from "../trace/index.ts";
import type { Queryable } from "../wire/index.ts";
import type { PricedCall } from "./moments.ts";

/** What is assumed about the prices of calls, and about what agents reserve for them. */
export interface Pricing extends Model {
  /** Output tokens that each call asks the model for at most, and so reserves. */
  readonly maxOutput: number;
  /** Reserved on top of that, in percent. */
  readonly overhead: number;
}

/** What the calls of one model cost; the model's name is not an alias. */
export interface ModelCost {
  readonly model: string;
  readonly variant: string;
  calls: number;
  amount: NanoDollars;
}

/** Calls with their costs. */
export interface PricedTrace {
  readonly calls: readonly PricedCall[];
  /** What cost the most comes first. */
  readonly models: readonly ModelCost[];
}

/** Prices a trace by the catalogue of a database. */
export async function priceCalls(
  sql: Queryable,
  trace: readonly TracedCall[],
  pricing: Pricing,
  onProgress?: (done: number, all: number) => void,
): Promise<PricedTrace> {
  const calls = trace.map((call) => {
    const uses = usageOf(call, pricing);
    return { uses, reserves: withOutput(uses, pricing.maxOutput) };
  });
  const quoted = await quoteCalls(sql, calls, onProgress);
  const models = new Map<string, ModelCost>();
  for (const { cost } of quoted) {
    const { amount, model, variant } = cost;
    const name = `${model} ${variant}`;
    const sum = models.get(name) ?? { model, variant, calls: 0, amount: 0n };
    models.set(name, { ...sum, calls: sum.calls + 1, amount: sum.amount + amount });
  }
  return {
    calls: trace.map(({ at, usage }, index) => {
      const { cost, hold } = quoted[index] as (typeof quoted)[number];
      return {
        at,
        outputTokens: outputTokens(usage),
        hold: withOverhead(hold.amount, pricing),
        cost: cost.amount,
      };
    }),
    models: [...models.values()].sort((a, b) => Number(b.amount - a.amount)),
  };
}

/** Rounded up. */
function withOverhead(most: NanoDollars, { overhead }: Pricing): NanoDollars {
  return (most * BigInt(100 + overhead) + 99n) / 100n;
}
