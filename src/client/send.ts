import { UnavailableError } from "../errors/index.ts";
import { READS } from "../generated/index.ts";
import type { BatchSender } from "./batch.ts";
import { SLOW } from "./commands.ts";
import type { Connections } from "./connections.ts";
import type { Args, MethodName, Wrapper } from "./methods.ts";
import { outcomeOf, type PendingCommands, timeoutError } from "./pending.ts";
import { retry } from "./retry.ts";
import { createBatchSender } from "./send-batch.ts";

/** Sends what the methods of a client ask for. */
export interface Sender {
  readonly batches: BatchSender;
  /** Sends a call of a function that does not travel in batches. */
  sendAlone(name: MethodName, wrapper: Wrapper, args: Args): Promise<unknown>;
}

const SLOW_SECONDS = 3_600;

/** Makes the sender of a client. A call has `seconds` for its answer. */
export function createSender(
  connections: Connections,
  pending: PendingCommands,
  seconds: number,
): Sender {
  const msLeft = createTimeLimit(seconds);

  function sendCommand(wrapper: Wrapper, args: Args): Promise<unknown> {
    return pending.accept<unknown>(nameOf(args), false, (command) => {
      const { answer, state } = retry(connections, {
        lockKey: lockKeyOf(args),
        isRead: false,
        slow: false,
        send: (sql) => wrapper(sql, args),
        msLeft: () => (pending.has(command) ? msLeft(command.deadline) : 0),
      });
      command.state = state;
      answer.then(
        (value) => pending.answer(command, value),
        // Its caller gets an error when time is up.
        (error: unknown) => state.gaveUp || pending.fail(command, error),
      );
    });
  }

  /** Sends what reads, or may run long: it does not count as pending. */
  async function sendOther(name: MethodName, wrapper: Wrapper, args: Args): Promise<unknown> {
    const leave = pending.keepOpen();
    const deadline = performance.now() + seconds * 1000;
    const isRead = READS.has(name);
    const slow = SLOW.has(name);
    const call = { ...nameOf(args), idempotencyKey: null };
    const { answer, state } = retry(connections, {
      lockKey: {},
      isRead,
      slow,
      send: (sql) => wrapper(sql, args),
      msLeft: () => msLeft(deadline),
    });
    const timeout = (after: number) =>
      isRead
        ? new UnavailableError(call, after, state.lastError, state.holders)
        : timeoutError(call, after, state);
    const answered = answer.catch((error: unknown) => {
      if (state.gaveUp) throw timeout(seconds);
      throw isRead ? error : outcomeOf(call, seconds, state, error);
    });
    const expired = Promise.withResolvers<never>();
    let timer = setTimeout(expire, seconds * 1000, seconds);
    function expire(after: number): void {
      const more = slow && state.isSent() ? SLOW_SECONDS - after : 0;
      if (more > 0) {
        timer = setTimeout(expire, more * 1000, SLOW_SECONDS);
        return;
      }
      expired.reject(timeout(after));
      state.cancel();
    }
    try {
      return await Promise.race([answered, expired.promise]);
    } finally {
      clearTimeout(timer);
      leave();
    }
  }

  return {
    batches: createBatchSender(connections, pending, msLeft),
    sendAlone: (name, wrapper, args) =>
      READS.has(name) || SLOW.has(name)
        ? sendOther(name, wrapper, args)
        : sendCommand(wrapper, args),
  };
}

const MARGIN_PART = 0.1;
const LONGEST_MARGIN_MS = 1_000;

/**
 * How long, in milliseconds, the server may wait for locks if its answer is to come before a
 * deadline (by `performance.now()`); 0 if it is too late to begin.
 *
 * A command that is still with the server when time is up has an unknown outcome, so the server
 * gives up a little earlier, and nothing is sent near the end.
 */
function createTimeLimit(seconds: number): (deadline: number | undefined) => number {
  const margin = Math.min(seconds * 1000 * MARGIN_PART, LONGEST_MARGIN_MS);
  return (deadline) => {
    if (deadline === undefined) return 0;
    const left = deadline - performance.now();
    return left < margin / 2 ? 0 : Math.max(left - margin, left / 2);
  };
}

/** A transfer locks two wallets. */
function lockKeyOf({ walletId, from, to }: Args): unknown {
  return walletId ?? `${String(from)} ${String(to)}`;
}

function nameOf({ walletId, from, commands, idempotencyKey }: Args) {
  const wallet = walletId ?? from;
  return {
    walletId: typeof wallet === "string" ? wallet : null,
    // The commands of a batch have keys of their own.
    idempotencyKey: commands === undefined ? idempotencyKey : null,
  };
}
