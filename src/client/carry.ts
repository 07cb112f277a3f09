import { refusalToError } from "../errors/index.ts";
import { post, type Receipt } from "../generated/index.ts";
import type { Queryable } from "../wire/call.ts";
import type { Access } from "./access.ts";
import type { Batched, Carry } from "./batch.ts";
import type { PendingCommands } from "./pending.ts";
import { persist } from "./persist.ts";
import type { Place } from "./places.ts";

/** Sends batches through `post`. */
export function createCarrier(access: Access, pending: PendingCommands): Carry {
  async function carry(
    walletId: string,
    batch: readonly Batched[],
    progress: Progress,
  ): Promise<void> {
    const wanted = () => batch.filter(({ command }) => pending.has(command));
    const inTime = () =>
      wanted().filter(({ command }) => access.time.patienceUntil(command.deadline) > 0);
    const onExpire = () => {
      if (wanted().length === 0) progress.onAbandon();
    };
    let asked: readonly Batched[] = [];

    async function send(connection: Queryable, place: Place): Promise<readonly Receipt[]> {
      for (const { command } of asked) command.isAsked = false;
      asked = inTime();
      for (const { command } of asked) command.isAsked = true;
      const text = `[${asked.map((item) => item.text).join(",")}]`;
      const onAnswer = () => {
        place.leave("served");
        progress.onCommit();
      };
      const encoded = withCommands(connection, text, onAnswer);
      const receipts = await post(encoded, { walletId, commands: [] });
      requireAnswers(asked, receipts);
      return receipts;
    }

    const { answer, delivery } = persist(access, {
      subject: walletId,
      isRead: false,
      slow: false,
      ...(progress.place && { place: progress.place }),
      send,
      // Each has the same time, so the first one's is up first.
      deadline: () => inTime()[0]?.command.deadline,
    });
    for (const { command } of batch) {
      command.delivery = delivery;
      command.onExpire = onExpire;
    }
    try {
      const receipts = await answer;
      asked.forEach(({ command }, i) => {
        const receipt = receipts[i] as Receipt;
        if (receipt.refused === null) pending.answer(command, receipt);
        else pending.fail(command, refusalToError(receipt));
      });
    } catch (error) {
      // What is given up is told when time is up.
      if (delivery.isGivenUp) return;
      if (batch.length > 1 && isDataError(error) && !delivery.isDoubtful) {
        const alone = { onCommit: () => undefined, onAbandon: progress.onAbandon };
        for (const item of batch) await carry(walletId, [item], alone);
      }
      for (const { command } of wanted()) pending.fail(command, error);
    }
  }
  return carry;
}

/** See `Leave`; without a place, it waits for one. */
interface Progress {
  readonly place?: Place;
  readonly onCommit: () => void;
  readonly onAbandon: () => void;
}

/** Each command must get its own answer: what does not fit together is asked for again. */
function requireAnswers(asked: readonly Batched[], receipts: readonly Receipt[]): void {
  const fits =
    receipts.length === asked.length &&
    receipts.every(({ idempotencyKey }, i) => idempotencyKey === asked[i]?.command.idempotencyKey);
  if (fits) return;
  const error = new Error("the answers of a batch are not those of its commands");
  throw Object.assign(error, { code: PROTOCOL_VIOLATION });
}

const PROTOCOL_VIOLATION = "08P01";

/** The server could not read the batch (22: data, 54: limits): one command spoils it for all. */
function isDataError(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" && /^(22|54)/.test(code);
}

/** Sends commands that are encoded already, and tells as soon as their answers are there. */
function withCommands(sql: Queryable, text: string, onAnswer: () => void): Queryable {
  return {
    unsafe(query, [walletId = null], options) {
      const sent = sql.unsafe(query, [walletId, text], options);
      return {
        raw: () =>
          sent.raw().then((rows) => {
            onAnswer();
            return rows;
          }),
      };
    },
  };
}
