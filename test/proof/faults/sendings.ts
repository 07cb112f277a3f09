// The commands in the calls that were sent, each with its answer.
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../../src/json/index.ts";
import type { Receipt } from "../model.ts";
import { plain } from "../plain.ts";
import {
  AGENT_OPS,
  type Arguments,
  type Command,
  commandOf,
  FUNDS_OPS,
  type Op,
  parseCommand,
} from "../requests.ts";
import type { Sent } from "./history.ts";
import type { Entry } from "./journal.ts";

type Fields = Readonly<Record<string, Json>>;

/** The answer to a command; undefined if none arrived. */
export type CommandAnswer =
  | { readonly receipt: Fields }
  | { readonly refused: string; readonly detail: Json }
  | { readonly failed: string }
  | undefined;

/** A command in a call that was sent. */
export interface Sending {
  readonly sent: Sent;
  readonly wallet_id: string;
  readonly command: Command;
  readonly answer: CommandAnswer;
}

const OP_OF: Readonly<Record<string, Op>> = {
  open_wallet: "open",
  freeze_wallet: "freeze",
  unfreeze_wallet: "unfreeze",
  transfer: "transfer_out",
};

/** The commands of a call. */
export function sendingsOf(sent: Sent): Sending[] {
  const { call, args, answer } = sent;
  const receipts = answer && "receipts" in answer ? answer.receipts : undefined;
  const answerOf = (i: number): CommandAnswer => {
    if (!receipts) return answer as CommandAnswer;
    const receipt = receipts[i] as Fields;
    const { refused, detail = null } = receipt;
    return typeof refused === "string" ? { refused, detail } : { receipt };
  };
  const wallet_id = (args.wallet_id ?? args.from) as string;
  if (!isBatch(sent)) {
    const command = commandOf(OP_OF[call] ?? (call as Op), args);
    return [{ sent, wallet_id, command, answer: answerOf(0) }];
  }
  const commands = args.commands as readonly Arguments[];
  return commands.map((given, i) => {
    const answer = answerOf(i);
    if (call !== "post_many") {
      return { sent, wallet_id, command: parseCommand(given, FUNDS_OPS), answer };
    }
    const command = parseCommand(given, AGENT_OPS, true);
    return { sent, wallet_id: given.wallet_id as string, command, answer };
  });
}

/** The commands of a call to one wallet, which are executed together. */
export interface Share {
  readonly sent: Sent;
  readonly wallet_id: string;
  readonly sendings: readonly Sending[];
}

/** The commands of a call by their wallets. */
export function sharesOf(sent: Sent): Share[] {
  const byWallet = Map.groupBy(sendingsOf(sent), ({ wallet_id }) => wallet_id);
  return [...byWallet].map(([wallet_id, sendings]) => ({ sent, wallet_id, sendings }));
}

/** Whether a call has several commands, which are executed together. */
export function isBatch({ call }: Sent): boolean {
  return call === "post" || call === "post_funds" || call === "post_many";
}

/** Whether a command was refused because another session had its wallet. */
export function isBusy({ answer }: Sending): boolean {
  return answer !== undefined && "refused" in answer && answer.refused === "LGBSY";
}

/** Identifies a command by its wallet and its key; opening a wallet has no key. */
export function nameOf(wallet_id: string, { idempotency_key }: { idempotency_key: string | null }) {
  return `${wallet_id} ${idempotency_key ?? ""}`;
}

/** Whether the answer is the receipt of an event. */
export function isReceiptOf(sending: Sending, entry: Entry | Fields): boolean {
  const { answer } = sending;
  if (!answer || !("receipt" in answer)) return false;
  const { receipt } = answer;
  const fields = RECEIPT.map((name) => [name, (entry as Fields)[name] ?? null]);
  const found = RECEIPT.map((name) => [name, receipt[name] ?? null]);
  return alike(sending, Object.fromEntries(found), Object.fromEntries(fields));
}

/** Whether the answer is the model's. */
export function agreesWithModel(sending: Sending, receipt: Receipt | undefined): boolean {
  const { answer } = sending;
  if (!answer || !receipt) return false;
  if ("refused" in receipt) {
    const { refused, detail } = receipt;
    if (!("refused" in answer)) return false;
    return alike(
      sending,
      plain({ refused: answer.refused, detail: answer.detail }),
      plain({ refused, detail }),
    );
  }
  if (!("receipt" in answer)) return false;
  const event = { wallet_id: sending.wallet_id, ...plainEvent(receipt.event) };
  // The TypeScript client retries by itself, so that the first call may get a replayed receipt.
  const sameReplay = sending.sent.via === "client" || answer.receipt.replayed === receipt.replayed;
  return sameReplay && isReceiptOf(sending, event);
}

function plainEvent({
  command,
  open,
  frozen,
  ...event
}: Extract<Receipt, { event: unknown }>["event"]): Fields {
  return plain(event) as Fields;
}

/** The fields that a receipt has from its event. */
const RECEIPT = [
  "wallet_id",
  "seq",
  "event",
  "reservation_id",
  "amount",
  "available",
  "reserved",
  "spent",
  "expires_at",
  "occurred_at",
  "idempotency_key",
];

function alike({ sent }: Sending, found: Json, expected: Json): boolean {
  return sent.via === "sql"
    ? isDeepStrictEqual(found, expected)
    : isDeepStrictEqual(coarse(found), coarse(expected));
}

/** A value without microseconds, which a Date cannot hold. */
function coarse(value: Json | undefined, name = ""): Json {
  if (typeof value === "bigint" && name.endsWith("_at")) return value - (value % 1000n);
  if (typeof value !== "object" || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coarse(item, key)]));
}
