import { mayPassInNewSession, refusalToError } from "../errors/index.ts";
import { post, postMany, type Receipt } from "../generated/index.ts";
import { EncodedJson } from "../json/index.ts";
import type { Queryable } from "../wire/index.ts";
import type { BatchedCommand, BatchOptions, BatchSender, Part } from "./batch.ts";
import type { Connections } from "./connections.ts";
import type { PendingCommands } from "./pending.ts";
import { type Request, type RequestState, retry } from "./retry.ts";

/** A command with the part of a batch that it is in. */
interface Item extends BatchedCommand {
  readonly part: Part;
}

/** A batch that is being sent. */
interface Sending {
  readonly receipts: Promise<readonly Receipt[]>;
  readonly state: RequestState;
  /** The commands of the last try. */
  readonly sent: () => readonly Item[];
}

/** How a batch is sent once. */
interface Way extends Pick<Request<unknown>, "lockKey" | "sessionTries"> {
  readonly post: (sql: Queryable, items: readonly Item[]) => Promise<readonly Receipt[]>;
}

// The database may be upgraded to one with `post_many` meanwhile.
const ASK_AGAIN_AFTER_MS = 60_000;
// Once prepared and once unprepared, in case an upgrade is running; then by `post`.
const SESSION_TRIES = 2;

/** Makes the sender of batches. `msLeft` says how long a command may wait, by its deadline. */
export function createBatchSender(
  connections: Connections,
  pending: PendingCommands,
  msLeft: (deadline: number | undefined) => number,
): BatchSender {
  let useManyFrom = 0;
  const isWanted = ({ command }: BatchedCommand) => pending.has(command);

  function send(parts: readonly Part[], { post, ...way }: Way, options: BatchOptions): Sending {
    const items = parts.flatMap((part) => part.commands.map((each) => ({ ...each, part })));
    const inTime = () =>
      items.filter((item) => isWanted(item) && msLeft(item.command.deadline) > 0);
    let sent: readonly Item[] = [];

    async function sendInTime(sql: Queryable): Promise<readonly Receipt[]> {
      sent = inTime();
      for (const { command } of items) command.isLeftOut = true;
      for (const { command } of sent) command.isLeftOut = false;
      const receipts = await post(sql, sent);
      requireAnswers(sent, receipts);
      return receipts;
    }

    const { answer, state } = retry(connections, {
      ...way,
      isRead: false,
      slow: false,
      ...(options.slot && { slot: options.slot }),
      send: sendInTime,
      onRows: options.onCommit,
      msLeft: () => msLeft(firstDeadline(inTime())),
    });
    for (const { command, part } of items) {
      command.state = state;
      command.onExpire = () => {
        if (!part.commands.some(isWanted)) part.onAbandon();
      };
    }
    return { receipts: answer, state, sent: () => sent };
  }

  async function sendOne(part: Part, options: BatchOptions): Promise<void> {
    const { walletId } = part;
    const sending = send(
      [part],
      {
        lockKey: walletId,
        post: (sql, items) => post(sql, { walletId, commands: join(items, ({ text }) => text) }),
      },
      options,
    );
    try {
      const receipts = await sending.receipts;
      for (const [i, item] of sending.sent().entries()) answer(item, receipts[i] as Receipt);
    } catch (error) {
      await failOne(part, sending.state, error);
    }
    part.onEnd([]);
  }

  async function failOne(part: Part, state: RequestState, error: unknown): Promise<void> {
    // Their callers get an error when time is up.
    if (state.gaveUp) return;
    if (part.commands.length === 1 || !isDataError(error)) return fail(part, error);
    keepDoubt(part, state);
    // One by one, as the error does not show which command it is about; in turn, as their order is
    // kept. Each is then answered, or its time is up.
    const onAbandon = () => {
      if (!part.commands.some(isWanted)) part.onAbandon();
    };
    for (const command of part.commands) {
      const single = { ...part, commands: [command], onEnd: () => undefined, onAbandon };
      await sendOne(single, { onCommit: () => undefined });
    }
  }

  async function sendSeveral(parts: readonly Part[], options: BatchOptions): Promise<void> {
    const sending = send(
      parts,
      {
        // Nothing in it waits for a wallet.
        lockKey: {},
        sessionTries: SESSION_TRIES,
        post: (sql, items) => postMany(sql, { commands: join(items, withWallet) }),
      },
      options,
    );
    try {
      answerSeveral(parts, sending, await sending.receipts);
    } catch (error) {
      await failSeveral(parts, sending.state, error);
    }
  }

  function answerSeveral(
    parts: readonly Part[],
    { sent, state }: Sending,
    receipts: readonly Receipt[],
  ): void {
    const returned = new Map<Part, BatchedCommand[]>();
    for (const [i, item] of sent().entries()) {
      const receipt = receipts[i] as Receipt;
      if (!isForPost(receipt)) answer(item, receipt);
      else if (isWanted(item)) {
        const others = returned.get(item.part);
        if (others) others.push(item);
        else returned.set(item.part, [item]);
      }
    }
    for (const part of returned.keys()) keepDoubt(part, state);
    for (const part of parts) part.onEnd(returned.get(part) ?? []);
  }

  async function failSeveral(
    parts: readonly Part[],
    state: RequestState,
    error: unknown,
  ): Promise<void> {
    if (isMissing(error)) useManyFrom = performance.now() + ASK_AGAIN_AFTER_MS;
    for (const part of parts) keepDoubt(part, state);
    if (state.gaveUp || isFatal(error)) {
      for (const part of parts) {
        if (!state.gaveUp) fail(part, error);
        part.onEnd([]);
      }
    } else if (parts.length === 1 || isMissing(error) || mayPassInNewSession(error)) {
      for (const part of parts) part.onEnd(part.commands.filter(isWanted));
    } else {
      // By halves, as the error does not show which wallet it is about.
      const middle = parts.length >> 1;
      const halves = [parts.slice(0, middle), parts.slice(middle)];
      const options = { onCommit: () => undefined };
      await Promise.all(halves.map((half) => sendSeveral(half, options)));
    }
  }

  function answer({ command }: BatchedCommand, receipt: Receipt): void {
    if (receipt.refused === null) pending.answer(command, receipt);
    else pending.fail(command, refusalToError(receipt));
  }

  function fail(part: Part, error: unknown): void {
    for (const { command } of part.commands.filter(isWanted)) pending.fail(command, error);
  }

  return { sendOne, sendSeveral, canSendSeveral: () => performance.now() >= useManyFrom };
}

