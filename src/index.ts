export { type AmountFormat, formatAmount, parseAmount } from "./amounts/index.ts";
export * from "./client/index.ts";
export {
  AlreadyEndedError,
  BalanceOutOfRangeError,
  type CommandName,
  ERROR_CODES,
  type ErrorCode,
  HeartbeatLostError,
  type Holder,
  IdempotencyKeyReusedError,
  InsufficientFundsError,
  InvalidArgumentError,
  JournalImmutableError,
  LedgerClosedError,
  LedgerError,
  type LedgerErrorFields,
  NothingReportedError,
  NotSettledError,
  OutcomeUnknownError,
  OverdraftLimitError,
  PreparedStatementLostError,
  QueueFullError,
  RefundExceedsSettledError,
  ReservationEndedError,
  ReservationExpiredError,
  ReservationIdTakenError,
  ReservationNotFoundError,
  refusalToError,
  toLedgerError,
  UnavailableError,
  UnknownCommandError,
  WalletBusyError,
  WalletFrozenError,
  WalletNotFoundError,
} from "./errors/index.ts";
export * from "./generated/index.ts";
export type { Json, Metadata } from "./json/index.ts";
export type { Queryable } from "./wire/index.ts";
