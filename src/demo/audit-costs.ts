import type { Price, StatementLine } from "../generated/index.ts";
import type { CallUsage } from "../prices/index.ts";
import type { NanoDollars } from "../trace/index.ts";
import type { Usage } from "../wire/index.ts";

/** What usage cost at an instant; undefined if it had no price. */
export type Pricer = (usage: Usage, at: Date) => NanoDollars | undefined;

/** What an audit of costs has found. */
export interface CostAudit {
  /** How many amounts of events were compared. */
  readonly compared: number;
  readonly flaws: readonly string[];
}

/**
 * Compares the amount of each reservation and settlement of a wallet with what the usage costs that
 * the agent sent.
 */
export function auditCosts(
  lines: readonly StatementLine[],
  sent: ReadonlyMap<string, CallUsage>,
  pricer: Pricer,
): CostAudit {
  const opened = new Map<string, Date>();
  const flaws: string[] = [];
  let compared = 0;
  for (const { amount, event, occurredAt, reservationId, seq } of lines) {
    const call = sent.get(reservationId ?? "");
    if (!call || reservationId === null || (event !== "reserved" && event !== "settled")) continue;
    if (event === "reserved") opened.set(reservationId, occurredAt);
    const usage = event === "reserved" ? call.reserves : call.uses;
    const cost = pricer(usage, opened.get(reservationId) ?? occurredAt);
    compared += 1;
    if (cost === amount) continue;
    flaws.push(
      `event ${seq} (${event}): its amount is ${amount}, ` +
        `the auditor computes ${cost ?? "no price"} from usage and rates`,
    );
  }
  return { compared, flaws };
}

const PER = 1_000_000n;

/**
 * The second computation of an auditor, who trusts no function of the ledger with a sum: it finds
 * the price among the rows of list_prices, and multiplies and rounds in bigint. Wallets of dollars
 * of scale 9 only: rates are nano-dollars per million.
 */
export function createPricer(prices: readonly Price[]): Pricer {
  const byName = Map.groupBy(prices, ({ model }) => model);
  const valid = (name: string, at: Date): Price[] =>
    (byName.get(name) ?? []).filter(({ validFrom }) => millisecondsOf(validFrom) <= at.getTime());
  return ({ model = "", variant = "standard", ...counts }, at) => {
    const name = valid(model, at).sort(byRank).at(-1)?.aliasOf ?? model;
    const used = Object.entries(counts).map(([kind, n]) => [kind, BigInt(n ?? 0)] as const);
    const input = used
      .filter(([kind]) => kind.startsWith("input") || kind.startsWith("cache_"))
      .reduce((sum, [, n]) => sum + n, 0n);
    const row = valid(name, at)
      .filter((price) => price.variant === variant)
      .filter(({ above }) => above === 0n || input > above)
      .sort(byRank)
      .at(-1);
    const rates = (row?.rates ?? {}) as Readonly<Record<string, number | bigint>>;
    if (used.some(([kind]) => rates[kind] === undefined)) return undefined;
    const sum = used.reduce((total, [kind, n]) => total + n * BigInt(rates[kind] ?? 0), 0n);
    return (sum + PER - 1n) / PER;
  };
}

/** The row that counts is last: the highest tier, then the latest time, then the one added last. */
function byRank(a: Price, b: Price): number {
  return (
    Number(a.above - b.above) ||
    compare(millisecondsOf(a.validFrom), millisecondsOf(b.validFrom)) ||
    Number(a.priceId - b.priceId)
  );
}

// Two times of minus infinity have no difference.
function compare(a: number, b: number): number {
  return a < b ? -1 : Number(a > b);
}

function millisecondsOf(validFrom: Price["validFrom"]): number {
  return validFrom === "-infinity" ? Number.NEGATIVE_INFINITY : validFrom.getTime();
}
