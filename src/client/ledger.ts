/*
 * A map of this room. The way of a command from `ledger.reserve()` to SQL and back:
 *
 *   ledger.ts        createLedger: makes the methods; each sends its calls in batches or alone
 *   funds-queue.ts   every reserve; with the option `wait`, it waits for funds that others hold, and
 *                    for limits (obstacle.ts: what a refusal says about waiting)
 *   commands.ts      which methods travel in batches, and the JSON of their calls
 *   pending.ts       how many commands may wait for an answer, and for how long
 *   batch.ts         which commands go together: those of a hot wallet, or of several wallets
 *   slots.ts         shares the connections, so that a locked wallet does not delay the others
 *   send-batch.ts    sends a batch, in parts if it fails, and gives each command its answer
 *   send.ts          sends a single call
 *   retry.ts         sends until there is an answer; what becomes of a lost connection
 *   connections.ts   the pool; replaces sessions that take no writes after a fail-over
 *   statement.ts     one try: its lock timeout, and what the driver reports about it
 *   ../generated     the SQL: `post` or `post_many` for a batch, else the function's own wrapper
 *
 * (CONTRIBUTING.md lists what to change for a new batched command.) Beside the path:
 *
 *   methods.ts       the methods that are made of the generated wrappers, and their types
 *   receipts.ts      what the receipt of each command has
 *   keys.ts          new idempotency keys
 *   holders.ts       which sessions block a wallet, for the error of a command that waits for it
 *   guard.ts         `guard` and `hold`: their options, and how a callback ends its reservation
 *   usage.ts         either an amount or usage; what is refused of usage before it is sent
 *   reservation.ts   the handle that both give
 *   lease.ts         the heartbeats that keep it from expiring
 *   transaction.ts   `with`: checks on connections and transactions of the caller's
 *   drivers.ts       `fromPg` and `queryable`: other drivers
 */

import { InsufficientFundsError } from "../errors/index.ts";
import type { Receipt, ReserveArgs } from "../generated/index.ts";
import { type BatchOperations, READS } from "../generated/index.ts";
import { type Queryable, write } from "../wire/index.ts";
import { createBatcher } from "./batch.ts";
import { type BatchedMethod, encode, isBatched } from "./commands.ts";
import { connect, createConnections } from "./connections.ts";
import { createFundsQueue, type FundsQueue } from "./funds-queue.ts";
import { guard, type HoldContext, type HoldOptions, hold } from "./guard.ts";
import { createIdempotencyKey } from "./keys.ts";
import { createMethods, type KeyOptional, type LedgerMethods } from "./methods.ts";
import { type PendingCommands, trackPending } from "./pending.ts";
import type { Held } from "./receipts.ts";
import type { Reservation } from "./reservation.ts";
import { createSender } from "./send.ts";
import { withKey } from "./statement.ts";
import { createPreparedCheck, noteLock } from "./transaction.ts";

/** Options of {@link createLedger}. */
export interface LedgerOptions {
  /**
   * Connections of the pool that is opened for an address, and statements that run at once. At most
   * half of them wait long for wallets that others have locked, so use 4 or more. Default: 10, or
   * the size of the pool that was given.
   */
  readonly connections?: number | undefined;
  /**
   * Whether statements are prepared. By default they are, until a pooler turns out not to keep them
   * (PgBouncer in transaction mode before its version 1.21): from then on they are not, and a
   * process warning says so once. A pool of yours has its own setting; `true` asserts that prepared
   * statements are kept, also for the pools of {@link Ledger.with}.
   */
  readonly prepare?: boolean | undefined;
  /**
   * Whether a server that takes no writes may answer reads: for programs that read from a standby on
   * purpose, or as a login with `default_transaction_read_only`. By default the client leaves such a
   * server: after a fail-over it is the old primary, with old data. Default: false.
   */
  readonly readOnly?: boolean | undefined;
  /** Commands in one batch, at most, of one wallet or of several. Default: 200. */
  readonly batchSize?: number | undefined;
  /** Commands without an answer, at most; one more fails with `QueueFullError`. Default: 10,000. */
  readonly maxPending?: number | undefined;
  /**
   * Secret of a key (`createKey`): all that this client sends is sent with it, also through `with`,
   * where it stays set until the transaction ends. It travels as a parameter of each statement, so
   * that poolers do not matter, and is not kept in the session; a server that logs parameters logs
   * it, too. Default: none, and the setting `baseledger.key` of the session counts.
   */
  readonly key?: string | undefined;
  /**
   * Seconds within which each call is answered. Within them the client retries after errors that may
   * pass: lost connections, fail-overs, time-outs of the server, locked wallets. After them the call
   * fails, with `UnavailableError` if certainly nothing was done, or with `OutcomeUnknownError`.
   * (`statement`, `verify` and `expireDue` may run for an hour; within this time they begin.)
   * Default: 30.
   */
  readonly retryFor?: number | undefined;
}

