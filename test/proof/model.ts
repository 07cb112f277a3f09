// A model of one wallet, to compare the SQL with. It states on purpose, a second time, what each
// command checks and what each event moves: written from the contract (docs/architecture.md,
// db/ERRORS.md, the functions' comments) and not from the SQL, so that a mistake in one of them shows.
// When a rule changes, change both. Where the contract says nothing, a comment here says "as in the
// SQL".
import type { Json } from "../../src/json/index.ts";
import {
  type Command,
  findDifference,
  findInvalid,
  MAX,
  type Refusal,
  type Time,
} from "./requests.ts";

/** What never changes in a wallet. */
export interface Terms {
  readonly unit: string;
  readonly scale: number;
  readonly overdraft_limit: bigint | null;
}

/** A hold on funds, open or ended. */
export interface Reservation {
  readonly reservation_id: string;
  readonly status: "open" | "expired" | "settled" | "cancelled";
  /** Granted in total, extensions included. */
  readonly amount: bigint;
  readonly held: bigint;
  readonly settled: bigint;
  /** The part of `settled` that came out of the hold. */
  readonly used: bigint;
  readonly refunded: bigint;
  readonly expires_at: Time | null;
  /** The time and number of the event that ended it. */
  readonly ended_at: Time;
  readonly ended_seq: bigint;
}

/** An event of the journal. */
export interface Event {
  readonly seq: bigint;
  readonly event: string;
  readonly reservation_id: string | null;
  readonly amount: bigint | null;
  readonly available: bigint;
  readonly reserved: bigint;
  readonly spent: bigint;
  readonly expires_at: Time | null;
  readonly occurred_at: Time;
  /** The time by the server's clock, which deadlines count by: earlier than `occurred_at` if that is ahead. */
  readonly instant: Time;
  readonly idempotency_key: string | null;
  readonly metadata: Json;
  /** The command; an expiry has none. */
  readonly command?: Command;
  /** The wallet right after it. */
  readonly frozen: boolean;
  readonly open: readonly Reservation[];
}

export interface Wallet {
  readonly wallet_id: string;
  readonly terms: Terms;
  available: bigint;
  reserved: bigint;
  spent: bigint;
  frozen: boolean;
  readonly reservations: Map<string, Reservation>;
  readonly journal: Event[];
}

/** The answer to a command: its event, or why it was refused. */
export type Receipt =
  | (Refusal & { readonly command: Command })
  | { readonly event: Event; readonly replayed: boolean };

/** When an event happens, and how far that lies ahead of the clock. */
interface Moment {
  readonly at: Time;
  readonly ahead: bigint;
}

/** What a granted command does. */
interface Change {
  readonly event: string;
  readonly amount: bigint | null;
  readonly available?: bigint;
  readonly reserved?: bigint;
  readonly spent?: bigint;
  readonly frozen?: boolean;
  readonly reservation?: Reservation;
}

/**
 * How far a wallet's last event may lie ahead of the clock and still count as the clock: 1 second, as
 * in _clock_slack.
 */
export const SLACK = 1_000_000n;

/** The instant by which deadlines count, for a wallet whose last event is dated `last`. */
export function asOf(clock: Time, last: Time, slack: bigint): Time {
  return last > clock && last <= clock + slack ? last : clock;
}

/** A wallet without funds, and without its first event. */
export function emptyWallet(wallet_id: string, terms: Terms): Wallet {
  const nothing = { available: 0n, reserved: 0n, spent: 0n, frozen: false };
  return { wallet_id, terms, ...nothing, reservations: new Map(), journal: [] };
}

/**
 * Executes commands in order, and returns the wallet after them. Each event happens a microsecond
 * after the one before, or later, by the clock. What has come due expires before the next command;
 * if no command is granted, the wallet stays as it was. Without commands this is the sweep, which
 * expires at most `limit` reservations.
 *
 * Not modelled: when more than 1,000 are due at once, a command leaves the rest for later.
 */
export function execute(
  before: Wallet,
  commands: readonly Command[],
  clock: Time,
  limit = Number.POSITIVE_INFINITY,
  slack = SLACK,
): { readonly wallet: Wallet; readonly receipts: readonly Receipt[]; readonly expired: number } {
  const wallet = copy(before);
  const last = wallet.journal.at(-1)?.occurred_at;
  let at = last !== undefined && last >= clock ? last + 1n : clock;
  // Deadlines count by the clock, even when the wallet's last event lies ahead of it.
  const ahead = at > clock + slack ? at - clock : 0n;
  let granted = 0;
  let expired = 0;

  const expire = () => {
    for (;;) {
      const due = nextDue(wallet, at - ahead);
      if (!due || expired >= limit) return;
      const { held, reservation_id, expires_at } = due;
      const reservation = end(wallet, due, "expired", at);
      const change = { event: "expired", amount: held, available: held, reserved: -held };
      write(wallet, { at, ahead }, { ...change, reservation }, { reservation_id, expires_at });
      at += 1n;
      expired += 1;
    }
  };
  const executeOne = (command: Command): Receipt => {
    expire();
    const refused = command.misread ?? findInvalid(command);
    if (refused) return { ...refused, command };
    const key = command.idempotency_key;
    const event = wallet.journal.find((e) => key !== null && e.idempotency_key === key);
    if (event?.command) {
      const difference = findDifference(event.command, command);
      return difference ? { ...difference, command } : { event, replayed: true };
    }
    const moment = { at, ahead };
    const change = decide(wallet, command, moment);
    const refusal = "refused" in change ? change : checkRange(wallet, command, change);
    if (refusal) return { ...refusal, command };
    const written = write(wallet, moment, change as Change, { ...command, command });
    granted += 1;
    at += 1n;
    return { event: written, replayed: false };
  };

  const receipts = commands.map(executeOne);
  // As in the SQL: what comes due at the very next instant expires with them.
  expire();
  const unchanged = commands.length > 0 && granted === 0;
  return { wallet: unchanged ? before : wallet, receipts, expired };
}

