import { type Json, stringifyJson } from "../json/index.ts";
import { readDetail } from "./detail.ts";

/** The SQLSTATEs of the ledger's refusals; db/ERRORS.md says how to handle each. */
export const ERROR_CODES = [
  "LGARG",
  "LGBSY",
  "LGCLO",
  "LGEND",
  "LGEXP",
  "LGFRZ",
  "LGIDK",
  "LGIMM",
  "LGLIM",
  "LGNSF",
  "LGOVD",
  "LGOVF",
  "LGPRC",
  "LGRFD",
  "LGRID",
  "LGRNF",
  "LGUNK",
  "LGWNF",
] as const;

/** The SQLSTATE of a refusal. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What {@link LedgerError} is constructed from. */
export interface LedgerErrorFields {
  readonly message: string;
  /** the detail as the database gives it: JSON, as text or parsed */
  readonly detail?: Json | undefined;
  readonly hint?: string | null | undefined;
  readonly cause?: unknown;
}

/** A refusal of the ledger: a rule was broken, and nothing has changed. */
export class LedgerError extends Error {
  /** SQLSTATE */
  readonly code: string;
  /** The facts, for a program: the fields that the class adds to this one. */
  declare readonly detail: Omit<this, keyof LedgerError>;
  /** What to do about it; null where only the database could say. */
  readonly hint: string | null;

  constructor(code: string, { message, detail, hint, cause }: LedgerErrorFields) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = hint ?? null;
    const fields = readDetail(detail);
    Object.assign(this, fields);
    // Not enumerable, so that an error that is printed shows the fields once.
    Object.defineProperty(this, "detail", { value: fields });
  }

  /** For logs: amounts, which JSON.stringify cannot write, become strings. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, hint } = this;
    const detail = JSON.stringify(this.detail, (_key, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    return { name, code, message, detail: JSON.parse(detail), hint };
  }
}

/** An argument is invalid; the same call will be refused again. */
export class InvalidArgumentError extends LedgerError {
  declare readonly code: "LGARG";
  /** name of the argument in SQL, without `p_` */
  declare readonly field: string;
  /** what it must be */
  declare readonly reason: string;
}

/** Another session keeps the wallet locked; only `postMany`, which never waits, refuses so. */
export class WalletBusyError extends LedgerError {
  declare readonly code: "LGBSY";
  declare readonly walletId: string;
}

/** No wallet has this id, or it is restricted and the caller has no access to it. */
export class WalletNotFoundError extends LedgerError {
  declare readonly code: "LGWNF";
  declare readonly walletId: string;
}

/** The wallet has no reservation of this id, or none that the caller may see. */
export class ReservationNotFoundError extends LedgerError {
  declare readonly code: "LGRNF";
  declare readonly reservationId: string;
}

/** Less is available than was asked for. Amounts are in the wallet's smallest step. */
export class InsufficientFundsError extends LedgerError {
  declare readonly code: "LGNSF";
  declare readonly requested: bigint;
  declare readonly available: bigint;
  declare readonly reserved: bigint;
  /** requested less available */
  declare readonly shortfall: bigint;
  /** `held`: open reservations would cover it when they end; `exhausted`: only a credit helps */
  declare readonly reason: "held" | "exhausted";
  /** when the next of those reservations comes due; null when exhausted */
  declare readonly retryAt: Date | null;
}

/**
 * A limit of the wallet would be passed. Amounts are in the wallet's smallest step, or, where the limit is
 * of calls, of open reservations or of tokens, numbers of these.
 */
