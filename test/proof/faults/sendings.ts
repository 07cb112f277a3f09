// The commands in what was sent, each with what was said of it.
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../../src/wire/json.ts";
import type { Receipt } from "../model.ts";
import { plain } from "../plain.ts";
import {
  type Arguments,
  type Command,
  commandOf,
  FUNDS_OPS,
  type Op,
  readCommand,
} from "../requests.ts";
import type { Sent } from "./history.ts";
import type { Entry } from "./journal.ts";

type Fields = Readonly<Record<string, Json>>;

/** What was said of a command; undefined if nothing was. */
export type Told =
  | { readonly receipt: Fields }
  | { readonly refused: string; readonly detail: Json }
  | { readonly failed: string }
  | undefined;

/** A sending of a command. */
export interface Use {
  readonly sent: Sent;
  readonly wallet_id: string;
  readonly command: Command;
  readonly told: Told;
}

const OP_OF: Readonly<Record<string, Op>> = {
  open_wallet: "open",
  freeze_wallet: "freeze",
  unfreeze_wallet: "unfreeze",
  transfer: "transfer_out",
};

/** The commands of a call. */
export function usesOf(sent: Sent): Use[] {
  const { call, args, answer } = sent;
  const receipts = answer && "receipts" in answer ? answer.receipts : undefined;
  const told = (i: number): Told => {
    if (!receipts) return answer as Told;
    const receipt = receipts[i] as Fields;
    const { refused, detail = null } = receipt;
    return typeof refused === "string" ? { refused, detail } : { receipt };
  };
  const wallet_id = (args.wallet_id ?? args.from) as string;
  if (!isBatch(sent)) {
    const command = commandOf(OP_OF[call] ?? (call as Op), args);
    return [{ sent, wallet_id, command, told: told(0) }];
  }
  const commands = args.commands as readonly Arguments[];
  return commands.map((given, i) => {
    return { sent, wallet_id, command: readCommand(given, FUNDS_OPS), told: told(i) };
  });
}

/** Whether a call has several commands, which one fold carries out. */
export function isBatch({ call }: Sent): boolean {
  return call === "post" || call === "post_funds";
}

/** What a command is known by; opening a wallet has no key. */
export function nameOf(wallet_id: string, { idempotency_key }: { idempotency_key: string | null }) {
  return `${wallet_id} ${idempotency_key ?? ""}`;
}

/** Whether what was said is the receipt of an event, or of no other. */
export function tellsOf(use: Use, entry: Entry | Fields): boolean {
  if (!use.told || !("receipt" in use.told)) return false;
  const { receipt } = use.told;
  const fields = RECEIPT.map((name) => [name, (entry as Fields)[name] ?? null]);
  const found = RECEIPT.map((name) => [name, receipt[name] ?? null]);
  return alike(use, Object.fromEntries(found), Object.fromEntries(fields));
}

/** Whether what was said is what the model says. */
export function agrees(use: Use, receipt: Receipt | undefined): boolean {
  const { told } = use;
  if (!told || !receipt) return false;
  if ("refused" in receipt) {
    const { refused, detail } = receipt;
    if (!("refused" in told)) return false;
    return alike(
      use,
      plain({ refused: told.refused, detail: told.detail }),
      plain({ refused, detail }),
    );
  }
  if (!("receipt" in told)) return false;
  const event = { wallet_id: use.wallet_id, ...plainEvent(receipt.event) };
  // A client that has sent again by itself may be told of a replay for its first call.
  const sameWay = use.sent.via === "client" || told.receipt.replayed === receipt.replayed;
  return sameWay && tellsOf(use, event);
}

function plainEvent({
  command,
  open,
  frozen,
  ...event
}: Extract<Receipt, { event: unknown }>["event"]): Fields {
  return plain(event) as Fields;
}

/** What a receipt tells of its event. */
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

function alike({ sent }: Use, found: Json, expected: Json): boolean {
  return sent.via === "sql"
    ? isDeepStrictEqual(found, expected)
    : isDeepStrictEqual(coarse(found), coarse(expected));
}

/** Without the microseconds, which a Date cannot hold. */
function coarse(value: Json | undefined, name = ""): Json {
  if (typeof value === "bigint" && name.endsWith("_at")) return value - (value % 1000n);
  if (typeof value !== "object" || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coarse(item, key)]));
}
