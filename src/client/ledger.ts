import { InsufficientFundsError } from "../errors/index.ts";
import type { Receipt, ReserveArgs } from "../generated/index.ts";
import type { Queryable } from "../wire/call.ts";
import { createAccess } from "./access.ts";
import { createBatcher } from "./batch.ts";
import { createCarrier } from "./carry.ts";
import { type BatchedArgs, type BatchedOp, encode, isBatchedOp } from "./commands.ts";
import { connect } from "./connect.ts";
import { callDirectly, READS } from "./direct.ts";
import type { Held } from "./granted.ts";
import { guard } from "./guard.ts";
import { type HoldOptions, type HoldParts, hold } from "./hold.ts";
import { createKey } from "./keys.ts";
import { noteCommand } from "./long-transaction.ts";
import { createMethods, type KeyOptional, type LedgerMethods } from "./methods.ts";
import { type PendingCommands, trackPending } from "./pending.ts";
import { createPreparedCheck } from "./prepared.ts";
import type { Reservation } from "./reservation.ts";
import { createWaitingRoom, type WaitingRoom } from "./waiting.ts";

/** Options of {@link createLedger}. */
export interface LedgerOptions {
  /**
   * Connections of the pool that is opened for an address, and statements under way at once. At most
   * half of them wait long for wallets that others have locked, so take 4 or more. Default: 10, or
   * the size of the pool that was given.
   */
  readonly connections?: number | undefined;
  /**
   * Whether statements are prepared. By default they are, until a pooler turns out not to keep them
   * (PgBouncer in transaction mode before its version 1.21): from then on they are not, and a
   * process warning says so once. A pool of yours has its own setting; `true` says that what is
   * prepared is kept, also for the pools of {@link Ledger.with}.
   */
  readonly prepare?: boolean | undefined;
  /**
   * Whether reads may be answered by a server that takes no writes, for who reads from a standby on
   * purpose, or as a login with `default_transaction_read_only`. By default such a server is left:
   * after a fail-over it is the old primary, which knows nothing new. Default: false.
   */
  readonly readOnly?: boolean | undefined;
  /** Commands in one batch, at most. Default: 200. */
  readonly batchSize?: number | undefined;
  /** Commands without an answer, at most; one more fails with `QueueFullError`. Default: 10,000. */
  readonly maxPending?: number | undefined;
  /**
   * Seconds within which each call has its answer, with all made good that may pass: lost
   * connections, fail-overs, time-outs of the server, locked wallets. Else it fails, with
   * `UnavailableError` if certainly nothing was done, or with `OutcomeUnknownError`. (`statement`,
   * `verify` and `expireDue` may work for an hour; in this time they begin.) Default: 30.
   */
  readonly retryFor?: number | undefined;
}

/** A client of the ledger. */
export interface Ledger extends LedgerMethods, AsyncDisposable {
  /**
   * Holds `amount` until it is settled or cancelled, or `ttl` has passed, as the function `reserve`
   * does; with `wait`, is tried again while other reservations hold the funds. It is for holds that
   * another program ends: `guard` and `hold` see to heartbeats and to the end.
   */
  reserve(args: KeyOptional<ReserveArgs> & Pick<HoldOptions, "wait">): Promise<Held>;
  /**
   * The same methods in a transaction or on a connection of the caller's, each a call of its own:
   * nothing is batched, and nothing sent again. Takes what `postgres` gives; for other drivers see
   * `fromPg` and `queryable`.
   *
   * Behind a pooler that gives each transaction another session and does not keep prepared
   * statements (PgBouncer in transaction mode before its version 1.21), open your own pool of
   * `postgres` with `prepare: false`, too. Else the driver's `commit` fails there and becomes a
   * rollback, of which `sql.begin` says nothing. A pool that prepares behind a pooler therefore fails
   * with `PreparedStatementLostError`, unless the pooler is seen to keep statements, or
   * {@link LedgerOptions.prepare} says so.
   *
   * **Commit the hold, then call.** A command locks its wallet until its transaction ends, so a
   * model call inside the transaction keeps everybody else out of the wallet. If the transaction is
   * rolled back meanwhile, e.g. by `idle_in_transaction_session_timeout`, the hold has never been:
   * settling fails with `ReservationNotFoundError`, and what was spent is to be booked with
   * `charge`. Where nothing of yours has to commit with the hold, use `guard`, which is on a
   * connection of its own. The client warns (`BASELEDGER_LONG_TRANSACTION`, once) when it sees such a
   * transaction used again after more than 5 seconds.
   */
  with(connection: Queryable): LedgerMethods;
  /**
   * Holds the most that something may cost, runs the callback, and settles what the callback has
   * reported with `reservation.spend`. Heartbeats keep the hold from expiring meanwhile.
   *
   * When the callback throws, what was reported before is settled: report each part as soon as it
   * is known. If nothing was reported, `onThrow` says what is settled; without it the hold is
   * cancelled, though a provider may bill a call that was cut off. Either has the reason in its
   * metadata, e.g. `{"reason": "threw", "error": "AbortError"}`.
   *
   * When the callback returns without a report (0n is one), the whole hold is settled, and the
   * promise rejects with `NothingReportedError`.
   *
   * @returns what the callback returns, after the settlement is committed
   */
  guard<T>(
    options: HoldOptions,
    callback: (reservation: Reservation) => T | PromiseLike<T>,
  ): Promise<T>;
  /**
   * Holds funds until the reservation is ended: with `await using`, or with its `close` in a
   * `finally`.
   */
  hold(options: HoldOptions): Promise<Reservation>;
  /**
   * Takes nothing more on, waits for what was (also for reservations of `guard` and `hold` to end),
   * and closes the connections that it has opened.
   */
  close(): Promise<void>;
}

