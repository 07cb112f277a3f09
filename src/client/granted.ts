import type { Receipt } from "../generated/baseledger.ts";

/** What each granted command has. */
type Always = "seq" | "event" | "available" | "reserved" | "spent" | "occurredAt";

/**
 * The receipt of a command that was carried out: its event, with the balances right after it. What
 * `More` names is there as well. (A {@link Receipt} has nulls, as a batch returns refusals, too.)
 */
export type Granted<More extends keyof Receipt = never> = {
  readonly [Field in Exclude<keyof Receipt, "refused" | "detail">]: Field extends Always | More
    ? NonNullable<Receipt[Field]>
    : Receipt[Field];
};

/** Receipt of a command that moves an amount. */
export type Moved = Granted<"amount" | "idempotencyKey">;

/** Receipt of a command that books, returns or refunds what a reservation held. */
export type Booked = Granted<"amount" | "idempotencyKey" | "reservationId">;

/** Receipt of a command that holds funds until a deadline. */
export type Held = Granted<"amount" | "idempotencyKey" | "reservationId" | "expiresAt">;

/** The receipts of the commands, by name of the method. */
export interface Receipts {
  readonly openWallet: Granted;
  readonly credit: Moved;
  readonly withdraw: Moved;
  readonly transfer: Moved;
  readonly reserve: Held;
  readonly extend: Held;
  readonly settle: Booked;
  readonly cancel: Booked;
  readonly charge: Booked;
  readonly refund: Booked;
  readonly freezeWallet: Granted<"idempotencyKey">;
  readonly unfreezeWallet: Granted<"idempotencyKey">;
}