export class LimitReachedError extends LedgerError {
  declare readonly code: "LGLIM";
  declare readonly limitId: string;
  /** the values of the labels that the limit is by; empty where it is by none */
  declare readonly values: readonly string[];
  /** its window: minute, hour, day, week, month, year, ever */
  declare readonly per: string;
  declare readonly of: "amount" | "calls" | "open" | "tokens";
  /** the most that may be used in a window */
  declare readonly amount: bigint;
  /** spent in this window, and held */
  declare readonly used: bigint;
  /** of these: held by open reservations */
  declare readonly held: bigint;
  declare readonly requested: bigint;
  /** used and requested, less amount */
  declare readonly shortfall: bigint;
  /** `held`: open reservations would cover it when they end; `exhausted`: it is spent */
  declare readonly reason: "held" | "exhausted";
  /** when the next reservation of the wallet comes due; null when exhausted */
  declare readonly retryAt: Date | null;
  /** when the next window begins; null when held, or when no window helps */
  declare readonly resetsAt: Date | null;
}

/** The idempotency key belongs to another command already. */
export class IdempotencyKeyReusedError extends LedgerError {
  declare readonly code: "LGIDK";
  /**
   * the first field that differs, as it is called in SQL; idempotency_key if the other command is one
   * that the caller may not see
   */
  declare readonly field: string;
  /** its value in the command that the key belongs to; an amount is a bigint */
  declare readonly stored: Json;
  /** its value in this command; an amount is a bigint */
  declare readonly given: Json;
}

/**
 * Usage has no price in this wallet. `reason` says what is missing: the catalogue does not have this
 * model, or not in this variant, or its price does not have this kind of usage; or the price is in
 * another currency than the wallet; or the wallet's scale is below 6.
 */
export class PriceNotFoundError extends LedgerError {
  declare readonly code: "LGPRC";
  declare readonly reason: "model" | "variant" | "kind" | "currency" | "scale";
  /** `provider/model`, as the usage or the reservation names it */
  declare readonly model: string;
  declare readonly variant: string;
  /** the kind of usage; only where that is the reason */
  declare readonly kind: string | undefined;
  /** that of the price; only where that is the reason */
  declare readonly currency: string | undefined;
  /** that of the wallet; only where the currency is the reason */
  declare readonly unit: string | undefined;
  /** that of the wallet; only where that is the reason */
  declare readonly scale: number | undefined;
}

/** The reservation has ended already: a reservation ends once. */
export class ReservationEndedError extends LedgerError {
  declare readonly code: "LGEND";
  declare readonly reservationId: string;
  /** how it ended: settled, cancelled */
  declare readonly status: string;
  declare readonly endedAt: Date | null;
  /** number of the event that ended it */
  declare readonly endedSeq: bigint | null;
}

/** The reservation is past its deadline: it can be settled, not extended or cancelled. */
export class ReservationExpiredError extends LedgerError {
  declare readonly code: "LGEXP";
  declare readonly reservationId: string;
  declare readonly expiredAt: Date | null;
}

/** The wallet would be below its overdraft limit. */
export class OverdraftLimitError extends LedgerError {
  declare readonly code: "LGOVD";
  /** what was spent; null when the limit was to be changed */
  declare readonly requested: bigint | null;
  declare readonly available: bigint;
  /** what would be available after it */
  declare readonly wouldBe: bigint;
  declare readonly overdraftLimit: bigint;
}

/** The wallet is frozen: nothing new is reserved, charged, withdrawn or transferred out. */
export class WalletFrozenError extends LedgerError {
  declare readonly code: "LGFRZ";
  declare readonly walletId: string;
}

/** The wallet is closed: nothing new is reserved, charged or credited. */
export class WalletClosedError extends LedgerError {
  declare readonly code: "LGCLO";
  declare readonly walletId: string;
}

/** A batch contains a command that this ledger does not know. */
export class UnknownCommandError extends LedgerError {
  declare readonly code: "LGUNK";
  declare readonly op: string;
}

/** The journal is append-only. */
export class JournalImmutableError extends LedgerError {
  declare readonly code: "LGIMM";
  /** what was tried: UPDATE, DELETE, TRUNCATE */
  declare readonly operation: string;
}

/** A balance would leave the range of 64 bits. */
export class BalanceOutOfRangeError extends LedgerError {
  declare readonly code: "LGOVF";
  declare readonly requested: bigint;
  declare readonly available: bigint;
  declare readonly reserved: bigint;
  declare readonly spent: bigint;
}

