import type { Random } from "../trace/index.ts";

/** How commands are distributed over wallets. */
export type Distribution = "hot" | "spread" | "zipf";

/** Gives the id of the wallet of the next call. */
export type PickWallet = () => string;

/** The wallet that all calls go to when they go to one. */
export const HOT = "hot";

/** The id of one of many wallets, counted from 0. */
export function walletId(index: number): string {
  return `wallet-${index}`;
}

/** Over how many wallets calls go, by distribution. */
export interface Counts {
  readonly spread: number;
  readonly zipf: number;
}

/** Makes the picker of a distribution: one wallet, many alike, or many of which few are popular. */
export function pickerOf(
  distribution: Distribution,
  { spread, zipf }: Counts,
  random: Random,
): PickWallet {
  if (distribution === "hot") return () => HOT;
  if (distribution === "spread") return () => walletId(random.integer(0, spread - 1));
  const draw = zipfDraw(zipf, random);
  return () => walletId(draw());
}

/**
 * Zipf's law with exponent 1: draws 0, 1, 2 … `count` - 1, the n-th with a probability in
 * proportion to 1 / n. Of 100,000 wallets the first gets 8 % of all calls.
 */
export function zipfDraw(count: number, random: Random): () => number {
  const sums = new Float64Array(count);
  let total = 0;
  for (let rank = 1; rank <= count; rank += 1) {
    total += 1 / rank;
    sums[rank - 1] = total;
  }
  return () => firstAbove(sums, random.uniform() * total);
}

function firstAbove(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
