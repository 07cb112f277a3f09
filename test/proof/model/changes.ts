// Changes of who may use a wallet, and how: they move nothing. Part of the model: see ../model.ts.
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../../src/json/index.ts";
import type { Settings, Wallet } from "../model.ts";
import { plain } from "../plain.ts";
import type { Refusal, Time } from "../requests.ts";
import { type Arguments, type Command, commandOf, isName, MAX, type Op } from "../requests.ts";
import { type Grant, type Labels, ROLES } from "./access.ts";
import { type Limit, nameOf } from "./limits.ts";
import { PERS, type Per } from "./windows.ts";

/** The functions that make changes, with the events that they write, which name their commands. */
export const CHANGES = {
  allow: "allowed",
  disallow: "disallowed",
  create_key: "key_created",
  revoke_key: "key_revoked",
  set_limit: "limit_set",
  set_limit_for: "limit_set_for",
  remove_limit: "limit_removed",
  set_overdraft_limit: "overdraft_limit_set",
  set_low_balance: "low_balance_set",
  close_wallet: "closed",
  reopen_wallet: "reopened",
} as const;
export type ChangeFunction = keyof typeof CHANGES;
export type ChangeOp = (typeof CHANGES)[ChangeFunction];

export function isChange(op: Op): op is ChangeOp {
  return Object.values<string>(CHANGES).includes(op);
}

/** The arguments that are recorded, by their names. */
const FIELDS: Readonly<Record<ChangeOp, readonly string[]>> = {
  allowed: ["role", "labels", "free_labels"],
  disallowed: ["role"],
  key_created: ["labels", "free_labels", "expires_at"],
  key_revoked: ["key_id"],
  limit_set: ["limit_id", "amount", "per", "by", "of", "time_zone", "hard", "alert_at"],
  limit_set_for: ["limit_id", "values", "amount"],
  limit_removed: ["limit_id"],
  overdraft_limit_set: ["overdraft_limit"],
  low_balance_set: ["amounts"],
  closed: ["reason"],
  reopened: ["reason"],
};

/** The command of a function's arguments. */
export function changeOf(name: ChangeFunction, args: Arguments): Command {
  const op = CHANGES[name];
  const fields = FIELDS[op].map((field) => [field, args[field] ?? null]);
  const details = Object.fromEntries(fields) as Record<string, Json>;
  // As in the SQL: none are an empty list.
  if ("amounts" in details) details.amounts ??= [];
  if ("expires_at" in details) details.expires_at = plain(details.expires_at);
  const { idempotency_key, metadata, reason } = args;
  return { ...commandOf(op, { idempotency_key, metadata, reason }), details };
}

/** The first invalid argument of a change. */
export function findInvalidChange(name: ChangeFunction, args: Arguments): string | null {
  const invalid = CHECKS[name].find(([field, fits]) => !fits(args[field] ?? null, args));
  return invalid?.[0] ?? null;
}

type Check = (value: Json, args: Arguments) => boolean;

const isText = (value: Json, least: number): value is string =>
  typeof value === "string" && Buffer.byteLength(value) >= least && Buffer.byteLength(value) <= 255;
const isList = (value: Json, most: number): value is Json[] =>
  Array.isArray(value) && value.length <= most;
const isDistinct = (list: readonly Json[]) => new Set(list).size === list.length;
const isInteger = (value: Json, least: bigint, most = MAX) =>
  value !== null && BigInt(value as bigint) >= least && BigInt(value as bigint) <= most;

const LABELS: readonly (readonly [string, Check])[] = [
  [
    "labels",
    (value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
      const pairs = Object.entries(value as Labels);
      return pairs.length <= 16 && pairs.every(([name, v]) => isText(name, 1) && isText(v, 1));
    },
  ],
  ["free_labels", (value) => isList(value, 16) && value.every((name) => isText(name, 1))],
];

