import { type SpendingLine, spending } from "../generated/index.ts";
import type { NanoDollars } from "../trace/index.ts";
import type { Sql } from "./connections.ts";

/** What all customers have spent on a model in a team. */
export interface Spent {
  readonly model: string;
  readonly team: string;
  readonly calls: bigint;
  /** Tokens of all kinds of input and cache, and of all kinds of output, that were settled. */
  readonly tokensIn: bigint;
  readonly tokensOut: bigint;
  readonly amount: NanoDollars;
}

/** Reads what a wallet has spent, by model and team. */
export async function readSpending(sql: Sql, walletId: string): Promise<Spent[]> {
  const lines = await spending(sql, { walletId, by: ["model", "team"] });
  return lines.map(toSpent);
}

function toSpent({ amount, calls, labelValues, tokens }: SpendingLine): Spent {
  const [model = "", team = ""] = labelValues;
  const sum = (isOf: (kind: string) => boolean): bigint =>
    Object.entries(tokens as Readonly<Record<string, number | bigint>>).reduce(
      (total, [kind, n]) => (isOf(kind) ? total + BigInt(n) : total),
      0n,
    );
  const tokensIn = sum((kind) => kind.startsWith("input") || kind.startsWith("cache_"));
  const tokensOut = sum((kind) => kind.startsWith("output"));
  return { model, team, calls, tokensIn, tokensOut, amount: BigInt(amount) };
}

/** Adds up the lines of several wallets. */
export function sumSpending(lines: readonly Spent[]): Spent[] {
  const groups = Map.groupBy(lines, ({ model, team }) => JSON.stringify([model, team]));
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => group.reduce(add));
}

function add(one: Spent, other: Spent): Spent {
  return {
    ...one,
    calls: one.calls + other.calls,
    tokensIn: one.tokensIn + other.tokensIn,
    tokensOut: one.tokensOut + other.tokensOut,
    amount: one.amount + other.amount,
  };
}
