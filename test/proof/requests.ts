// The model of a request: the parameters of all commands in one form, what each may be, and how two
// requests with the same idempotency key are compared. Part of the model: see model.ts.
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../src/json/index.ts";
import type { BatchOp } from "../support/operations.ts";
import type { ChangeOp } from "./model/changes.ts";

/** Microseconds since 1970. */
export type Time = bigint;

/** The largest amount. */
export const MAX = 2n ** 63n - 1n;

const SECOND = 1_000_000n;
const DEFAULT_TTL = 600n * SECOND;
const LONGEST_TTL = 30n * 86_400n * SECOND;

/** Commands, by their names in the field `op` of a batch and in the detail of LGIDK. */
export type Op =
  | BatchOp
  | "transfer_out"
  | "transfer_in"
  | "freeze"
  | "unfreeze"
  | "open"
  | ChangeOp;

/** Why a command was refused. */
export interface Refusal {
  readonly refused: string;
  readonly detail: Readonly<Record<string, Json>>;
}

/** A command to one wallet; null where it has no such parameter. */
export interface Command {
  readonly op: Op;
  readonly idempotency_key: string | null;
  readonly reservation_id: string | null;
  readonly amount: bigint | null;
  /** What is priced instead of an amount, as it was sent. */
  readonly usage: Json;
  readonly at_least: bigint | null;
  /** Microseconds. */
  readonly ttl: bigint | null;
  readonly final: boolean | null;
  readonly to: string | null;
  readonly reason: string | null;
  /** Of a charge: whether it was spent before, so that nothing stops it; null for false. */
  readonly already_spent: true | null;
  readonly metadata: Json;
  /** What a change asks for, which its event records. */
  readonly details?: Readonly<Record<string, Json>>;
  /** Why a command of a batch could not be parsed. */
  readonly misread?: Refusal;
}

/** The parameters of a command, without `p_`; ttl in seconds. Null counts as absent. */
export type Arguments = Readonly<Record<string, Json | undefined>>;

/** A command from its parameters, with their defaults. */
export function commandOf(op: Op, args: Arguments): Command {
  const text = (name: string) => (args[name] ?? null) as string | null;
  const integer = (name: string) => (args[name] == null ? null : BigInt(args[name] as bigint));
  const key = text("idempotency_key");
  const names = op === "reserve" || op === "charge";
  const ttl = args.ttl == null ? null : BigInt(Math.round(Number(args.ttl) * 1e6));
  return {
    op,
    idempotency_key: key,
    reservation_id: text("reservation_id") ?? (names ? key : null),
    amount: integer("amount"),
    usage: args.usage ?? null,
    at_least: integer("at_least"),
    ttl: ttl ?? (op === "reserve" ? DEFAULT_TTL : null),
    final: op === "settle" ? ((args.final ?? true) as boolean) : null,
    to: text("to"),
    reason: text("reason"),
    already_spent: args.already_spent ? true : null,
    metadata: args.metadata ?? {},
  };
}

/** The refusal of an invalid field. */
export function invalid(field: string): Refusal {
  return { refused: "LGARG", detail: { field } };
}

/** Whether a text can be an id or a key: 1 to 255 characters, not blank. */
export function isId(id: string | null, longest = 255): boolean {
  return id !== null && /[^ \t\r\n]/.test(id) && [...id].length <= longest;
}

/** Code points that are invisible: white space, controls, and those without width or ink. */
const HIDDEN: readonly (readonly [number, number])[] = [
  ...([
    [0, 0x20],
    [0x7f, 0xa0],
    [0xad, 0xad],
    [0x34f, 0x34f],
    [0x61c, 0x61c],
  ] as const),
  ...([
    [0x115f, 0x1160],
    [0x1680, 0x1680],
    [0x17b4, 0x17b5],
    [0x180b, 0x180f],
  ] as const),
  ...([
    [0x2000, 0x200f],
    [0x2028, 0x202f],
    [0x205f, 0x206f],
    [0x2800, 0x2800],
  ] as const),
  ...([
    [0x3000, 0x3000],
    [0x3164, 0x3164],
    [0xfe00, 0xfe0f],
    [0xfeff, 0xfeff],
  ] as const),
  ...([
    [0xffa0, 0xffa0],
    [0xfff0, 0xfffb],
    [0x1bca0, 0x1bca3],
    [0x1d173, 0x1d17a],
  ] as const),
  [0xe0000, 0xe0fff],
];

/** Whether something new may have this name: its first and last characters are visible. */
export function isName(name: string | null): boolean {
  const points = [...(name ?? "")].map((character) => character.codePointAt(0) ?? 0);
  const isVisible = (at: number) =>
    points.length > 0 &&
    !HIDDEN.some(([from, to]) => (points.at(at) ?? 0) >= from && (points.at(at) ?? 0) <= to);
  return isId(name) && isVisible(0) && isVisible(-1);
}

const WITH_REASON: readonly Op[] = ["freeze", "unfreeze", "closed", "reopened"];
const WITH_KEY: readonly Op[] = [
  ...(["reserve", "settle", "cancel", "extend", "charge", "credit", "withdraw", "refund"] as const),
  "transfer_out",
];
const WITH_AMOUNT: readonly Op[] = [
  ...(["reserve", "settle", "charge", "credit", "withdraw", "refund"] as const),
  ...(["transfer_out", "transfer_in"] as const),
];

