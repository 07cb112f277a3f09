// Who may use a wallet, and with which labels. Part of the model: see ../model.ts.
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../../src/json/index.ts";
import type { Event, Reservation, Wallet } from "../model.ts";
import type { Command, Op, Refusal, Time } from "../requests.ts";

/** Who calls: a login, the role that it has set, and the secret in `baseledger.key`. */
export interface Session {
  readonly login: string;
  readonly role: string | null;
  /** A key by its name in the proof, or a secret that nobody has. */
  readonly key: KeyName | "wrong" | null;
}

/** The latest key that was created in a wallet under a name; until one is, the setting is empty. */
export interface KeyName {
  readonly wallet_id: string;
  readonly name: string;
}

/** A session whose key was looked up. */
export interface Caller extends Omit<Session, "key"> {
  readonly key: { readonly wallet_id: string; readonly key_id: string } | "wrong" | null;
}

export type Labels = Readonly<Record<string, Json>>;

/** What a grantee may do: fixed labels, and those that it may choose. */
export interface Grant {
  readonly labels: Labels;
  readonly free_labels: readonly string[];
}

export interface Key extends Grant {
  readonly key_id: string;
  readonly name: string;
  readonly expires_at: Time | null;
  readonly revoked: boolean;
}

/** What a caller may do in a wallet. */
export interface Access extends Grant {
  readonly allowed: boolean;
  /** As events record it. */
  readonly actor: string;
  /** Whether labels do not concern it: in an open wallet, and for operators. */
  readonly unbound: boolean;
}

/** The logins and the role of the proof's server: see proof.sql. */
export const OPERATOR = "ledger_test_proof";
export const AGENTS = ["ledger_test_ann", "ledger_test_bob"] as const;
export const TEAM = "ledger_test_team";
export const ROLES: readonly string[] = [OPERATOR, ...AGENTS, TEAM];

/** Who opens and funds wallets. */
export const AS_OPERATOR: Caller & Session = { login: OPERATOR, role: null, key: null };

/** Whether a session may call what is for operators: by the role in effect. */
export function isOperator({ login, role }: Pick<Session, "login" | "role">): boolean {
  return (role ?? login) === OPERATOR;
}

const NONE: Grant = { labels: {}, free_labels: [] };

/** What somebody may do in a wallet at an instant, by the clock. */
export function accessOf(wallet: Wallet, caller: Caller, now: Time): Access {
  const { login, role } = caller;
  const key = findKey(wallet, caller);
  const actor = [
    login,
    ...(role !== null && role !== login ? [`as ${role}`] : []),
    ...(key ? [`with key ${key.key_id}`] : []),
  ].join(" ");
  const unbound = { ...NONE, allowed: true, actor, unbound: true };
  if (!wallet.restricted) return unbound;
  if (caller.key !== null) {
    const valid = key && !key.revoked && (key.expires_at === null || key.expires_at > now);
    const { labels, free_labels } = valid ? key : NONE;
    return { labels, free_labels, allowed: valid === true, actor, unbound: false };
  }
  if (isOperator(caller)) return unbound;
  const grant = wallet.grants.get(login) ?? wallet.grants.get(role ?? login);
  const { labels, free_labels } = grant ?? NONE;
  return { labels, free_labels, allowed: grant !== undefined, actor, unbound: false };
}

/** A key says something only in its wallet. */
function findKey({ wallet_id, keys }: Wallet, { key }: Caller): Key | undefined {
  return key !== null && key !== "wrong" && key.wallet_id === wallet_id
    ? keys.get(key.key_id)
    : undefined;
}

/** The labels of what a caller opens. */
export function labelsOf({ unbound, labels, free_labels }: Access, metadata: Json): Labels {
  const given = metadata as Labels;
  if (unbound) return given;
  const all = free_labels.includes("*");
  const chosen = Object.entries(given).filter(([name]) => all || free_labels.includes(name));
  return { ...Object.fromEntries(chosen), ...labels };
}

/** What counts as the value of a label. */
export function labelValue(labels: Labels, name: string): string {
  const value = labels[name];
  if (typeof value !== "string" || Buffer.byteLength(value) > 255) return "";
  return value;
}

/** Whether a caller may act on a reservation: it opened it, or its labels contain the fixed ones. */
export function isHis({ allowed, unbound, labels, actor }: Access, r: Reservation): boolean {
  if (unbound || r.opened.actor === actor) return true;
  return (
    allowed &&
    Object.entries(labels).every(([name, value]) => isDeepStrictEqual(r.opened.labels[name], value))
  );
}

const ON_RESERVATIONS: readonly Op[] = ["settle", "cancel", "extend"];

/** Whether a caller who is not allowed may send a command all the same: real spending is recorded. */
export function isOwn(wallet: Wallet, access: Access, command: Command): boolean {
  const used = findUse(wallet, command.idempotency_key);
  // As in the SQL: with a key that stands for something else, it is told nothing.
  if (used) return hasOpened(wallet, access, used.reservation_id);
  return ON_RESERVATIONS.includes(command.op) && hasOpened(wallet, access, command.reservation_id);
}

/** Whether a caller has opened a reservation. */
export function hasOpened(
  { reservations }: Wallet,
  { actor }: Access,
  id: string | null | undefined,
): boolean {
  return reservations.get(id ?? "")?.opened.actor === actor;
}

/** The event that a key stands for. */
export function findUse({ journal }: Wallet, key: string | null): Event | undefined {
  return key === null ? undefined : journal.find((event) => event.idempotency_key === key);
}

/** Whether a caller may know what a used key stands for. */
export function maySee(wallet: Wallet, access: Access, { reservation_id }: Event): boolean {
  if (access.unbound || (access.allowed && Object.keys(access.labels).length === 0)) return true;
  const r = wallet.reservations.get(reservation_id ?? "");
  return r !== undefined && isHis(access, r);
}

/** The refusal of a key that stands for what a caller may not know. */
export const SECRET_KEY: Refusal = {
  refused: "LGIDK",
  detail: { field: "idempotency_key", stored: null, given: null },
};

/** What somebody gets who is not allowed: the same as for a wallet that does not exist. */
export function notFound(wallet_id: string | null): Refusal {
  return { refused: "LGWNF", detail: { wallet_id } };
}
