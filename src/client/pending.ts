import { LedgerError } from "../errors/index.ts";
import {
  type CommandName,
  LedgerClosedError,
  OutcomeUnknownError,
  QueueFullError,
  UnavailableError,
} from "./errors.ts";
import type { Delivery } from "./persist.ts";

/** A command that was accepted and has no answer yet. */
export interface Pending<T> extends CommandName {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  /** When time is up, by `performance.now()`. */
  readonly deadline: number;
  /** What has become of it so far; undefined before it left. */
  delivery: Delivery | undefined;
  /** What is being delivered has it. */
  isAsked: boolean;
  /** Called when time is up, after the caller was told so. */
  onExpire: (() => void) | undefined;
}

/** The commands without an answer: a bounded number of them, each for a bounded time. */
export interface PendingCommands {
  /**
   * Takes a command on, and starts it; the promise is its answer. One that is `owed` ends what was
   * begun, and is taken on even when there are too many, or while closing.
   *
   * @throws QueueFullError, LedgerClosedError
   */
  accept<T>(name: CommandName, owed: boolean, start: (command: Pending<T>) => void): Promise<T>;
  has(command: Pending<never>): boolean;
  /** Gives the command its answer. When time was up before, that is dropped. */
  answer<T>(command: Pending<T>, value: T): void;
  fail(command: Pending<never>, error: unknown): void;
  /**
   * Begins something else that closing shall wait for, until what is returned is called.
   *
   * @throws LedgerClosedError
   */
  stay(): () => void;
  /** From now on nothing is accepted; resolves when nothing is pending. */
  close(): Promise<void>;
}

/** Keeps track of at most `limit` commands, each for at most so many seconds. */
export function trackPending(limit: number, seconds: number): PendingCommands {
  // Each has the same time, so the first one in is the first whose time is up.
  const commands = new Set<Pending<never>>();
  const stays = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;
  let closing: PromiseWithResolvers<void> | undefined;

  function watch(): void {
    const [first] = commands;
    if (timer !== undefined || first === undefined) return;
    timer = setTimeout(expire, Math.max(1, first.deadline - performance.now()));
  }

  function expire(): void {
    timer = undefined;
    for (const command of commands) {
      if (command.deadline > performance.now()) break;
      command.reject(timeIsUp(command, seconds));
      remove(command);
      command.onExpire?.();
    }
    watch();
  }

  function remove(command: Pending<never>): void {
    commands.delete(command);
    if (commands.size > 0) return;
    clearTimeout(timer);
    timer = undefined;
    finishClosing();
  }

  function finishClosing(): void {
    if (commands.size + stays.size === 0) closing?.resolve();
  }

  return {
    accept<T>(name: CommandName, owed: boolean, start: (command: Pending<T>) => void) {
      if (closing && !owed) throw new LedgerClosedError();
      if (commands.size >= limit && !owed) throw new QueueFullError(limit);
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      const command: Pending<T> = {
        walletId: name.walletId,
        idempotencyKey: name.idempotencyKey,
        resolve,
        reject,
        deadline: performance.now() + seconds * 1000,
        delivery: undefined,
        isAsked: true,
        onExpire: undefined,
      };
      commands.add(command as Pending<never>);
      watch();
      start(command);
      return promise;
    },
    has: (command) => commands.has(command),
    answer(command, value) {
      command.resolve(value);
      remove(command as Pending<never>);
    },
    fail(command, error) {
      // A refusal is the ledger's word. Another error leaves open what an earlier sending has done.
      const isOpen = !(error instanceof LedgerError) && command.delivery?.isDoubtful;
      command.reject(isOpen ? new OutcomeUnknownError(command, seconds, error) : error);
      remove(command);
    },
    stay() {
      if (closing) throw new LedgerClosedError();
      const leave = () => {
        stays.delete(leave);
        finishClosing();
      };
      stays.add(leave);
      return leave;
    },
    close() {
      closing ??= Promise.withResolvers();
      finishClosing();
      return closing.promise;
    },
  };
}

/** What to tell of a command that has had its time. */
function timeIsUp(command: Pending<never>, seconds: number): Error {
  const { isDoubtful, isWithServer, trouble, holders } = command.delivery ?? {};
  return isDoubtful || (command.isAsked && isWithServer?.())
    ? new OutcomeUnknownError(command, seconds, trouble)
    : new UnavailableError(command, seconds, trouble, holders);
}
