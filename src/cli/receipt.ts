import { Option } from "commander";
import { formatAmount } from "../amounts/index.ts";
import { balance, type Receipt } from "../generated/index.ts";
import type { Queryable } from "../wire/call.ts";
import { type Json, parseJson } from "../wire/json.ts";
import { parsedBy } from "./failure.ts";
import { decimalsFor, printJson, printLine } from "./output.ts";
import type { Denomination } from "./refusal.ts";
import { joined, ours, type Shown, text } from "./shown.ts";

export type { Denomination } from "./refusal.ts";

/** What the amounts of a wallet count. */
export async function denominationOf(sql: Queryable, walletId: string): Promise<Denomination> {
  return balance(sql, { walletId });
}

/** Prints what a command has done: for a program, or for a person. */
export function printReceipt(receipt: Receipt, unit: Denomination, json?: boolean): void {
  if (json) printJson(receipt);
  else printLine(tellReceipt(receipt, unit));
}

function tellReceipt(receipt: Receipt, { unit, scale }: Denomination): Shown {
  const { amount, event, expiresAt, idempotencyKey, replayed, reservationId, seq, walletId } =
    receipt;
  const balances = (["available", "reserved", "spent"] as const).map(
    (name) => [name, receipt[name] ?? 0n] as const,
  );
  const decimals = decimalsFor([...balances.map(([, value]) => value), amount ?? 0n], scale);
  const format = { grouping: true, decimals };
  const moved = amount === null ? text`` : text` ${formatAmount(amount, scale, format)} ${unit}`;
  const before = replayed ? text`, done before: nothing was done now` : text``;
  const amounts = balances.map(([, value]) => formatAmount(value, scale, format));
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
      const written = ours((amounts[i] ?? "").padStart(width));
      return text`  ${ours(name.padEnd(names))}  ${written} ${unit}`;
    }),
    ...facts.map(([name, value]) => text`  ${ours(name.padEnd(names))}  ${value}`),
  ]);
}

/** The option for what a caller wants to have on record with a command. */
export function metadataOption(): Option {
  return new Option("--metadata <json>", "an object to keep with it").argParser(
    parsedBy((text): Json => {
      const value = parseJson(text);
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new RangeError('It is not a JSON object like {"order": 17}.');
      }
      return value;
    }),
  );
}
