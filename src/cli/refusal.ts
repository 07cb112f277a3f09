import { formatAmount } from "../amounts/index.ts";
import {
  IdempotencyKeyReusedError,
  InsufficientFundsError,
  type LedgerError,
  LimitReachedError,
  OverdraftLimitError,
  RefundExceedsSettledError,
} from "../errors/index.ts";
import type { Denomination } from "./amounts.ts";
import { combinationOf, limitNumber, limitWriter, windowOf } from "./limit-words.ts";

/**
 * Describes a refusal: with amounts in the wallet's unit if that is known, as a person writes them
 * on the command line. The database reports them in the smallest step.
 */
export function describeRefusal(error: LedgerError, denomination?: Denomination): string {
  // A proxy may have cut the detail short, but not the message of the database.
  return (denomination && describeAmounts(error, denomination)) ?? error.message;
}

function describeAmounts(error: LedgerError, { scale, unit }: Denomination): string | undefined {
  const show = (amount: unknown): string =>
    typeof amount === "bigint"
      ? `${formatAmount(amount, scale, { grouping: true })} ${unit}`
      : String(amount ?? "none");
  if (error instanceof InsufficientFundsError && typeof error.requested === "bigint") {
    const { available, requested, reserved, retryAt } = error;
    const next = retryAt ? `; the next of it is due at ${retryAt.toISOString()}` : "";
    return (
      `insufficient funds: ${show(requested)} asked for, ${show(available)} available, ` +
      `${show(reserved)} reserved${next}`
    );
  }
  if (error instanceof LimitReachedError && typeof error.used === "bigint") {
    return describeLimitReached(error, { scale, unit });
  }
  if (error instanceof OverdraftLimitError && typeof error.wouldBe === "bigint") {
    const { overdraftLimit, wouldBe } = error;
    return (
      `over the overdraft limit: available would be ${show(wouldBe)}, ` +
      `the limit is ${show(overdraftLimit)}`
    );
  }
  if (error instanceof RefundExceedsSettledError && typeof error.requested === "bigint") {
    const { refundable, requested, reservationId } = error;
    return (
      `refund of ${show(requested)} exceeds the ${show(refundable)} that reservation ` +
      `${reservationId} has settled and not had refunded`
    );
  }
  if (error instanceof IdempotencyKeyReusedError && isAmount(error)) {
    const { field, given, stored } = error;
    return `idempotency key reused with another ${field}: stored ${show(stored)}, given ${show(given)}`;
  }
  return undefined;
}

function describeLimitReached(error: LimitReachedError, denomination: Denomination): string {
  const { amount, held, limitId, of, per, reason, requested, resetsAt, retryAt, used } = error;
  const show = limitWriter(of, denomination);
  const combination = combinationOf(error.values);
  const name = combination === "" ? limitId : `${limitId} (${combination})`;
  const isSum = of === "amount" || of === "tokens";
  const asked = isSum ? `${show(requested)} asked for, ` : "";
  const window = of === "open" || per === "ever" ? "" : ` ${windowOf(per)}`;
  const isHeld = reason === "held" && of !== "open";
  const facts = [
    `limit ${name} reached: ${asked}${limitNumber(of, denomination.scale)(used)} of ${show(amount)}${window} used`,
    ...(isHeld ? [`${show(held)} of it held`] : []),
  ].join(", ");
  if (retryAt) return `${facts}; the next reservation is due at ${retryAt.toISOString()}`;
  return resetsAt ? `${facts}; it resets at ${resetsAt.toISOString()}` : facts;
}

function isAmount({ given, stored }: IdempotencyKeyReusedError): boolean {
  return typeof given === "bigint" || typeof stored === "bigint";
}
