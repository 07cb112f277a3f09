import { Option } from "commander";
import { formatAmount } from "../client/amounts.ts";
import { balance, type Receipt } from "../generated/baseledger.ts";
import type { Json } from "../json.ts";
import type { Queryable } from "../wire/call.ts";
import { parsedBy } from "./failure.ts";
import { decimalsFor, printJson, printLine } from "./output.ts";

/** What the amounts of a wallet count. */
export interface Denomination {
  readonly unit: string;
  /** Decimal digits of the smallest step. */
  readonly scale: number;
}

/** What the amounts of a wallet count. */
export async function denominationOf(sql: Queryable, walletId: string): Promise<Denomination> {
  return balance(sql, { walletId });
}

/** Prints what a command has done: for a program, or for a person. */
export function printReceipt(receipt: Receipt, unit: Denomination, json?: boolean): void {
  if (json) printJson(receipt);
  else printLine(tellReceipt(receipt, unit));
}

function tellReceipt(receipt: Receipt, { unit, scale }: Denomination): string {
  const { amount, event, idempotencyKey, replayed, seq, walletId } = receipt;
  const balances = (["available", "reserved", "spent"] as const).map(
    (name) => [name, receipt[name] ?? 0n] as const,
  );
  const decimals = decimalsFor([...balances.map(([, value]) => value), amount ?? 0n], scale);
  const show = (value: bigint): string =>
    `${formatAmount(value, scale, { grouping: true, decimals })} ${unit}`;
  const moved = amount === null ? "" : ` ${show(amount)}`;
  const before = replayed ? ", done before: nothing was done now" : "";
  const width = Math.max(...balances.map(([, value]) => show(value).length));
  return [
    `${walletId}: ${event}${moved} (event ${seq}${before})`,
    ...balances.map(([name, value]) => `  ${name.padEnd(9)}  ${show(value).padStart(width)}`),
    ...(idempotencyKey === null ? [] : [`  ${"key".padEnd(9)}  ${idempotencyKey}`]),
  ].join("\n");
}

/** The option for what a caller wants to have on record with a command. */
export function metadataOption(): Option {
  return new Option("--metadata <json>", "an object to keep with it").argParser(
    parsedBy((text): Json => {
      const value = JSON.parse(text) as Json;
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new RangeError('It is not a JSON object like {"order": 17}.');
      }
      return value;
    }),
  );
}