/** A client of the ledger. */
export interface Ledger extends LedgerMethods, AsyncDisposable {
  /**
   * Holds `amount`, or what `usage` costs, until it is settled or cancelled, or `ttl` has passed, as the function `reserve`
   * does; with `wait`, it is tried again while waiting may help. Use it for holds that another
   * program ends: `guard` and `hold` take care of heartbeats and of the end.
   */
  reserve(args: KeyOptional<ReserveArgs> & Pick<HoldOptions, "wait">): Promise<Held>;
  /**
   * The same methods in a transaction or on a connection of the caller's: nothing is batched, and
   * nothing retried. Takes a client, transaction or connection of `postgres`; for other drivers see
   * `fromPg` and `queryable`.
   *
   * Behind a pooler that gives each transaction another session and does not keep prepared
   * statements (PgBouncer in transaction mode before its version 1.21), open your own pool of
   * `postgres` with `prepare: false`, too. Otherwise the driver's `commit` fails there and becomes a
   * rollback, which `sql.begin` does not report. A pool that prepares behind a pooler therefore fails
   * with `PreparedStatementLostError`, unless the pooler is seen to keep statements, or
   * {@link LedgerOptions.prepare} asserts it.
   *
   * **Commit the hold, then call.** A command locks its wallet until its transaction ends, so a
   * model call inside the transaction blocks the wallet for everybody else. If the transaction is
   * rolled back meanwhile, e.g. by `idle_in_transaction_session_timeout`, the hold never existed:
   * settling fails with `ReservationNotFoundError`, and what was spent must be booked with `charge`.
   * Where nothing of yours has to commit with the hold, use `guard`, which has a connection of its
   * own. The client warns (`BASELEDGER_LONG_TRANSACTION`, once) when such a transaction is used again
   * after more than 5 seconds.
   */
  with(connection: Queryable): LedgerMethods;
  /**
   * Holds the most that something may cost or use, runs the callback, and settles what the callback
   * reports with `reservation.spend`: amounts, or usage, which the ledger prices. Heartbeats keep the
   * hold from expiring meanwhile.
   *
   * When the callback throws, what it has reported is settled: report each part as soon as it is
   * known. If nothing was reported, `onThrow` says what is settled; without it the hold is cancelled,
   * though a provider may bill a call that was cut off. In both cases the metadata has the reason,
   * e.g. `{"reason": "threw", "error": "AbortError"}`.
   *
   * When the callback returns without a report (0n is one), the full hold is settled, and the promise
   * rejects with `NothingReportedError`; likewise with `UsageNotPricedError` for usage without a price.
   *
   * @returns what the callback returns, after the settlement is committed
   */
  guard<T>(
    options: HoldOptions,
    callback: (reservation: Reservation) => T | PromiseLike<T>,
  ): Promise<T>;
  /**
   * Holds funds until the reservation ends: with `await using`, or with its `close` in a `finally`.
   */
  hold(options: HoldOptions): Promise<Reservation>;
  /**
   * Accepts no more commands, waits for those it has accepted (also for reservations of `guard` and
   * `hold` to end), and closes the connections that it has opened.
   */
  close(): Promise<void>;
}

/** What may free funds, and room in limits. */
const MAY_FREE: ReadonlySet<BatchedMethod> = new Set(["settle", "cancel", "extend"]);

const DEFAULTS = {
  connections: 10,
  prepare: true,
  readOnly: false,
  batchSize: 200,
  maxPending: 10_000,
  retryFor: 30,
};

