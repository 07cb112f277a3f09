import { setTimeout as delay } from "node:timers/promises";
import type { AlertCount, LimitMetric, WalletMetric } from "../generated/index.ts";

/** The most wallets and limits that have series of their own. */
export const MOST_SERIES = 1_000;

/** The queries for {@link MoneyStatus}. */
export interface MoneySources {
  wallets(limit: number): Promise<WalletMetric[]>;
  limits(limit: number): Promise<LimitMetric[]>;
  /** Reads all alerts, so it is called at most once a minute. */
  alerts(): Promise<AlertCount[]>;
}

/** What the database knows of funds, limits and alerts. */
export interface MoneyStatus {
  readonly wallets: readonly WalletMetric[];
  readonly limits: readonly LimitMetric[];
  readonly alerts: readonly AlertCount[];
}

const ANSWER_WITHIN_MS = 2_000;
const COUNT_EVERY_MS = 60_000;

/** Makes the function that reads it; null if the database does not answer. */
export function createMoneyReader(
  sources: MoneySources,
  onError: (error: unknown) => void,
): () => Promise<MoneyStatus | null> {
  const countAlerts = createCount(sources);
  let pending: Promise<MoneyStatus | null> | undefined;
  return () => {
    pending ??= Promise.all([
      sources.wallets(MOST_SERIES),
      sources.limits(MOST_SERIES),
      countAlerts(),
    ])
      .then(([wallets, limits, alerts]) => ({ wallets, limits, alerts }))
      .catch((error: unknown) => {
        onError(error);
        return null;
      })
      .finally(() => {
        pending = undefined;
      });
    return Promise.race([pending, delay(ANSWER_WITHIN_MS, null, { ref: false })]);
  };
}

function createCount(sources: MoneySources): () => Promise<readonly AlertCount[]> {
  let last: readonly AlertCount[] = [];
  let countAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() < countAt) return last;
    last = await sources.alerts();
    countAt = performance.now() + COUNT_EVERY_MS;
    return last;
  };
}
