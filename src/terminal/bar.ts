import { joined, type SafeText, styled } from "./safe-text.ts";

/** A part of a bar: its share of the total, and what its cells look like. */
export interface BarPart {
  readonly amount: bigint;
  readonly cell: string;
  readonly color: Parameters<typeof styled>[0];
}

/** How a bar shows money that is gone, held and free; a negative amount counts as none. */
export function fundsBar(spent: bigint, reserved: bigint, available: bigint): readonly BarPart[] {
  return [
    { amount: spent, cell: "█", color: "green" },
    { amount: reserved, cell: "▒", color: "yellow" },
    { amount: available, cell: "░", color: "gray" },
  ];
}

/** How a bar shows progress. */
export function progressBar(done: number, total: number): readonly BarPart[] {
  return [
    { amount: BigInt(done), cell: "█", color: "cyan" },
    { amount: BigInt(Math.max(total - done, 0)), cell: "░", color: "gray" },
  ];
}

/** Draws a bar of exactly `width` cells; the last part has what the others leave. */
export function drawBar(
  parts: readonly BarPart[],
  width: number,
  stream: NodeJS.WriteStream,
): SafeText {
  const amounts = parts.map(({ amount }) => (amount > 0n ? amount : 0n));
  const total = amounts.reduce((sum, amount) => sum + amount, 0n);
  let left = width;
  const drawn = parts.map(({ cell, color }, i) => {
    const share = total > 0n ? ((amounts[i] ?? 0n) * BigInt(width) + total / 2n) / total : 0n;
    const cells = i === parts.length - 1 ? left : Math.min(Number(share), left);
    left -= cells;
    return styled(color, cell.repeat(cells), stream);
  });
  return joined(drawn, "");
}