/** The number of the last event. */
export function seqOf({ journal }: Wallet): bigint {
  return BigInt(journal.length);
}

/** The reservations that are open on record, also those that are due. */
export function openReservationsOf({ reservations }: Wallet): Reservation[] {
  return [...reservations.values()].filter(({ status }) => status === "open");
}

function copy(wallet: Wallet): Wallet {
  const { reservations, journal } = wallet;
  return { ...wallet, reservations: new Map(reservations), journal: [...journal] };
}

function nextDue(wallet: Wallet, at: Time): Reservation | undefined {
  const due = openReservationsOf(wallet).filter(({ expires_at }) => (expires_at ?? 0n) <= at);
  return due.sort(byDeadline)[0];
}

function byDeadline(a: Reservation, b: Reservation): number {
  if (a.expires_at !== b.expires_at) return (a.expires_at ?? 0n) < (b.expires_at ?? 0n) ? -1 : 1;
  return Buffer.compare(Buffer.from(a.reservation_id), Buffer.from(b.reservation_id));
}

function end(wallet: Wallet, r: Reservation, status: Reservation["status"], at: Time): Reservation {
  return { ...r, status, held: 0n, ended_at: at, ended_seq: seqOf(wallet) + 1n };
}

function write(
  wallet: Wallet,
  { at, ahead }: Moment,
  change: Change,
  request: Partial<Event>,
): Event {
  const { available = 0n, reserved = 0n, spent = 0n, reservation } = change;
  wallet.available += available;
  wallet.reserved += reserved;
  wallet.spent += spent;
  wallet.frozen = change.frozen ?? wallet.frozen;
  if (reservation) wallet.reservations.set(reservation.reservation_id, reservation);
  // An event has the deadline of an open reservation; an expiry has the one that passed.
  const deadline = reservation?.status === "open" ? reservation.expires_at : null;
  const event: Event = {
    seq: seqOf(wallet) + 1n,
    event: change.event,
    reservation_id: request.reservation_id ?? null,
    amount: change.amount,
    available: wallet.available,
    reserved: wallet.reserved,
    spent: wallet.spent,
    expires_at: change.event === "expired" ? (request.expires_at ?? null) : deadline,
    occurred_at: at,
    instant: at - ahead,
    idempotency_key: request.idempotency_key ?? null,
    metadata: request.metadata ?? {},
    ...(request.command && { command: request.command }),
    frozen: wallet.frozen,
    open: openReservationsOf(wallet),
  };
  wallet.journal.push(event);
  return event;
}