/** The wallet has, or had, a reservation of this id. */
export class ReservationIdTakenError extends LedgerError {
  declare readonly code: "LGRID";
  declare readonly reservationId: string;
}

/** The refund exceeds what the reservation has settled and not had refunded. */
export class RefundExceedsSettledError extends LedgerError {
  declare readonly code: "LGRFD";
  declare readonly reservationId: string;
  declare readonly requested: bigint;
  /** the most that can be refunded */
  declare readonly refundable: bigint;
}

type LedgerErrorClass<C> = new (code: C, fields: LedgerErrorFields) => LedgerError & { code: C };

const CLASSES: { readonly [C in ErrorCode]: readonly [LedgerErrorClass<C>, title: string] } = {
  LGARG: [InvalidArgumentError, "invalid argument"],
  LGBSY: [WalletBusyError, "wallet is busy"],
  LGCLO: [WalletClosedError, "wallet is closed"],
  LGEND: [ReservationEndedError, "reservation already ended"],
  LGEXP: [ReservationExpiredError, "reservation is past its deadline"],
  LGFRZ: [WalletFrozenError, "wallet is frozen"],
  LGIDK: [IdempotencyKeyReusedError, "idempotency key reused with another request"],
  LGIMM: [JournalImmutableError, "journal is append-only"],
  LGLIM: [LimitReachedError, "limit reached"],
  LGNSF: [InsufficientFundsError, "insufficient funds"],
  LGOVD: [OverdraftLimitError, "over the overdraft limit"],
  LGOVF: [BalanceOutOfRangeError, "balance out of range"],
  LGPRC: [PriceNotFoundError, "no price"],
  LGRFD: [RefundExceedsSettledError, "refund exceeds what was settled"],
  LGRID: [ReservationIdTakenError, "reservation id already taken"],
  LGRNF: [ReservationNotFoundError, "reservation not found"],
  LGUNK: [UnknownCommandError, "unknown command"],
  LGWNF: [WalletNotFoundError, "wallet not found, or not open to the caller"],
};

/**
 * Makes a {@link LedgerError} of a refusal that a database driver threw (`postgres`, or `pg`: both
 * give `code`, `detail` and `hint`), with the driver's error as its cause; returns any other error
 * as it is.
 */
export function toLedgerError(error: unknown): unknown {
  if (!isRefusal(error)) return error;
  const { code, message, detail, hint } = error;
  return ledgerError(code, { message, detail, hint, cause: error });
}

/** Makes a {@link LedgerError} of a receipt in which `post`, `post_funds` or `post_many` refused a command. */
export function refusalToError(receipt: {
  readonly refused: string | null;
  readonly detail: Json;
}): LedgerError {
  const { refused, detail } = receipt;
  if (refused === null) throw new TypeError("the command was not refused");
  const title = isErrorCode(refused) ? CLASSES[refused][1] : `refused with ${refused}`;
  const facts = Object.entries(readDetail(detail)).filter(([, value]) => value !== null);
  const list = facts.map(([name, value]) => `${name} ${format(value)}`).join(", ");
  return ledgerError(refused, { message: list ? `${title}: ${list}` : title, detail });
}

function ledgerError(code: string, fields: LedgerErrorFields): LedgerError {
  // A code of a newer database, which has no class here, is still a refusal.
  if (!isErrorCode(code)) return new LedgerError(code, fields);
  const [Class] = CLASSES[code] as readonly [LedgerErrorClass<ErrorCode>, string];
  return new Class(code, fields);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(CLASSES, code);
}

type Refusal = { code: string; message: string; detail?: string; hint?: string };

function isRefusal(error: unknown): error is Refusal {
  if (typeof error !== "object" || error === null || error instanceof LedgerError) return false;
  return "code" in error && typeof error.code === "string" && /^LG[A-Z]{3}$/.test(error.code);
}

function format(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === "object" ? stringifyJson(value as Json) : String(value);
}
