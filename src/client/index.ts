export * from "./drivers.ts";
export type { Floor, HoldOptions, HoldTerms, Labels, OnThrow } from "./guard.ts";
export { createIdempotencyKey } from "./keys.ts";
export { createLedger, type Ledger, type LedgerOptions } from "./ledger.ts";
export type { KeyOptional, LedgerMethods, MethodName } from "./methods.ts";
export * from "./receipts.ts";
export type { Reservation } from "./reservation.ts";
export type { Booking, Cost } from "./usage.ts";
