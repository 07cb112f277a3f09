import type { Labels } from "../../client/index.ts";
import type { Metadata } from "../../json/index.ts";
import { isObject, part } from "../wire/read.ts";
import { type Json, NotSent } from "../wire/types.ts";
import type { BudgetedCall, BudgetOptions } from "./index.ts";

/** Whose money a call is, and what it counts by. */
export interface CallBudget {
  readonly walletId: string;
  readonly labels: Labels;
  readonly metadata: Metadata | undefined;
}

const FIELDS = new Set(["wallet", "labels", "metadata"]);

/** Reads `providerOptions.baseledger` of a call, and what the options of the middleware say. */
export async function readBudget(
  { wallet, labels }: Pick<BudgetOptions, "wallet" | "labels">,
  call: BudgetedCall,
): Promise<CallBudget> {
  const own = part((call.params as Json).providerOptions, "baseledger");
  const odd = Object.keys(own).find((field) => !FIELDS.has(field));
  if (odd !== undefined) throw new NotSent("unreadable", `providerOptions.baseledger.${odd}?`);
  const walletId = own.wallet ?? (typeof wallet === "function" ? await wallet(call) : wallet);
  if (typeof walletId !== "string") {
    throw new NotSent(
      "no_wallet",
      "no wallet pays for this call: name one by the option wallet, or by " +
        "providerOptions.baseledger.wallet",
    );
  }
  return {
    walletId,
    labels: {
      ...(typeof labels === "function" ? await labels(call) : labels),
      // The ledger's client turns down what is no text.
      ...(part(own, "labels") as Labels),
    },
    metadata: isObject(own.metadata) ? (own.metadata as Metadata) : undefined,
  };
}
