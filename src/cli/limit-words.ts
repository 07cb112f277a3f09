import { formatAmount } from "../amounts/index.ts";
import type { Denomination } from "./amounts.ts";

/** What a limit counts: amounts, or a number of tokens, of calls or of open reservations. */
export type Counted = "amount" | "tokens" | "calls" | "open" | (string & {});

/** Writes how much of a limit: `5.00 USD`, `60 calls`, `1 token`, `10 open`. */
export function limitWriter(of: Counted, { scale, unit }: Denomination): (n: bigint) => string {
  return (n) => `${limitNumber(of, scale)(n)} ${of === "amount" ? unit : unitOf(of, n)}`;
}

/** The same without the unit. */
export function limitNumber(of: Counted, scale: number): (n: bigint) => string {
  return (n) => formatAmount(n, of === "amount" ? scale : 0, { grouping: true });
}

function unitOf(of: Counted, n: bigint): string {
  return n === 1n ? of.replace(/s$/, "") : of;
}

/** The window in words: `a day`, `in all`. */
export function windowOf(per: string): string {
  if (per === "ever") return "in all";
  return `${per === "hour" ? "an" : "a"} ${per}`;
}

/** A combination of values: `user=ann, no run`; without `by`, only the values. */
export function combinationOf(
  values: readonly string[] | null,
  by: readonly string[] = [],
): string {
  const named = (values ?? []).map((value, i) => {
    const name = by[i];
    if (value === "") return name === undefined ? "(none)" : `no ${name}`;
    return name === undefined ? value : `${name}=${value}`;
  });
  return named.join(", ");
}

/** A limit in words: `5.00 USD a day by user, alerts at 80%`. */
export function describeLimit(
  limit: {
    readonly amount: bigint | null;
    readonly per: string;
    readonly by: readonly string[];
    readonly of: Counted;
    readonly timeZone: string;
    readonly hard: boolean;
    readonly alertAt: readonly number[];
  },
  denomination: Denomination,
): string {
  const { alertAt, amount, by, hard, of, per, timeZone } = limit;
  const most =
    amount === null
      ? "only those with an amount of their own"
      : limitWriter(of, denomination)(amount);
  const each = by.length > 0 ? ` for each ${by.join(" and ")}` : "";
  const open = of === "open";
  const parts = [
    `${most}${open ? " at once" : ` ${windowOf(per)}`}${each}`,
    ...(timeZone === "UTC" ? [] : [timeZone]),
    ...(hard ? [] : ["soft"]),
    ...(alertAt.length > 0 ? [`alerts at ${alertAt.map((n) => `${n}%`).join(", ")}`] : []),
  ];
  return parts.join(", ");
}