/**
 * Makes a client. `reserve`, `settle`, `cancel`, `extend` and `charge` travel in batches: commands
 * that come while others are under way go together in the next, those of a wallet in their order,
 * whatever the wallet. A promise settles when its batch is committed. Each command has an
 * idempotency key, the caller's or a new one, and is sent again with it when the connection breaks.
 *
 * @param target - address of the database; or a pool: of `postgres`, or of another driver through
 *   `fromPg` or `queryable`. A pool is left open
 * @throws TypeError when the address is undefined or blank, e.g. because `DATABASE_URL` is not set
 */
export function createLedger(
  target: string | Queryable | undefined,
  options: LedgerOptions = {},
): Ledger {
  requireTarget(target);
  requireKey(options.key);
  const all = withDefaults(options);
  const { key } = options;
  const { prepare, readOnly, batchSize, maxPending, retryFor } = all;
  const { sql, size: found, close } = connect(target, all.connections, prepare);
  const size = options.connections ?? found ?? DEFAULTS.connections;
  const pending = trackPending(maxPending, retryFor);
  const connections = createConnections({ sql, size, prepare, readOnly, key });
  const { batches, sendAlone } = createSender(connections, pending, retryFor);
  const batcher = createBatcher(batchSize, connections.slots, batches);

  async function sendBatched<Name extends BatchedMethod>(
    name: Name,
    args: BatchOperations[Name],
    isFollowUp: boolean,
  ): Promise<Receipt> {
    // Here, so that it spoils no batch of several wallets.
    write.text(args.walletId, "wallet_id");
    const text = encode(name, args);
    try {
      const receipt = await pending.accept<Receipt>(args, isFollowUp, (command) =>
        batcher.add(args.walletId, { command, text }),
      );
      if (!receipt.replayed) {
        queue.observe(args.walletId, receipt.available);
        if (MAY_FREE.has(name)) queue.noteEnd(args.walletId);
      }
      return receipt;
    } catch (error) {
      if (error instanceof InsufficientFundsError) queue.observe(args.walletId, error.available);
      throw error;
    }
  }

  const queue = createFundsQueue(
    async (args) => (await sendBatched("reserve", args, false)) as Held,
    maxPending,
  );
  const methods = createMethods(async (name, wrapper, args) =>
    isBatched(name)
      ? sendBatched(name, args as unknown as BatchOperations[typeof name], false)
      : sendAlone(name, wrapper, args),
  );
  const context: HoldContext = {
    reserve: async (args, wait) => queue.reserve(args, wait),
    send: async (name, args) => sendBatched(name, args, true),
    keepOpen: pending.keepOpen,
  };
  const checkPrepared = createPreparedCheck();
  const end = closeOnce(pending, queue, close);
  return {
    ...methods,
    // Replaces the method that was made of the wrapper, which knows no `wait`.
    reserve: async (args) => {
      // A copy, so that the ledger refuses what is no object, like any other invalid argument.
      const { wait, ...request } = { ...args };
      const idempotencyKey = request.idempotencyKey ?? createIdempotencyKey();
      return queue.reserve({ ...request, idempotencyKey }, { wait });
    },
    with(connection) {
      const checked = options.prepare === true ? connection : checkPrepared(connection);
      return createMethods(async (name, wrapper, args) => {
        const answer = await wrapper(withKey(checked, key), args);
        if (!READS.has(name)) noteLock(connection);
        return answer;
      });
    },
    guard: async (options, callback) => guard(await hold(options, context), callback),
    hold: async (options) => (await hold(options, context)).reservation,
    close: end,
    [Symbol.asyncDispose]: end,
  };
}

/** Without an address the driver would connect to a server on this machine. */
function requireTarget(target: unknown): asserts target is string | Queryable {
  if (typeof target === "string" ? target.trim() : isQueryable(target)) return;
  const given = typeof target === "string" ? "a blank address" : String(target);
  throw new TypeError(
    `createLedger needs the address of a database, or a pool, not ${given}: is DATABASE_URL set?`,
  );
}

// An empty one would count as none, and the rights of the login would hold.
function requireKey(key: unknown): void {
  if (key === undefined || (typeof key === "string" && key !== "")) return;
  throw new TypeError("key must be the secret of a key, or undefined: is its variable set?");
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
  queue: FundsQueue,
  close: () => Promise<void>,
): () => Promise<void> {
  let closed: Promise<void> | undefined;
  return () => {
    queue.close();
    closed ??= pending.close().then(close);
    return closed;
  };
}