/** Remembers what is in doubt after a request, as another one is going to carry its commands. */
function keepDoubt({ commands }: Part, { mayBeDone }: RequestState): void {
  for (const { command } of commands) {
    command.mayBeDone ||= mayBeDone;
    command.onExpire = undefined;
  }
}

function firstDeadline(items: readonly Item[]): number | undefined {
  let first: number | undefined;
  for (const { command } of items) {
    if (first === undefined || command.deadline < first) first = command.deadline;
  }
  return first;
}

function join(items: readonly Item[], textOf: (item: Item) => string): never {
  return new EncodedJson(`[${items.map(textOf).join(",")}]`) as never;
}

function withWallet({ part, text }: Item): string {
  return `{"wallet_id":${JSON.stringify(part.walletId)},${text.slice(1)}`;
}

/** Throws unless each command got its own answer; the batch is then sent again. */
function requireAnswers(sent: readonly Item[], receipts: readonly Receipt[]): void {
  const fits =
    receipts.length === sent.length &&
    receipts.every(({ walletId, idempotencyKey }, i) => {
      const { part, command } = sent[i] as Item;
      return walletId === part.walletId && idempotencyKey === command.idempotencyKey;
    });
  if (fits) return;
  const error = new Error("the answers of a batch do not match its commands");
  throw Object.assign(error, { code: PROTOCOL_VIOLATION });
}

const PROTOCOL_VIOLATION = "08P01";

/** Refused, with nothing done, as only `post` waits for a wallet or says what is wrong with it. */
function isForPost({ refused }: Receipt): boolean {
  return refused === "LGBSY" || refused === "XX001";
}

/** Whether the database has no `post_many`, or not for this login, or cannot run it (Citus). */
function isMissing(error: unknown): boolean {
  const { code, where } = (error ?? {}) as { readonly code?: unknown; readonly where?: unknown };
  return code === "0A000" || ((code === "42883" || code === "42501") && !where);
}

/** Whether the server refused the session, which concerns every command. */
function isFatal(error: unknown): boolean {
  return ((error ?? {}) as { readonly severity?: unknown }).severity === "FATAL";
}

/** Whether the server could not read the batch (22: data, 54: limits), because of one command. */
function isDataError(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" && /^(22|54)/.test(code);
}
