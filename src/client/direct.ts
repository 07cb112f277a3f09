import type { Access } from "./access.ts";
import { UnavailableError } from "./errors.ts";
import type { Args, MethodName, Wrapper } from "./methods.ts";
import type { PendingCommands } from "./pending.ts";
import { persist } from "./persist.ts";

/** What changes nothing in a wallet, and may take as long as it takes. */
export const READS: ReadonlySet<MethodName> = new Set<MethodName>([
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

/** What may take long, as there may be much to read or to sweep. */
const SLOW: ReadonlySet<MethodName> = new Set<MethodName>(["expireDue", "statement", "verify"]);
const SLOW_SECONDS = 3_600;

/** What calls that are not batched are carried out with. */
export interface DirectParts {
  readonly access: Access;
  readonly pending: PendingCommands;
  /** Seconds within which a call has its answer. */
  readonly retryFor: number;
}

/** Carries out a call by itself. */
export function callDirectly(
  parts: DirectParts,
  name: MethodName,
  wrapper: Wrapper,
  args: Args,
): Promise<unknown> {
  return READS.has(name) ? read(parts, name, wrapper, args) : command(parts, wrapper, args);
}

async function read(
  { access, pending, retryFor }: DirectParts,
  name: MethodName,
  wrapper: Wrapper,
  args: Args,
): Promise<unknown> {
  const leave = pending.stay();
  const begun = performance.now();
  const slow = SLOW.has(name);
  const { answer, delivery } = persist(access, {
    subject: {},
    // What expires is written.
    isRead: name !== "expireDue",
    slow,
    send: (connection) => wrapper(connection, args),
    deadline: () => begun + retryFor * 1000,
  });
  const unread = (seconds: number) => {
    const { trouble, holders } = delivery;
    return new UnavailableError(nameOf(args), seconds, trouble, holders);
  };
  const expired = Promise.withResolvers<never>();
  let timer = setTimeout(expire, retryFor * 1000, retryFor);
  function expire(seconds: number): void {
    const more = slow && delivery.isWithServer() ? SLOW_SECONDS - seconds : 0;
    if (more > 0) {
      timer = setTimeout(expire, more * 1000, SLOW_SECONDS);
      return;
    }
    expired.reject(unread(seconds));
    delivery.cancel();
  }
  try {
    return await Promise.race([answer, expired.promise]);
  } catch (error) {
    throw delivery.isGivenUp ? unread(retryFor) : error;
  } finally {
    clearTimeout(timer);
    leave();
  }
}

function command({ access, pending }: DirectParts, wrapper: Wrapper, args: Args): Promise<unknown> {
  return pending.accept<unknown>(nameOf(args), false, (command) => {
    const { answer, delivery } = persist(access, {
      subject: subjectOf(args),
      isRead: false,
      slow: false,
      send: (connection) => wrapper(connection, args),
      deadline: () => (pending.has(command) ? command.deadline : undefined),
    });
    command.delivery = delivery;
    answer.then(
      (value) => pending.answer(command, value),
      // What is given up is told when time is up.
      (error: unknown) => delivery.isGivenUp || pending.fail(command, error),
    );
  });
}

/** A transfer waits for two wallets. */
function subjectOf({ walletId, from, to }: Args): unknown {
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
