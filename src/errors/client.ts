import { type Metadata, stringifyJson, type Usage } from "../json/index.ts";

/**
 * Which command an error of the client is about. These errors are not refusals: the ledger has not
 * answered, or its answer was lost.
 */
export interface CommandName {
  /** null for what concerns no single wallet */
  readonly walletId: string | null;
  /** null for what has no key, such as a read or a batch of your own */
  readonly idempotencyKey: string | null;
}

/** Too many commands wait for an answer already; nothing was sent. Slow down, then retry. */
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
 * The command was sent, and no answer came in time, or the connection broke and later tries could
 * not find out: it may have been carried out or not. Sending it again **with the same idempotency
 * key** is safe, and shows which.
 */
export class OutcomeUnknownError extends Error implements CommandName {
  override readonly name = "OutcomeUnknownError";
  readonly walletId: string | null;
  readonly idempotencyKey: string | null;

  constructor({ walletId, idempotencyKey }: CommandName, seconds: number, cause?: unknown) {
    const [what, same] =
      idempotencyKey === null
        ? ["the call", "arguments"]
        : [`the command ${idempotencyKey}`, "idempotency key"];
    super(
      `no answer within ${seconds} s: ${what} may have been carried out or not; send it again with ` +
        `the same ${same}, which is safe, to find out`,
      { cause },
    );
    this.walletId = walletId;
    this.idempotencyKey = idempotencyKey;
  }
}

/** A session of the database that blocks a command. */
export interface Holder {
  /** Process of the server, as in `pg_stat_activity`. */
  readonly pid: number;
  /** Its login. */
  readonly user: string | null;
  /** Its `application_name`. */
  readonly application: string | null;
  /** When its transaction began; null where this login may not see that. */
  readonly since: Date | null;
}

/**
 * The database could not be reached in time, or did not get to the command, e.g. because another
 * transaction has locked the wallet. Nothing was done, and nothing will be done later; `cause` is
 * the last error. The command can be sent again at any time.
 */
export class UnavailableError extends Error implements CommandName {
  override readonly name = "UnavailableError";
  readonly walletId: string | null;
  readonly idempotencyKey: string | null;
  /** The sessions that blocked it, where the client could find them out. */
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
        (heldBy.length > 0 ? `; it waited for ${heldBy.map(describe).join(", ")}` : ""),
      { cause },
    );
    this.walletId = walletId;
    this.idempotencyKey = idempotencyKey;
    this.heldBy = heldBy;
  }
}

function describe({ pid, user, application, since }: Holder): string {
  const known = [user && `user ${user}`, application, since && `since ${since.toISOString()}`];
  return `process ${pid} (${known.filter(Boolean).join(", ")})`;
}

/**
 * The connection given to `with` prepares statements, and a pooler in front of the database may lose
 * them: the driver's `commit` would then become a rollback without an error. Let the transaction
 * fail: nothing in it was done. Open the pool with `prepare: false`; or, if the pooler keeps sessions
 * or statements, pass `createLedger(…, { prepare: true })`.
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

/** The handle was settled or cancelled before: a reservation ends once. */
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

/** No heartbeat reached the database before the reservation's deadline, which has passed. */
export class HeartbeatLostError extends Error {
  override readonly name = "HeartbeatLostError";
  readonly reservationId: string;

  constructor(reservationId: string, cause: unknown) {
    super(`reservation ${reservationId} could not be extended before its deadline`, { cause });
    this.reservationId = reservationId;
  }
}

/**
 * The callback of a `guard` returned without a call of `reservation.spend`, so the cost is unknown.
 * The full hold was settled, so that the books never show less than was spent.
 */
export class NothingReportedError extends Error {
  override readonly name = "NothingReportedError";
  readonly reservationId: string;
  /** what was settled: the full hold */
  readonly amount: bigint;
  /** what the callback returned */
  readonly result: unknown;

  constructor(reservationId: string, amount: bigint, result: unknown) {
    super(
      `the callback did not say what it cost, so all of ${amount} was settled: call ` +
        "reservation.spend(amount), or spend(usage), in it, with 0n if it was free",
    );
    this.reservationId = reservationId;
    this.amount = amount;
    this.result = result;
  }
}

/**
 * Usage that was reported has no price, or is not valid: `cause` says why. What was left of the hold
 * was settled in its place, so that the books never show less than was spent; too much can be
 * refunded.
 */
export class UsageNotPricedError extends Error {
  override readonly name = "UsageNotPricedError";
  readonly walletId: string;
  readonly reservationId: string;
  /** what was settled in place of the usage */
  readonly amount: bigint;
  /** what the callback of a `guard` returned or threw */
  readonly outcome: PromiseSettledResult<unknown> | undefined;

  constructor(
    settled: { readonly walletId: string; readonly reservationId: string; readonly amount: bigint },
    outcome: PromiseSettledResult<unknown> | undefined,
    cause: Error,
  ) {
    const { amount, reservationId } = settled;
    super(
      `the usage of reservation ${reservationId} could not be priced, so ${amount} was settled, what ` +
        `was left of its hold: ${cause.message}`,
      { cause },
    );
    this.walletId = settled.walletId;
    this.reservationId = reservationId;
    this.amount = amount;
    this.outcome = outcome;
  }
}

/** A settlement, as `ledger.settle` takes it. */
export type Settlement = {
  readonly walletId: string;
  readonly reservationId: string;
  readonly idempotencyKey: string;
  readonly final?: boolean;
  readonly metadata: Metadata;
} & (
  | { readonly amount: bigint; readonly usage?: null | undefined }
  | { readonly amount?: null | undefined; readonly usage: Usage }
);

/**
 * Something was spent, and could not be settled: `cause` says why. `ledger.settle(error)` sends the
 * same settlement again, which is safe whether or not the first one was carried out. Where usage was
 * reported more than once, send each of `error.parts` before it.
 */
export class NotSettledError extends Error {
  override readonly name = "NotSettledError";
  readonly walletId: string;
  readonly reservationId: string;
  readonly idempotencyKey: string;
  /** what was spent; null where usage was reported */
  readonly amount: bigint | null;
  /** the usage that was reported; null where an amount was */
  readonly usage: Usage | null;
  /** what was reported with it */
  readonly metadata: Metadata;
  /** the settlements before this one; mostly none */
  readonly parts: readonly Settlement[];
  /** what the callback of a `guard` returned or threw */
  readonly outcome: PromiseSettledResult<unknown> | undefined;

  constructor(
    settlements: readonly Settlement[],
    outcome: PromiseSettledResult<unknown> | undefined,
    cause: unknown,
  ) {
    const last = settlements.at(-1) as Settlement;
    const spent = last.usage ? stringifyJson(last.usage) : String(last.amount);
    super(`${spent} was spent of reservation ${last.reservationId}, but not settled`, { cause });
    this.walletId = last.walletId;
    this.reservationId = last.reservationId;
    this.idempotencyKey = last.idempotencyKey;
    this.amount = last.amount ?? null;
    this.usage = last.usage ?? null;
    this.metadata = last.metadata;
    this.parts = settlements.slice(0, -1);
    this.outcome = outcome;
  }
}
