import { type SetLimitArgs, setLimit, setLimitFor } from "../generated/index.ts";
import type { NanoDollars } from "../trace/index.ts";
import type { Sql } from "./connections.ts";
import type { Customer } from "./counters.ts";
import type { ForecastCall } from "./forecast.ts";
import type { Labels } from "./plan.ts";

/** A limit of the demo: all count amounts, by one label. */
export interface DemoLimit {
  readonly limitId: string;
  readonly by: keyof Labels;
  readonly per: "day" | "month" | "ever";
  readonly amount: NanoDollars;
  /** A value with an amount of its own. */
  readonly own?: { readonly value: string; readonly amount: NanoDollars };
}

/** The limits of a customer's wallet. */
export type CustomerLimits = Readonly<Record<keyof Labels, DemoLimit>>;

/** Percentage of a run's limit that alerts. */
export const ALERT_AT = 95;

/** A user may spend so many percent of what users spend on average: some want more. */
const OF_AVERAGE_USER = 120n;
const OF_CREDIT_TEAM = 60n;
/** No ordinary run comes near its limit. */
const OF_LARGEST_RUN = 200n;
/** What a job may spend that runs unattended: so many calls, for about so much of the credit. */
const CALLS_UNATTENDED = 20n;
const OF_CREDIT_UNATTENDED = 5n;
/** However little is played, so many calls of a user fit at the same time. */
const LEAST_HOLDS = 4n;

/** The run of a job that runs unattended. */
export const UNATTENDED = "night-job-run";

/**
 * The call that the unattended job repeats: the dearest one of which it can pay its number from its
 * part of the credit, else the cheapest.
 */
export function unattendedCall(calls: readonly ForecastCall[], credit: NanoDollars): ForecastCall {
  const most = percent(credit, OF_CREDIT_UNATTENDED) / CALLS_UNATTENDED;
  return calls.reduce((best, call) => {
    const isBetter =
      call.cost <= most ? call.cost > best.cost || best.cost > most : call.cost < best.cost;
    return isBetter ? call : best;
  });
}

/** What a job may spend that repeats a call. */
export function unattendedBudget({ cost }: Pick<ForecastCall, "cost">): NanoDollars {
  return largest([cost * CALLS_UNATTENDED]);
}

/** Finds limits that suit what is planned for a customer who gets so much credit. */
export function limitsOf(
  calls: readonly ForecastCall[],
  credit: NanoDollars,
  unattended: NanoDollars,
): CustomerLimits {
  const users = sumBy(calls, "user", ({ cost }) => cost);
  const runs = sumBy(calls, "run", ({ hold }) => hold);
  const total = [...users.values()].reduce((sum, cost) => sum + cost, 0n);
  // What is not there cannot be spent.
  const average = (total < credit ? total : credit) / BigInt(Math.max(users.size, 1));
  const least = LEAST_HOLDS * largest(calls.map(({ hold }) => hold));
  return {
    team: {
      ...{ limitId: "team-month", by: "team", per: "month" },
      amount: largest([percent(credit, OF_CREDIT_TEAM), least]),
    },
    user: {
      ...{ limitId: "user-day", by: "user", per: "day" },
      amount: largest([percent(average, OF_AVERAGE_USER), least]),
    },
    run: {
      ...{ limitId: "run", by: "run", per: "ever" },
      amount: percent(largest([...runs.values()]), OF_LARGEST_RUN),
      own: { value: UNATTENDED, amount: unattended },
    },
  };
}

/** Sets the limits of a customer's wallet. */
export async function setLimits(sql: Sql, { limits, walletId }: Customer): Promise<void> {
  for (const { amount, by, limitId, own, per } of Object.values(limits)) {
    const alertAt = per === "ever" ? [ALERT_AT] : [];
    const limit: SetLimitArgs = { walletId, limitId, amount, per, by: [by], alertAt };
    await setLimit(sql, limit);
    if (own) await setLimitFor(sql, { walletId, limitId, values: [own.value], amount: own.amount });
  }
}

function sumBy(
  calls: readonly ForecastCall[],
  by: keyof Labels,
  of: (call: ForecastCall) => bigint,
): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const call of calls) {
    const value = call.labels[by];
    sums.set(value, (sums.get(value) ?? 0n) + of(call));
  }
  return sums;
}

function percent(amount: bigint, of: bigint): bigint {
  return (amount * of) / 100n;
}

function largest(amounts: readonly bigint[]): bigint {
  return amounts.reduce((most, amount) => (amount > most ? amount : most), 1n);
}