/**
 * The first invalid field. Which of several comes first is not in the contract: as in the SQL
 * (_find_invalid_field).
 */
export function findInvalid(command: Command): Refusal | undefined {
  const { op, idempotency_key: key, reservation_id: id, amount, usage, at_least, ttl } = command;
  if (key === null ? WITH_KEY.includes(op) : !isName(key)) return invalid("idempotency_key");
  // An existing reservation may be older than the rule for names.
  const fits = op === "reserve" || op === "charge" ? isName : isId;
  if (id === null ? takesReservation(op) : !fits(id)) return invalid("reservation_id");
  const smallest = op === "settle" ? 0n : 1n;
  const missing = usage === null && WITH_AMOUNT.includes(op);
  if (amount === null ? missing : amount < smallest) return invalid("amount");
  if (amount !== null && usage !== null) return invalid("usage");
  // Of usage, what it costs is known later.
  const most = usage === null ? (amount ?? 0n) : MAX;
  if (at_least !== null && (at_least < 1n || at_least > most)) return invalid("at_least");
  if (op === "reserve" || op === "extend") {
    if (ttl === null || ttl < SECOND || ttl > LONGEST_TTL) return invalid("ttl");
  }
  const { metadata, reason } = command;
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    return invalid("metadata");
  }
  if (WITH_REASON.includes(op) && !isId(reason, 1000)) return invalid("reason");
  return undefined;
}

/** The first difference between two uses of a key, as LGIDK reports it. */
export function findDifference(stored: Command, given: Command): Refusal | undefined {
  const [was, is] = [request(stored), request(given)];
  const field = Object.keys(was).find((name) => !isDeepStrictEqual(was[name], is[name]));
  if (field === undefined) return undefined;
  return {
    refused: "LGIDK",
    detail: { field, stored: was[field] ?? null, given: is[field] ?? null },
  };
}

// In the order in which the SQL names them (_compare_requests).
function request(command: Command): Record<string, Json> {
  const { op, reservation_id, amount, usage, at_least, ttl, final, to, reason, metadata } = command;
  const { overdraft_limit, key_id, name, ...details } = command.details ?? {};
  const seconds = ttl === null ? null : Number(ttl) / 1e6;
  const common = {
    op,
    reservation_id,
    amount,
    usage,
    at_least,
    ttl: seconds,
    final,
    to,
    reason,
    metadata,
  };
  // Of a change, the amount may be that of a limit; the id of a new key is no part of the request.
  const limit = overdraft_limit === undefined ? {} : { overdraft_limit };
  const asked = op === "key_created" || key_id === undefined ? details : { ...details, key_id };
  const rest: Record<string, Json> = { already_spent: command.already_spent, ...asked };
  const others = Object.fromEntries(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    ...common,
    ...("amount" in asked && { amount: asked.amount ?? null }),
    ...limit,
    ...others,
  };
}

const FIELDS: Readonly<Record<BatchOp, readonly string[]>> = {
  reserve: ["amount", "reservation_id", "ttl", "at_least", "usage"],
  settle: ["amount", "reservation_id", "final", "usage"],
  cancel: ["reservation_id"],
  extend: ["reservation_id", "ttl", "amount"],
  charge: ["amount", "reservation_id", "already_spent", "usage"],
  credit: ["amount"],
  withdraw: ["amount"],
  refund: ["amount", "reservation_id"],
};
function takesReservation(op: Op): boolean {
  return op in FIELDS && FIELDS[op as BatchOp].includes("reservation_id");
}

/** What `post` takes. */
export const AGENT_OPS: readonly Op[] = ["reserve", "settle", "cancel", "extend", "charge"];
/** What `post_funds` takes. */
export const FUNDS_OPS: readonly Op[] = [...AGENT_OPS, "credit", "withdraw", "refund"];

/** Parses a command of a batch, strictly; with `several`, of one for several wallets. */
export function parseCommand(given: Arguments, ops: readonly Op[], several = false): Command {
  const op = given.op as Op;
  const misread = findMisread(given, ops, several);
  if (!misread) return commandOf(op, given);
  // The receipt of a misread command still has its key and its reservation.
  const { idempotency_key, reservation_id } = given;
  return { ...commandOf(op, { idempotency_key, reservation_id }), misread };
}

function findMisread(given: Arguments, ops: readonly Op[], several: boolean): Refusal | undefined {
  const { op } = given;
  if (typeof op !== "string") return invalid("op");
  if (!ops.includes(op as Op)) return { refused: "LGUNK", detail: { op } };
  const common = ["op", "idempotency_key", "metadata", ...(several ? ["wallet_id"] : [])];
  const allowed = [...common, ...FIELDS[op as BatchOp]];
  const unknown = Object.keys(given).filter((field) => !allowed.includes(field));
  if (unknown.length > 0) return invalid(unknown.sort()[0] ?? "");
  if (several && typeof given.wallet_id !== "string") return invalid("wallet_id");
  for (const field of ["amount", "at_least"]) {
    if (given[field] != null && !isInteger(given[field])) return invalid(field);
  }
  for (const field of ["final", "already_spent"]) {
    if (given[field] != null && typeof given[field] !== "boolean") return invalid(field);
  }
  return undefined;
}

/** A JSON number or string that is a 64-bit integer. */
function isInteger(value: Json): boolean {
  const text = String(value);
  return /^-?\d{1,19}$/.test(text) && BigInt(text) <= MAX && BigInt(text) >= -MAX - 1n;
}