/** UTC, or a place. */
function isZone(zone: string): boolean {
  if (!zone.includes("/")) return zone === "UTC";
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

const CHECKS: Readonly<Record<ChangeFunction, readonly (readonly [string, Check])[]>> = {
  allow: LABELS,
  disallow: [],
  create_key: LABELS,
  revoke_key: [],
  set_limit: [
    ["limit_id", (value) => isName(value as string | null)],
    ["amount", (value, { by }) => (value === null ? hasItems(by) : isInteger(value, 0n))],
    ["per", (value, { of }) => PERS.includes(value as Per) && (of !== "open" || value === "ever")],
    ["by", (value) => isList(value, 4) && isDistinct(value) && value.every((n) => isText(n, 1))],
    ["of", (value) => ["amount", "calls", "open", "tokens"].includes(value as string)],
    ["time_zone", (value) => isZone(String(value))],
    ["hard", (value) => typeof value === "boolean"],
    [
      "alert_at",
      (value, { of }) =>
        isList(value, of === "open" ? 0 : 10) &&
        isDistinct(value) &&
        value.every((percent) => isInteger(percent, 1n, 1000n)),
    ],
  ],
  set_limit_for: [
    ["values", (value) => isList(value, 4) && value.length > 0 && value.every((v) => isText(v, 0))],
    ["amount", (value) => value === null || isInteger(value, 0n)],
  ],
  remove_limit: [],
  set_overdraft_limit: [["overdraft_limit", (value) => value === null || isInteger(value, 0n)]],
  set_low_balance: [
    [
      "amounts",
      (value) =>
        value === null ||
        (isList(value, 10) && isDistinct(value) && value.every((amount) => isInteger(amount, 1n))),
    ],
  ],
  close_wallet: [],
  reopen_wallet: [],
};

function hasItems(list: Json | undefined): boolean {
  return Array.isArray(list) && list.length > 0;
}

/** When and as which event a change happens. */
export interface Occasion {
  readonly instant: Time;
  /** By the server's clock, which keys expire by. */
  readonly clock: Time;
  readonly seq: bigint;
}

const NOT_WHEN_CLOSED: readonly ChangeOp[] = [
  "allowed",
  "key_created",
  "limit_set",
  "limit_set_for",
  "low_balance_set",
];

/** What a change makes of a wallet's settings, or why it is refused. */
export function decideChange(
  wallet: Wallet,
  command: Command & { readonly op: ChangeOp },
  occasion: Occasion,
): Partial<Settings> | Refusal {
  const decided = DECISIONS[command.op](wallet, command.details ?? {}, occasion);
  const refused = wallet.closed && NOT_WHEN_CLOSED.includes(command.op);
  // As in the SQL: of a grant, its arguments are looked at first.
  const first = command.op === "allowed" || command.op === "key_created";
  return refused && !(first && "refused" in decided) ? closedNow(wallet) : decided;
}

export function closedNow({ wallet_id }: Wallet): Refusal {
  return { refused: "LGCLO", detail: { wallet_id } };
}

type Details = Readonly<Record<string, Json>>;
type Decision = (w: Wallet, details: Details, occasion: Occasion) => Partial<Settings> | Refusal;

const wrong = (field: string): Refusal => ({ refused: "LGARG", detail: { field } });

const DECISIONS: Readonly<Record<ChangeOp, Decision>> = {
  allowed({ grants }, { role, ...grant }) {
    // Not an argument that is checked first: the role may have been dropped before a retry.
    if (!ROLES.includes(role as string)) return wrong("role");
    const its = grant as unknown as Grant;
    return { restricted: true, grants: new Map(grants).set(role as string, its) };
  },
  disallowed({ grants }, { role }) {
    const rest = new Map(grants);
    return rest.delete(role as string) ? { grants: rest } : wrong("role");
  },
  key_created({ keys }, { key_id, name, labels, free_labels, expires_at }, { clock }) {
    // Not an argument that is checked first: a retry may come later.
    if (expires_at !== null && (expires_at as bigint) <= clock) return wrong("expires_at");
    const made = { key_id, name, labels, free_labels, expires_at, revoked: false };
    const its = made as unknown as Settings["keys"] extends ReadonlyMap<string, infer K>
      ? K
      : never;
    return { restricted: true, keys: new Map(keys).set(key_id as string, its) };
  },
  key_revoked({ keys }, { key_id }) {
    const key = keys.get(key_id as string);
    if (!key || key.revoked) return wrong("key_id");
    return { keys: new Map(keys).set(key.key_id, { ...key, revoked: true }) };
  },
  limit_set({ limits }, details, { instant, seq }) {
    const limit = toLimit(details, instant, seq);
    const was = limits.get(limit.limit_id);
    const fixed = ["per", "by", "of", "time_zone"] as const;
    const changed = was && fixed.find((field) => !isDeepStrictEqual(was[field], limit[field]));
    if (changed) return wrong(changed);
    if (!was && limits.size >= 32) return wrong("limit_id");
    const { set_at, set_seq, own } = was ?? limit;
    const is = { ...limit, set_at, set_seq, own };
    return { limits: new Map(limits).set(limit.limit_id, is) };
  },
  limit_set_for({ limits }, { limit_id, values, amount }) {
    const limit = limits.get(limit_id as string);
    if (!limit) return wrong("limit_id");
    if ((values as string[]).length !== limit.by.length) return wrong("values");
    const own = new Map(limit.own);
    const name = nameOf(values as string[]);
    if (amount === null) own.delete(name);
    else own.set(name, BigInt(amount as bigint));
    return { limits: new Map(limits).set(limit.limit_id, { ...limit, own }) };
  },
  limit_removed({ limits }, { limit_id }) {
    const rest = new Map(limits);
    return rest.delete(limit_id as string) ? { limits: rest } : wrong("limit_id");
  },
  overdraft_limit_set({ available, terms }, { overdraft_limit: given }) {
    const overdraft_limit = given === null ? null : BigInt(given as bigint);
    if (overdraft_limit !== null && available < -overdraft_limit) {
      const detail = { requested: null, available, would_be: available, overdraft_limit };
      return { refused: "LGOVD", detail };
    }
    return { terms: { ...terms, overdraft_limit } };
  },
  low_balance_set: (_, { amounts }) => {
    const sorted = (amounts as bigint[]).map(BigInt).sort((a, b) => (a < b ? -1 : 1));
    return { low_balances: sorted };
  },
  closed: () => ({ closed: true }),
  reopened: () => ({ closed: false }),
};

function toLimit(details: Details, set_at: Time, set_seq: bigint): Limit {
  const { amount, alert_at } = details;
  return {
    ...(details as unknown as Limit),
    amount: amount === null ? null : BigInt(amount as bigint),
    alert_at: (alert_at as number[]).map(Number).sort((a, b) => a - b),
    set_at,
    set_seq,
    own: new Map(),
  };
}
