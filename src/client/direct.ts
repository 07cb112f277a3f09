import type { Queryable } from "../wire/call.ts";
import type { Args, MethodName, Wrapper } from "./methods.ts";
import type { Pending, PendingCommands } from "./pending.ts";
import { persist } from "./persist.ts";

/** What changes nothing in a wallet, and may take as long as it takes. */
const READS: ReadonlySet<MethodName> = new Set<MethodName>([
  "balance",
  "balanceAt",
  "doctor",
  "expireDue",
  "nextDue",
  "statement",
  "sweepStatus",
  "verify",
  "walletsAhead",
]);

/** What calls that are not batched are carried out with. */
export interface DirectParts {
  readonly sql: Queryable;
  readonly pending: PendingCommands;
  /** Seconds within which a lost connection is made good. */
  readonly retryFor: number;
}

/** Carries out a call by itself. */
export function callDirectly(
  parts: DirectParts,
  name: MethodName,
  wrapper: Wrapper,
  args: Args,
): Promise<unknown> {
  return READS.has(name) ? read(parts, wrapper, args) : command(parts, wrapper, args);
}

async function read(
  { sql, pending, retryFor }: DirectParts,
  wrapper: Wrapper,
  args: Args,
): Promise<unknown> {
  const leave = pending.stay();
  const end = performance.now() + retryFor * 1000;
  try {
    return await persist(sql, {
      send: (connection) => wrapper(connection, args),
      isWanted: () => performance.now() < end,
      onTrouble: () => undefined,
    });
  } finally {
    leave();
  }
}

function command(parts: DirectParts, wrapper: Wrapper, args: Args): Promise<unknown> {
  return parts.pending.accept<unknown>(nameOf(args), false, (command) => {
    void deliver(parts, command, (connection) => wrapper(connection, args));
  });
}

async function deliver(
  { sql, pending }: DirectParts,
  command: Pending<unknown>,
  call: (connection: Queryable) => Promise<unknown>,
): Promise<void> {
  let doubtful = false;
  try {
    const answer = await persist(sql, {
      send(connection) {
        command.sent = true;
        return call(connection);
      },
      isWanted: () => pending.has(command),
      onTrouble(trouble, error) {
        doubtful ||= trouble === "unknown";
        command.sent = doubtful;
        command.trouble = error;
      },
    });
    pending.answer(command, answer);
  } catch (error) {
    pending.fail(command, error);
  }
}

function nameOf({ walletId, from, commands, idempotencyKey }: Args) {
  const wallet = walletId ?? from;
  return {
    walletId: typeof wallet === "string" ? wallet : null,
    // The commands of a batch have keys of their own.
    idempotencyKey: commands === undefined ? idempotencyKey : null,
  };
}
