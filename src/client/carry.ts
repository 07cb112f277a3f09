import type { ErrorClass } from "../classify-error.ts";
import { refusalToError } from "../errors.ts";
import { post, type Receipt } from "../generated/baseledger.ts";
import type { Queryable } from "../wire/call.ts";
import type { Batched, Carry } from "./batch.ts";
import type { PendingCommands } from "./pending.ts";
import { persist } from "./persist.ts";

interface Answers {
  readonly asked: readonly Batched[];
  readonly receipts: readonly Receipt[];
}

/** Sends batches through `post`. */
export function createCarrier(sql: Queryable, pending: PendingCommands): Carry {
  return async function carry(walletId, batch, progress) {
    const wanted = () => batch.filter(({ command }) => pending.has(command));
    const isWanted = () => batch.some(({ command }) => pending.has(command));
    let doubtful = false;

    const onExpire = () => {
      if (!isWanted()) progress.onAbandon();
    };
    for (const { command } of batch) command.onExpire = onExpire;

    async function send(connection: Queryable): Promise<Answers> {
      const asked = wanted();
      if (asked.length === 0) return { asked, receipts: [] };
      for (const { command } of asked) command.sent = true;
      const text = `[${asked.map((item) => item.text).join(",")}]`;
      const encoded = withCommands(connection, text, progress.onCommit);
      const receipts = await post(encoded, { walletId, commands: [] });
      requireAnswers(asked, receipts);
      return { asked, receipts };
    }

    function onTrouble(trouble: ErrorClass, error: unknown): void {
      doubtful ||= trouble === "unknown";
      for (const { command } of wanted()) {
        command.sent = doubtful;
        command.trouble = error;
      }
    }

    try {
      const { asked, receipts } = await persist(sql, { send, isWanted, onTrouble });
      asked.forEach(({ command }, i) => {
        const receipt = receipts[i] as Receipt;
        if (receipt.refused === null) pending.answer(command, receipt);
        else pending.fail(command, refusalToError(receipt));
      });
    } catch (error) {
      if (batch.length > 1 && isDataError(error)) {
        const alone = { ...progress, onCommit: () => undefined };
        for (const item of batch) await carry(walletId, [item], alone);
      }
      for (const { command } of wanted()) pending.fail(command, error);
    }
  };
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
