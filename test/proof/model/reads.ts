// What callers can look up. Part of the model: see ../model.ts.
import type { Json } from "../../../src/json/index.ts";
import { asOf, type Event, type Reservation, type Wallet } from "../model.ts";
import type { Refusal, Time } from "../requests.ts";
import {
  type Access,
  accessOf,
  type Caller,
  findUse,
  isHis,
  isOperator,
  labelValue,
  maySee,
  notFound,
} from "./access.ts";
import { limitRows, sortedLimits } from "./limits.ts";

/** What somebody reads, and when. */
export interface Reading {
  readonly caller: Caller;
  /** By the clock, which keys expire by. */
  readonly clock: Time;
  readonly slack: bigint;
}

type Read<T> = (wallet: Wallet, access: Access, at: Time) => T | Refusal;

/** Reads from a wallet, if it is open to the caller. */
export function readFrom<T>(wallet: Wallet, reading: Reading, read: Read<T>): T | Refusal {
  const { caller, clock, slack } = reading;
  const access = accessOf(wallet, caller, clock);
  const last = wallet.journal.at(-1)?.occurred_at ?? 0n;
  // An operator without a key reads all; with one, what the key may.
  if (!access.allowed && !(isOperator(caller) && caller.key === null)) {
    return notFound(wallet.wallet_id);
  }
  return read(wallet, access, asOf(clock, last, slack));
}

/** The event that a key stands for, if the caller may know. */
export function readReceipt(key: string | null): Read<readonly Event[]> {
  return (wallet, access) => {
    const event = findUse(wallet, key);
    return event && maySee(wallet, access, event) ? [event] : [];
  };
}

/** The state of a reservation by the clock. */
export function readReservation(reservation_id: string | null): Read<Record<string, Json>> {
  return (wallet, access, at) => {
    const r = wallet.reservations.get(reservation_id ?? "");
    if (!r || !isHis(access, r)) return { refused: "LGRNF", detail: { reservation_id } };
    return stateOf(wallet, r, at);
  };
}

function stateOf({ wallet_id }: Wallet, r: Reservation, at: Time): Record<string, Json> {
  const expired = r.status === "expired" || (r.status === "open" && (r.expires_at ?? 0n) <= at);
  const status = expired ? "expired" : r.status;
  const { reservation_id, amount, settled, refunded, opened, late } = r;
  return {
    wallet_id,
    reservation_id,
    status,
    amount,
    held: expired ? 0n : r.held,
    settled,
    refunded,
    expires_at: status === "open" || status === "expired" ? r.expires_at : null,
    opened_at: opened.at,
    // As in the SQL: an expiry ends it at its deadline, swept or not.
    ended_at: status === "open" ? null : status === "expired" ? r.expires_at : r.ended_at,
    late,
    metadata: opened.metadata,
    labels: opened.labels as unknown as Json,
  };
}

/** What a caller sees of the limits. */
export function readLimits(
  wallet: Wallet,
  { unbound, labels, free_labels }: Access,
  at: Time,
): readonly object[] {
  const bound = !unbound && Object.keys(labels).length > 0;
  const isFree = (name: string) => free_labels.includes("*") || free_labels.includes(name);
  const sees = (name: string, value: string | undefined) => {
    if (name in labels) return value === labelValue(labels, name);
    return isFree(name) || value === "";
  };
  return sortedLimits(wallet).flatMap((limit) =>
    limitRows(wallet, limit, at, (values) => {
      return !bound || limit.by.every((name, i) => sees(name, values[i]));
    }),
  );
}