const DEFAULTS = {
  connections: 10,
  prepare: true,
  readOnly: false,
  batchSize: 200,
  maxPending: 10_000,
  retryFor: 30,
};

/**
 * Makes a client. `reserve`, `settle`, `cancel`, `extend` and `charge` travel in batches: those of
 * one wallet that come while others of it are under way go together in the next, in their order. A
 * promise settles when its batch is committed. Each command has an idempotency key, the caller's
 * or a new one, and is sent again with it when the connection breaks.
 *
 * @param target - address of the database; or a pool: of `postgres`, or of another driver through
 *   `fromPg` or `queryable`, which is left open
 * @throws TypeError when the address is undefined or blank, e.g. as `DATABASE_URL` is not set
 */
export function createLedger(
  target: string | Queryable | undefined,
  options: LedgerOptions = {},
): Ledger {
  requireTarget(target);
  const all = withDefaults(options);
  const { prepare, readOnly, batchSize, maxPending, retryFor } = all;
  const { sql, size: found, close } = connect(target, all.connections, prepare);
  const size = options.connections ?? found ?? DEFAULTS.connections;
  const pending = trackPending(maxPending, retryFor);
  const access = createAccess({ sql, size, prepare, readOnly, retryFor });
  const batcher = createBatcher(batchSize, access.places, createCarrier(access, pending));

  async function send<Op extends BatchedOp>(
    op: Op,
    args: BatchedArgs[Op],
    owed: boolean,
  ): Promise<Receipt> {
    const text = encode(op, args);
    try {
      const receipt = await pending.accept<Receipt>(args, owed, (command) =>
        batcher.add(args.walletId, { command, text }),
      );
      if (!receipt.replayed) room.observe(args.walletId, receipt.available);
      return receipt;
    } catch (error) {
      if (error instanceof InsufficientFundsError) room.observe(args.walletId, error.available);
      throw error;
    }
  }

  const room = createWaitingRoom(
    async (args) => (await send("reserve", args, false)) as Held,
    maxPending,
  );
  const direct = { access, pending, retryFor };
  const methods = createMethods(async (name, wrapper, args) =>
    isBatchedOp(name)
      ? send(name, args as unknown as BatchedArgs[typeof name], false)
      : callDirectly(direct, name, wrapper, args),
  );
  const parts: HoldParts = {
    reserve: async (args, wait) => room.reserve(args, wait),
    send: async (op, args) => send(op, args, true),
    stay: pending.stay,
  };
  const checked = createPreparedCheck();
  const end = closeOnce(pending, room, close);
  return {
    ...methods,
    reserve: async (args) => {
      // What is no object is refused like any other bad argument.
      if (typeof args !== "object" || args === null) return methods.reserve(args);
      const { wait, ...asked } = args;
      const idempotencyKey = asked.idempotencyKey ?? createKey();
      return room.reserve({ ...asked, idempotencyKey }, { wait });
    },
    with(connection) {
      const own = options.prepare === true ? connection : checked(connection);
      return createMethods(async (name, wrapper, args) => {
        const answer = await wrapper(own, args);
        if (!READS.has(name)) noteCommand(connection);
        return answer;
      });
    },
    guard: async (options, callback) => guard(await hold(options, parts), callback),
    hold: async (options) => (await hold(options, parts)).reservation,
    close: end,
    [Symbol.asyncDispose]: end,
  };
}

/** Without an address the driver would connect to a server of this machine. */
function requireTarget(target: unknown): asserts target is string | Queryable {
  if (typeof target === "string" ? target.trim() : isQueryable(target)) return;
  const given = typeof target === "string" ? "a blank address" : String(target);
  throw new TypeError(
    `createLedger needs the address of a database, or a pool, not ${given}: is DATABASE_URL set?`,
  );
}

function isQueryable(target: unknown): boolean {
  return typeof (target as Partial<Queryable> | null | undefined)?.unsafe === "function";
}

function withDefaults(options: LedgerOptions): typeof DEFAULTS {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const all = { ...DEFAULTS, ...Object.fromEntries(given) };
  for (const name of ["connections", "batchSize", "maxPending", "retryFor"] as const) {
    if (!(all[name] > 0)) throw new RangeError(`${name} must be above 0, not ${all[name]}`);
  }
  return all;
}

function closeOnce(
  pending: PendingCommands,
  room: WaitingRoom,
  close: () => Promise<void>,
): () => Promise<void> {
  let closed: Promise<void> | undefined;
  return () => {
    room.close();
    closed ??= pending.close().then(close);
    return closed;
  };
}
