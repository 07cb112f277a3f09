import type { Metadata, Usage } from "../json/index.ts";

/** What something costs: an amount in the wallet's smallest step, or usage that the ledger prices. */
export type Cost =
  | { readonly amount: bigint; readonly usage?: null | undefined }
  | { readonly amount?: null | undefined; readonly usage: Usage };

/** Something to book, with what goes on record with it. */
export type Booking = Cost & { readonly metadata?: Metadata | undefined };

const MOST = 10 ** 12;
const NAMES: ReadonlySet<string> = new Set(["model", "variant"]);

/** Refuses at once what the ledger would refuse to book: by then the call has been paid for. */
export function requireUsage(usage: unknown): asserts usage is Usage {
  if (typeof usage !== "object" || usage === null || Array.isArray(usage)) {
    throw new TypeError("usage is an object, such as { input: 1200, output: 512 }");
  }
  const given = Object.entries(usage).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (NAMES.has(name) ? typeof value !== "string" : !isCount(value)) {
      const what = NAMES.has(name) ? "a text" : "a whole number from 0 to 10^12";
      throw new TypeError(`${name} of usage is ${what}, not ${String(value)}`);
    }
  }
  if (given.every(([name]) => NAMES.has(name))) {
    throw new TypeError("usage has at least one kind, such as input or requests");
  }
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST;
}
