import { InvalidArgumentError, type LedgerError, PriceNotFoundError } from "./refusals.ts";

/** Whether a settlement was refused because of its usage, so that it will be refused again. */
export function isUnpriced(error: unknown): error is LedgerError {
  if (error instanceof InvalidArgumentError) return error.field === "usage";
  return error instanceof PriceNotFoundError;
}
