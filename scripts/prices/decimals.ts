/** A price as the package has it, exactly: what its number is written as. */
export function ratioOf(price: number): readonly [numerator: bigint, denominator: bigint] {
  const [, digits = "", decimals = ""] = /^(\d+)(?:\.(\d+))?$/.exec(String(price)) ?? [];
  if (digits === "") throw new Error(`${price} is not a price`);
  return [BigInt(digits + decimals), 10n ** BigInt(decimals.length)];
}

/** Divides and rounds up, so that no price is below the listed one. */
export function divideUp(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator;
}
