import type { SpendingLine } from "../generated/index.ts";
import { sortKinds } from "../prices/index.ts";
import { type Denomination, decimalsFor } from "./amounts.ts";

/** What was spent in a window by a combination of labels. */
export interface Spending {
  readonly startsAt: Date | null;
  readonly labelValues: readonly string[];
  readonly calls: bigint;
  /** By kind of usage. */
  readonly tokens: ReadonlyMap<string, bigint>;
  readonly amount: bigint;
}

/** The windows that there may be lines for. */
export const WINDOWS = ["hour", "day", "week", "month"] as const;

/** One of {@link WINDOWS}. */
export type Window = (typeof WINDOWS)[number];

/** What was asked for. */
export interface Question {
  readonly walletId: string;
  readonly by: readonly string[];
  readonly per: Window | undefined;
  readonly timeZone: string;
}

/** What a wallet has spent. */
export interface Report extends Denomination, Question {
  /** The lines, page by page: there may be millions. Each iteration reads them again. */
  readonly pages: AsyncIterable<readonly Spending[]>;
  /** All kinds of usage in the lines. */
  readonly kinds: readonly string[];
  readonly lines: number;
  /** Amounts that need the most decimals, so that columns have as many as that. */
  readonly decimals: number;
  readonly total: Omit<Spending, "startsAt" | "labelValues">;
}

/** Reads a line of the ledger. */
export function toSpending(line: SpendingLine): Spending {
  const { amount, calls, labelValues, startsAt } = line;
  const tokens = Object.entries(line.tokens as Readonly<Record<string, number | bigint>>);
  return {
    ...{ startsAt, labelValues, calls },
    tokens: new Map(tokens.map(([kind, count]) => [kind, BigInt(count)])),
    amount: BigInt(amount),
  };
}

/** Makes the report: reads all lines once, for what must be known before the first is printed. */
export async function toReport(
  question: Question,
  { unit, scale }: Denomination,
  pages: AsyncIterable<readonly Spending[]>,
): Promise<Report> {
  const tokens = new Map<string, bigint>();
  let [lines, decimals, calls, amount] = [0, Math.min(2, scale), 0n, 0n];
  for await (const page of pages) {
    for (const line of page) {
      calls += line.calls;
      amount += line.amount;
      for (const [kind, count] of line.tokens) tokens.set(kind, (tokens.get(kind) ?? 0n) + count);
    }
    lines += page.length;
    const amounts = page.map((line) => line.amount);
    decimals = Math.max(decimals, decimalsFor(amounts, scale));
  }
  const total = { calls, tokens, amount };
  const kinds = sortKinds(tokens.keys());
  return { ...question, unit, scale, pages, kinds, lines, decimals, total };
}
