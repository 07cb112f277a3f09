import type { Metadata } from "./tally.ts";

/**
 * What a command was, for errors of the client. These are not refusals: the ledger has said
 * nothing, or what it said came to nothing.
 */
export interface CommandName {
  /** null for what concerns no single wallet */
  readonly walletId: string | null;
  /** null for what has no key, such as a read or a batch of your own */
  readonly idempotencyKey: string | null;
}

/** More commands are waiting than the client takes; nothing was sent. Slow down, then retry. */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";
  /** how many may wait (`maxPending`) */
  readonly limit: number;

  constructor(limit: number) {
    super(`${limit} commands are waiting already: slow down, and send this one again later`);
    this.limit = limit;
  }
}

/** The client is closed or closing; nothing was sent. */
export class LedgerClosedError extends Error {
  override readonly name = "LedgerClosedError";

  constructor() {
    super("this ledger client is closed");
  }
}

/**
 * The command was sent, and no answer came in time, or the connection broke and what came after it
 * does not tell: it may have been carried out or not. Sending it again **with the same idempotency
 * key** is safe, and tells which.
 */
export class OutcomeUnknownError extends Error implements CommandName {
  override readonly name = "OutcomeUnknownError";
  readonly walletId: string | null;
  readonly idempotencyKey: string | null;

  constructor({ walletId, idempotencyKey }: CommandName, seconds: number, cause?: unknown) {
    super(
      `no answer within ${seconds} s: the command ${idempotencyKey ?? ""} may have been carried ` +
        "out or not; send it again with the same idempotency key, which is safe, to find out",
      { cause },
    );
    this.walletId = walletId;
    this.idempotencyKey = idempotencyKey;
  }
}

/** A session of the database that keeps a command waiting. */
export interface Holder {
  /** Process of the server, as in `pg_stat_activity`. */
  readonly pid: number;
  /** Its login. */
  readonly user: string | null;
  /** Its `application_name`. */
  readonly application: string | null;
  /** When its transaction has begun; null where this login may not see that. */
  readonly since: Date | null;
}

/**
 * The database could not be reached in time, or did not get to the command, e.g. as somebody has
 * locked the wallet. Nothing has happened, and nothing of it will happen later; `cause` is the last
 * error. Send it again when you like.
 */
export class UnavailableError extends Error implements CommandName {
  override readonly name = "UnavailableError";
  readonly walletId: string | null;
  readonly idempotencyKey: string | null;
  /** Who was seen to keep it waiting, where that could be found out. */
  readonly heldBy: readonly Holder[];

  constructor(
    { walletId, idempotencyKey }: CommandName,
    seconds: number,
    cause?: unknown,
    heldBy: readonly Holder[] = [],
  ) {
    super(
      `nothing was done: the database did not get to it within ${seconds} s` +
        (cause instanceof Error ? `; the last error was: ${cause.message}` : "") +
        (heldBy.length > 0 ? `; it waited for ${heldBy.map(tell).join(", ")}` : ""),
      { cause },
    );
    this.walletId = walletId;
    this.idempotencyKey = idempotencyKey;
    this.heldBy = heldBy;
  }
}

function tell({ pid, user, application, since }: Holder): string {
  const known = [user && `user ${user}`, application, since && `since ${since.toISOString()}`];
  return `process ${pid} (${known.filter(Boolean).join(", ")})`;
}

/**
 * The connection given to `with` prepares statements, and there is a pooler in front of the database
 * that may lose them: then the driver's `commit` would become a rollback without an error. Let the
 * transaction fail: nothing of it was done. Open the pool with `prepare: false`; or if the pooler keeps
 * sessions or statements, say so with `createLedger(…, { prepare: true })`.
 */
export class PreparedStatementLostError extends Error {
  override readonly name = "PreparedStatementLostError";

  constructor(cause: unknown) {
    super(
      "this connection prepares statements, and there is a pooler in between that may lose them, " +
        "so that a commit would become a rollback without an error: open your pool with " +
        "prepare: false; or if the pooler keeps sessions or statements, give createLedger the " +
        "option prepare: true",
      { cause },
    );
  }
}

/** The handle was settled or cancelled before: it acts once. */
export class AlreadyEndedError extends Error {
  override readonly name = "AlreadyEndedError";
  readonly reservationId: string;
  /** how it ended */
  readonly end: "settled" | "cancelled";

  constructor(reservationId: string, end: "settled" | "cancelled") {
    super(`reservation ${reservationId} was ${end} through this handle before`);
    this.reservationId = reservationId;
    this.end = end;
  }
}

/** Heartbeats did not reach the database, and by now the reservation's deadline has passed. */
export class HeartbeatLostError extends Error {
  override readonly name = "HeartbeatLostError";
  readonly reservationId: string;

  constructor(reservationId: string, cause: unknown) {
    super(`reservation ${reservationId} could not be extended before its deadline`, { cause });
    this.reservationId = reservationId;
  }
}

/**
 * The callback of a `guard` returned without a call of `reservation.spend`, so nobody knows what
 * it cost. The whole hold was settled, so that the books never show less than was spent.
 */
export class NothingReportedError extends Error {
  override readonly name = "NothingReportedError";
  readonly reservationId: string;
  /** what was settled: the whole hold */
  readonly amount: bigint;
  /** what the callback returned */
  readonly result: unknown;

  constructor(reservationId: string, amount: bigint, result: unknown) {
    super(
      `the callback did not say what it cost, so all of ${amount} was settled: call ` +
        "reservation.spend(amount) in it, with 0n if it was free",
    );
    this.reservationId = reservationId;
    this.amount = amount;
    this.result = result;
  }
}

/**
 * Something was spent, and could not be settled: `cause` says why. `ledger.settle(error)` sends the
 * same settlement again; that is safe, whatever became of the first attempt.
 */
export class NotSettledError extends Error {
  override readonly name = "NotSettledError";
  readonly walletId: string;
  readonly reservationId: string;
  readonly idempotencyKey: string;
  /** what was spent */
  readonly amount: bigint;
  /** what was reported with it */
  readonly metadata: Metadata;
  /** what the callback of a `guard` returned or threw */
  readonly outcome: PromiseSettledResult<unknown> | undefined;

  constructor(
    settlement: {
      readonly walletId: string;
      readonly reservationId: string;
      readonly idempotencyKey: string;
      readonly amount: bigint;
      readonly metadata: Metadata;
    },
    outcome: PromiseSettledResult<unknown> | undefined,
    cause: unknown,
  ) {
    const { amount, reservationId } = settlement;
    super(`${amount} was spent of reservation ${reservationId}, but not settled`, { cause });
    this.walletId = settlement.walletId;
    this.reservationId = reservationId;
    this.idempotencyKey = settlement.idempotencyKey;
    this.amount = amount;
    this.metadata = settlement.metadata;
    this.outcome = outcome;
  }
}
