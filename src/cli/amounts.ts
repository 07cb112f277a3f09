/** How many decimals show all these amounts exactly: two, where the scale has them, or more. */
export function decimalsFor(amounts: readonly bigint[], scale: number): number {
  const least = Math.min(2, scale);
  return amounts.reduce((most, amount) => {
    const idle = /0*$/.exec(amount.toString())?.[0].length ?? 0;
    return amount === 0n ? most : Math.max(most, scale - idle);
  }, least);
}
