import type {
  CancelArgs,
  ChargeArgs,
  ExtendArgs,
  ReserveArgs,
  SettleArgs,
} from "../generated/index.ts";

/** Names of the wrappers of functions that only read. */
export const READS: ReadonlySet<string> = new Set([
  "balance",
  "balanceAt",
  "doctor",
  "nextDue",
  "statement",
  "sweepStatus",
  "verify",
  "verifyRights",
  "walletsAhead",
]);

/** The operations that a batch of {@link post} takes, with the arguments of their wrappers. */
export interface BatchOperations {
  readonly reserve: ReserveArgs;
  readonly settle: SettleArgs;
  readonly cancel: CancelArgs;
  readonly extend: ExtendArgs;
  readonly charge: ChargeArgs;
}

/**
 * What a command of {@link post} may have beside `op`: the argument, its field in JSON, and its
 * type in SQL.
 */
export const BATCH_FIELDS = {
  reserve: [
    ["amount", "amount", "bigint"],
    ["idempotencyKey", "idempotency_key", "text"],
    ["ttl", "ttl", "interval"],
    ["reservationId", "reservation_id", "text"],
    ["atLeast", "at_least", "bigint"],
    ["metadata", "metadata", "jsonb"],
  ],
  settle: [
    ["reservationId", "reservation_id", "text"],
    ["amount", "amount", "bigint"],
    ["idempotencyKey", "idempotency_key", "text"],
    ["final", "final", "boolean"],
    ["metadata", "metadata", "jsonb"],
  ],
  cancel: [
    ["reservationId", "reservation_id", "text"],
    ["idempotencyKey", "idempotency_key", "text"],
    ["metadata", "metadata", "jsonb"],
  ],
  extend: [
    ["reservationId", "reservation_id", "text"],
    ["ttl", "ttl", "interval"],
    ["idempotencyKey", "idempotency_key", "text"],
    ["amount", "amount", "bigint"],
    ["metadata", "metadata", "jsonb"],
  ],
  charge: [
    ["amount", "amount", "bigint"],
    ["idempotencyKey", "idempotency_key", "text"],
    ["reservationId", "reservation_id", "text"],
    ["metadata", "metadata", "jsonb"],
  ],
} as const;
