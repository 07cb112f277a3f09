import type { Receipt } from "../generated/index.ts";
import { joined, printJson, printLine, type SafeText, text, trusted } from "../terminal/index.ts";
import { amountWriter, type Denomination } from "./amounts.ts";

/** Prints the receipt of a command: for a program, or for a person. */
export function printReceipt(receipt: Receipt, unit: Denomination, json?: boolean): void {
  if (json) printJson(receipt);
  else printLine(describeReceipt(receipt, unit));
}

/** Prints what a change of terms, limits or access has led to, with what holds now. */
export function printChange(
  { event, idempotencyKey, replayed, seq, walletId }: Receipt,
  facts: readonly (readonly [name: string, value: string])[] = [],
): void {
  const did = (event ?? "").replaceAll("_", " ");
  const before = replayed ? text`, done before: nothing was done now` : text``;
  const shown = idempotencyKey === null ? facts : [...facts, ["key", idempotencyKey] as const];
  const width = Math.max(...shown.map(([name]) => name.length));
  printLine(
    joined([
      text`${walletId}: ${did} (event ${seq ?? "unknown"}${before})`,
      ...shown.map(([name, value]) => text`  ${trusted(name.padEnd(width))}  ${value}`),
    ]),
  );
}

function describeReceipt(receipt: Receipt, { unit, scale }: Denomination): SafeText {
  const { amount, event, expiresAt, idempotencyKey, replayed, reservationId, seq, walletId } =
    receipt;
  const balances = (["available", "reserved", "spent"] as const).map(
    (name) => [name, receipt[name] ?? 0n] as const,
  );
  const format = amountWriter(scale, [...balances.map(([, value]) => value), amount ?? 0n]);
  const moved = amount === null ? text`` : text` ${format(amount)} ${unit}`;
  const before = replayed ? text`, done before: nothing was done now` : text``;
  const amounts = balances.map(([, value]) => format(value));
  const width = Math.max(...amounts.map((written) => written.length));
  const facts = [
    ["reservation", reservationId],
    ["until", expiresAt?.toISOString() ?? null],
    ["key", idempotencyKey],
  ].filter((fact): fact is [string, string] => fact[1] !== null);
  const names = Math.max(9, ...facts.map(([name]) => name.length));
  return joined([
    text`${walletId ?? ""}: ${event ?? ""}${moved} (event ${seq ?? "unknown"}${before})`,
    ...balances.map(([name], i) => {
      const written = trusted((amounts[i] ?? "").padStart(width));
      return text`  ${trusted(name.padEnd(names))}  ${written} ${unit}`;
    }),
    ...facts.map(([name, value]) => text`  ${trusted(name.padEnd(names))}  ${value}`),
  ]);
}
