import type { Json } from "../wire/json.ts";

/** Something to go on record with an event. */
export type Metadata = { readonly [key: string]: Json };

/** What was reported as spent. */
export interface Tally {
  readonly amount: bigint;
  readonly metadata: Metadata;
  /** Whether anything was reported, be it zero. */
  readonly reported: boolean;
  add(amount: bigint, metadata?: Metadata): void;
}

/** Begins with nothing. */
export function createTally(): Tally {
  let total = 0n;
  let noted: Metadata = {};
  let reported = false;
  return {
    get amount() {
      return total;
    },
    get metadata() {
      return noted;
    },
    get reported() {
      return reported;
    },
    add(amount, metadata) {
      if (typeof amount !== "bigint") throw new TypeError("an amount is a bigint, such as 250n");
      if (amount < 0n) throw new RangeError(`spent is never less than nothing: ${amount}`);
      total += amount;
      noted = { ...noted, ...metadata };
      reported = true;
    },
  };
}
