import type { Receipt } from "../generated/index.ts";

type Always = "seq" | "event" | "available" | "reserved" | "spent" | "occurredAt";
type Refusal = "refused" | "detail";
type Facts = Omit<Receipt, Always | Refusal> & {
  readonly [Field in Always]: NonNullable<Receipt[Field]>;
};

/**
 * The receipt of a command that was carried out: its event, with the balances right after it. (A
 * {@link Receipt} may be a refusal in a batch, which has no event.)
 */
export interface Granted extends Facts {}

/** Receipt of a command that has a key. */
export interface Done extends Granted {
  readonly idempotencyKey: string;
}

/** Receipt of a command that moves an amount. */
export interface Moved extends Done {
  readonly amount: bigint;
}

/** Receipt of a command on a reservation, such as the one that a charge leaves to be refunded. */
export interface Booked extends Moved {
  readonly reservationId: string;
}

/** Receipt of a command that leaves a reservation open until a deadline. */
export interface Held extends Booked {
  readonly expiresAt: Date;
}

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
  readonly freezeWallet: Done;
  readonly unfreezeWallet: Done;
  readonly closeWallet: Done;
  readonly reopenWallet: Done;
  readonly setOverdraftLimit: Done;
  readonly setLowBalance: Done;
  readonly allow: Done;
  readonly disallow: Done;
  readonly revokeKey: Done;
  readonly setLimit: Done;
  readonly setLimitFor: Done;
  readonly removeLimit: Done;
}