/** Whether the rules grant a command, and what it moves. */
function decide(wallet: Wallet, command: Command, { at, ahead }: Moment): Change | Refusal {
  const { available, frozen } = wallet;
  const { op } = command;
  const id = command.reservation_id ?? "";
  const r = wallet.reservations.get(id);
  const a = command.amount ?? 0n;
  const frozenNow: Refusal = { refused: "LGFRZ", detail: { wallet_id: wallet.wallet_id } };

  switch (op) {
    case "reserve":
    case "charge": {
      if (r) return { refused: "LGRID", detail: { reservation_id: id } };
      if (frozen) return frozenNow;
      const least = command.at_least ?? a;
      if (available < least) return insufficient(wallet, least);
      const amount = available < a ? available : a;
      const made: Reservation = {
        reservation_id: id,
        status: "open",
        amount,
        held: amount,
        settled: 0n,
        used: 0n,
        refunded: 0n,
        expires_at: at - ahead + (command.ttl ?? 0n),
        ended_at: 0n,
        ended_seq: 0n,
      };
      if (op === "reserve") {
        const moves = { available: -amount, reserved: amount };
        return { event: "reserved", amount, ...moves, reservation: made };
      }
      const spent = { settled: a, used: a, expires_at: null };
      const charged = { ...end(wallet, made, "settled", at), ...spent };
      return { event: "charged", amount: a, available: -a, spent: a, reservation: charged };
    }
    case "settle":
      if (r?.status !== "open" && r?.status !== "expired") return ended(id, r);
      return settle(wallet, r, a, command.final ?? true, at);
    case "cancel": {
      if (r?.status !== "open") return ended(id, r);
      const reservation = end(wallet, r, "cancelled", at);
      const moves = { available: r.held, reserved: -r.held };
      return { event: "cancelled", amount: r.held, ...moves, reservation };
    }
    case "extend": {
      if (r?.status !== "open") return ended(id, r);
      const more = command.amount === null ? 0n : a - r.held;
      if (more > 0n && frozen) return frozenNow;
      if (more > 0n && available < more) return insufficient(wallet, more);
      if (r.amount + more > MAX) return outOfRange(wallet, a);
      const hold = { held: r.held + more, amount: r.amount + more };
      const reservation = { ...r, ...hold, expires_at: at - ahead + (command.ttl ?? 0n) };
      return { event: "extended", amount: more, available: -more, reserved: more, reservation };
    }
    case "refund": {
      if (!r) return ended(id, r);
      const refundable = r.settled - r.refunded;
      if (refundable < a) {
        return { refused: "LGRFD", detail: { reservation_id: id, requested: a, refundable } };
      }
      const reservation = { ...r, refunded: r.refunded + a };
      return { event: "refunded", amount: a, available: a, spent: -a, reservation };
    }
    case "credit":
      return { event: "credited", amount: a, available: a };
    case "transfer_in":
      return { event: "transferred_in", amount: a, available: a };
    case "withdraw":
    case "transfer_out": {
      if (frozen) return frozenNow;
      if (available < a) return insufficient(wallet, a);
      const event = op === "withdraw" ? "withdrawn" : "transferred_out";
      return { event, amount: a, available: -a };
    }
    case "freeze":
      return { event: "frozen", amount: null, frozen: true };
    case "unfreeze":
      return { event: "unfrozen", amount: null, frozen: false };
    case "open":
      return { event: "opened", amount: null };
  }
}

/** Books what was spent in full: from the hold first, then from available. */
function settle(
  wallet: Wallet,
  r: Reservation,
  a: bigint,
  final: boolean,
  at: Time,
): Change | Refusal {
  // As in the SQL: the total that an open reservation has settled is kept in 64 bits.
  if (r.status === "open" && r.settled + a > MAX) return outOfRange(wallet, a);
  const used = a < r.held ? a : r.held;
  const released = final ? r.held - used : 0n;
  const available = released + used - a;
  const limit = wallet.terms.overdraft_limit;
  const would_be = wallet.available + available;
  if (limit !== null && available < 0n && would_be < -limit) {
    const overdrawn = { available: wallet.available, would_be, overdraft_limit: limit };
    return { refused: "LGOVD", detail: { requested: a, ...overdrawn } };
  }
  const rest = { ...r, settled: r.settled + a, used: r.used + used, held: r.held - used };
  // A late partial settlement leaves the reservation expired, so that more can be booked.
  const last = { ended_at: at, ended_seq: seqOf(wallet) + 1n };
  const reservation = final
    ? end(wallet, rest, "settled", at)
    : { ...rest, ...(r.status === "expired" && last) };
  const moves = { available, reserved: -used - released, spent: a };
  return { event: "settled", amount: a, ...moves, reservation };
}

function insufficient(wallet: Wallet, requested: bigint): Refusal {
  const { available, reserved } = wallet;
  const held = available + reserved >= requested;
  const next = openReservationsOf(wallet).sort(byDeadline)[0];
  const shortfall = requested - available;
  const why = { reason: held ? "held" : "exhausted", retry_at: (held && next?.expires_at) || null };
  return {
    refused: "LGNSF",
    detail: { requested, available, reserved, shortfall, ...why },
  };
}

/** The refusal of a command to a reservation that is not open, or not there. */
function ended(reservation_id: string, r: Reservation | undefined): Refusal {
  if (!r) return { refused: "LGRNF", detail: { reservation_id } };
  const { status, expires_at: expired_at, ended_at, ended_seq } = r;
  if (status === "expired") return { refused: "LGEXP", detail: { reservation_id, expired_at } };
  return { refused: "LGEND", detail: { reservation_id, status, ended_at, ended_seq } };
}

/** Every balance is a 64-bit number, and stays one when all that is reserved comes back. */
function checkRange(wallet: Wallet, command: Command, change: Change): Refusal | undefined {
  const { available = 0n, reserved = 0n, spent = 0n } = change;
  const room = wallet.available + wallet.reserved + available + reserved <= MAX;
  const inRange =
    (room || available + reserved <= 0n) &&
    (available >= 0n || wallet.available + available >= -MAX) &&
    wallet.spent + spent <= MAX;
  return inRange ? undefined : outOfRange(wallet, command.amount ?? 0n);
}

function outOfRange({ available, reserved, spent }: Wallet, requested: bigint): Refusal {
  return { refused: "LGOVF", detail: { requested, available, reserved, spent } };
}
