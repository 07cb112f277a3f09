import { formatAmount } from "../amounts/index.ts";
import { balance } from "../generated/index.ts";
import type { Queryable } from "../wire/index.ts";

/** What the amounts of a wallet count. */
export interface Denomination {
  readonly unit: string;
  /** Decimal digits of the smallest step. */
  readonly scale: number;
}

/** Reads the denomination of a wallet. */
export async function denominationOf(sql: Queryable, walletId: string): Promise<Denomination> {
  return balance(sql, { walletId });
}

/**
 * Makes a function that writes amounts, all with the same number of decimals: as many as show each
 * of `samples` exactly, and two at least where the scale has them.
 */
export function amountWriter(
  scale: number,
  samples: readonly bigint[],
): (amount: bigint) => string {
  const decimals = decimalsFor(samples, scale);
  return (amount) => formatAmount(amount, scale, { grouping: true, decimals });
}

/** The number of decimals that {@link amountWriter} writes. */
export function decimalsFor(amounts: readonly bigint[], scale: number): number {
  const least = Math.min(2, scale);
  return amounts.reduce((most, amount) => {
    const trailingZeros = /0*$/.exec(amount.toString())?.[0].length ?? 0;
    return amount === 0n ? most : Math.max(most, scale - trailingZeros);
  }, least);
}
