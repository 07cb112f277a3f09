import {
  type CommandName,
  LedgerClosedError,
  LedgerError,
  OutcomeUnknownError,
  QueueFullError,
  UnavailableError,
} from "../errors/index.ts";
import type { RequestState } from "./retry.ts";

/** A command that was accepted and has no answer yet. */
export interface Pending<T> extends CommandName {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  /**
   * When time is up, by `performance.now()`. All commands of a client have equally long, so those
   * that were accepted first, the first of a batch too, have the earliest deadlines.
   */
  readonly deadline: number;
  /** The request that carries it; undefined before it was sent. */
  state: RequestState | undefined;
  /** Whether a request that carried it before may have carried it out. */
  mayBeDone: boolean;
  /** Whether the current try of that request leaves it out, as there was too little time left. */
  isLeftOut: boolean;
  /** Called when time is up, after the caller got the error. */
  onExpire: (() => void) | undefined;
}

/** The commands without an answer: a bounded number of them, each for a bounded time. */
export interface PendingCommands {
  /**
   * Accepts a command and starts it; the promise is its answer. A follow-up extends or ends a
   * reservation: it is accepted even when there are too many commands, or while closing.
   *
   * @throws QueueFullError, LedgerClosedError
   */
  accept<T>(
    name: CommandName,
    isFollowUp: boolean,
    start: (command: Pending<T>) => void,
  ): Promise<T>;
  has(command: Pending<never>): boolean;
  /** Gives the caller the answer, unless time was up before. */
  answer<T>(command: Pending<T>, value: T): void;
  fail(command: Pending<never>, error: unknown): void;
  /**
   * Keeps the client open for something other than a command: closing waits until the function
   * that is returned was called.
   *
   * @throws LedgerClosedError
   */
  keepOpen(): () => void;
  /** Accepts nothing from now on; resolves when nothing is pending. */
  close(): Promise<void>;
}

/** Tracks at most `limit` commands, each for at most so many seconds. */
export function trackPending(limit: number, seconds: number): PendingCommands {
  // In the order of their deadlines; see there.
  const commands = new Set<Pending<never>>();
  const others = new Set<() => void>();
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
      command.reject(timeoutError(command, seconds, command.state, command));
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
    if (commands.size + others.size === 0) closing?.resolve();
  }

  return {
    accept<T>(name: CommandName, isFollowUp: boolean, start: (command: Pending<T>) => void) {
      if (closing && !isFollowUp) throw new LedgerClosedError();
      if (commands.size >= limit && !isFollowUp) throw new QueueFullError(limit);
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      const command: Pending<T> = {
        walletId: name.walletId,
        idempotencyKey: name.idempotencyKey,
        resolve,
        reject,
        deadline: performance.now() + seconds * 1000,
        state: undefined,
        mayBeDone: false,
        isLeftOut: false,
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
      command.reject(outcomeOf(command, seconds, command.state, error, command));
      remove(command);
    },
    keepOpen() {
      if (closing) throw new LedgerClosedError();
      const leave = () => {
        others.delete(leave);
        finishClosing();
      };
      others.add(leave);
      return leave;
    },
    close() {
      closing ??= Promise.withResolvers();
      finishClosing();
      return closing.promise;
    },
  };
}

/** What a command fails with that has no answer in time. */
export function timeoutError(
  name: CommandName,
  seconds: number,
  state: RequestState | undefined,
  { isLeftOut, mayBeDone }: Fate = ALONE,
): Error {
  const { isSent, lastError, holders } = state ?? {};
  return mayBeDone || state?.mayBeDone || (!isLeftOut && isSent?.())
    ? new OutcomeUnknownError(name, seconds, lastError)
    : new UnavailableError(name, seconds, lastError, holders);
}

/** What a command fails with after an error that is not worth another try. */
export function outcomeOf(
  name: CommandName,
  seconds: number,
  state: RequestState | undefined,
  error: unknown,
  { mayBeDone }: Fate = ALONE,
): unknown {
  // After a refusal nothing was done. Any other error does not show what an earlier try has done.
  const isUnknown = !(error instanceof LedgerError) && (mayBeDone || state?.mayBeDone);
  return isUnknown ? new OutcomeUnknownError(name, seconds, error) : error;
}

/** What the state of a request does not say of a command in it. */
type Fate = Pick<Pending<never>, "isLeftOut" | "mayBeDone">;
const ALONE: Fate = { isLeftOut: false, mayBeDone: false };
