import { quoteCalls } from "../prices/index.ts";
import type { NanoDollars } from "../trace/index.ts";
import type { Sql } from "./connections.ts";
import type { PlannedCall } from "./plan.ts";

/** A planned call with what it holds and costs by the catalogue, for credits and limits. */
export interface ForecastCall extends PlannedCall {
  readonly hold: NanoDollars;
  readonly cost: NanoDollars;
}

/** Asks the ledger what the calls of a plan will cost. The agents never see it: they send usage. */
export async function forecast(sql: Sql, plan: readonly PlannedCall[]): Promise<ForecastCall[]> {
  const quoted = await quoteCalls(sql, plan);
  return plan.map((call, index) => {
    const { cost, hold } = quoted[index] as (typeof quoted)[number];
    return { ...call, hold: hold.amount, cost: cost.amount };
  });
}

/** How much each customer gets: the same for all, or in relation to what its calls cost. */
export type Credit =
  | { readonly each: NanoDollars }
  /** In percent of what all calls of the customers would cost. */
  | { readonly percent: number };

/**
 * The credit of each customer. A percentage is what they get on average: the first customer gets
 * 0.6 times and the last 1.4 times as much, so that they run out one after the other.
 */
export function creditOf(
  credit: Credit,
  calls: readonly Pick<ForecastCall, "customer" | "cost">[],
  customers: number,
): NanoDollars[] {
  if ("each" in credit) return Array(customers).fill(credit.each);
  const costs: NanoDollars[] = Array(customers).fill(0n);
  for (const { customer, cost } of calls) {
    costs[customer] = (costs[customer] ?? 0n) + cost;
  }
  return costs.map((cost, index) => {
    const spread = customers > 1 ? 0.6 + (0.8 * index) / (customers - 1) : 1;
    // Per mille, because a bigint has no fraction; the exact amount does not matter.
    const amount = (cost * BigInt(Math.round(credit.percent * spread * 10))) / 1000n;
    // The ledger credits no 0, and calls may be free.
    return amount > 0n ? amount : 1n;
  });
}
