// A model of one wallet, to compare the SQL with. It states on purpose, a second time, what each
// command checks and what each event moves: written from the contract (docs/architecture.md,
// db/ERRORS.md, the functions' comments) and not from the SQL, so that a mistake in one of them shows.
// When a rule changes, change both. Where the contract says nothing, a comment here says "as in the
// SQL".
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../src/json/index.ts";
import {
  type Access,
  AS_OPERATOR,
  accessOf,
  type Caller,
  findUse,
  type Grant,
  isHis,
  isOwn,
  type Key,
  type Labels,
  labelsOf,
  maySee,
  notFound,
  SECRET_KEY,
} from "./model/access.ts";
import { type ChangeOp, closedNow, decideChange, isChange } from "./model/changes.ts";
import {
  type Alert,
  alertsOf,
  type Limit,
  lastToClear,
  leftOf,
  limitObstacles,
  type Obstacle,
} from "./model/limits.ts";
import {
  type Catalogue,
  type Cost,
  isBadUsage,
  type Pricing,
  priceOf,
  tokensOf,
} from "./model/prices.ts";
import {
  AGENT_OPS,
  type Command,
  findDifference,
  findInvalid,
  invalid,
  MAX,
  type Refusal,
  type Time,
} from "./requests.ts";

export interface Terms {
  readonly unit: string;
  readonly scale: number;
  readonly overdraft_limit: bigint | null;
}

/** What operators set for a wallet. */
export interface Settings {
  readonly terms: Terms;
  readonly frozen: boolean;
  readonly closed: boolean;
  readonly restricted: boolean;
  readonly grants: ReadonlyMap<string, Grant>;
  readonly keys: ReadonlyMap<string, Key>;
  readonly limits: ReadonlyMap<string, Limit>;
  readonly low_balances: readonly bigint[];
}

/** A hold on funds, open or ended. */
export interface Reservation {
  readonly reservation_id: string;
  /** By whom and when it was opened, with its labels. */
  readonly opened: {
    readonly actor: string;
    readonly at: Time;
    /** By the clock. */
    readonly instant: Time;
    readonly metadata: Json;
    readonly labels: Labels;
    /** By usage: its model, an alias resolved, its variant and the row of its price. */
    readonly priced: {
      readonly model: string;
      readonly variant: string;
      readonly by: bigint;
    } | null;
  };
  readonly status: "open" | "expired" | "settled" | "cancelled";
  /** Granted in total, extensions included. */
  readonly amount: bigint;
  readonly held: bigint;
  readonly settled: bigint;
  /** The part of `settled` that came out of the hold. */
  readonly used: bigint;
  readonly refunded: bigint;
  readonly expires_at: Time | null;
  /** The time, number and kind of the event that ended it. */
  readonly ended_at: Time;
  readonly ended_seq: bigint;
  /** Whether something was settled after the deadline. */
  readonly late: boolean;
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
  readonly actor: string;
  readonly metadata: Json;
  /** What it says of labels, and of what was asked in a change; null for nothing. */
  readonly details: Json;
  /** The command; an expiry has none. */
  readonly command?: Command;
  /** The wallet right after it. */
  readonly frozen: boolean;
  readonly open: readonly Reservation[];
}

export interface Wallet extends Settings {
  readonly wallet_id: string;
  /** As it was opened first. */
  readonly opened: Terms & Pick<Settings, "restricted">;
  available: bigint;
  reserved: bigint;
  spent: bigint;
  readonly reservations: Map<string, Reservation>;
  readonly journal: Event[];
  readonly alerts: Alert[];
  /** The thresholds that have been alerted in their windows. */
  readonly alerted: Set<string>;
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

/** A command with its amount; what prices it, if it has usage. */
type PricedCommand = Command & { readonly priced?: Cost };

/** What a granted command does. */
interface Change {
  readonly event: string;
  readonly amount: bigint | null;
  readonly available?: bigint;
  readonly reserved?: bigint;
  readonly spent?: bigint;
  readonly settings?: Partial<Settings>;
  readonly reservation?: Reservation;
  readonly details?: Json;
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
export function emptyWallet(wallet_id: string, terms: Terms, restricted = false): Wallet {
  return {
    wallet_id,
    opened: { ...terms, restricted },
    terms,
    restricted,
    available: 0n,
    reserved: 0n,
    spent: 0n,
    frozen: false,
    closed: false,
    grants: new Map(),
    keys: new Map(),
    limits: new Map(),
    low_balances: [],
    reservations: new Map(),
    journal: [],
    alerts: [],
    alerted: new Set(),
  };
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
  caller: Caller = AS_OPERATOR,
  prices: Catalogue = [],
): { readonly wallet: Wallet; readonly receipts: readonly Receipt[]; readonly expired: number } {
  const wallet = copy(before);
  const access = accessOf(before, caller, clock);
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
      const request = { reservation_id, expires_at, actor: access.actor };
      write(wallet, { at, ahead }, { ...change, reservation }, request);
      at += 1n;
      expired += 1;
    }
  };
  const executeOne = (command: Command): Receipt => {
    expire();
    const refused = command.misread ?? findInvalid(command);
    if (refused) return { ...refused, command };
    // As in the SQL: by what is known before the call.
    const own = isOwn(before, access, command);
    if (isForAgents(command) && !access.allowed && !own) {
      return { ...notFound(wallet.wallet_id), command };
    }
    const event = findUse(wallet, command.idempotency_key);
    if (event && isForAgents(command) && !maySee(wallet, access, event)) {
      return { ...SECRET_KEY, command };
    }
    const pricing = pricingOf(wallet, command, clock, access);
    if (pricing && isBadUsage(command.usage, pricing.model)) {
      return { ...invalid("usage"), command };
    }
    if (event?.command) {
      const difference = findDifference(event.command, command);
      return difference ? { ...difference, command } : { event, replayed: true };
    }
    const moment = { at, ahead };
    const priced = pricing ? price(prices, command, pricing) : command;
    if ("refused" in priced) return { ...priced, command };
    const change = isChange(command.op)
      ? decideSettings(wallet, command as Command & { op: ChangeOp }, moment, clock)
      : decide(wallet, priced, moment, access);
    const refusal = "refused" in change ? change : checkRange(wallet, priced, change);
    if (refusal) return { ...refusal, command };
    const written = write(wallet, moment, change as Change, {
      ...command,
      details: null,
      actor: access.actor,
      command,
    });
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

/**
 * What prices the usage of a command: the model and the instant of its reservation, if it settles one.
 * Undefined if nothing is to be priced: what settles a reservation that is not there, or not the
 * caller's, is refused for that.
 */
function pricingOf(
  wallet: Wallet,
  { op, usage, reservation_id }: Command,
  clock: Time,
  access: Access,
): Pricing | undefined {
  if (usage === null) return undefined;
  const { unit, scale } = wallet.terms;
  const its = { model: null, variant: "standard", at: clock, unit, scale };
  const r = op === "settle" ? wallet.reservations.get(reservation_id ?? "") : undefined;
  if (op !== "settle") return its;
  if (!r) return (usage as { readonly model?: Json }).model === undefined ? undefined : its;
  if (!isHis(access, r)) return undefined;
  const { instant, priced } = r.opened;
  return { ...its, at: instant, ...priced, known: priced?.by };
}

/** A command with the cost of its usage as its amount. */
function price(prices: Catalogue, command: Command, pricing: Pricing): PricedCommand | Refusal {
  const priced = priceOf(prices, command.usage, pricing);
  if ("refused" in priced) return priced;
  const { at_least } = command;
  if (at_least !== null && at_least > priced.cost) return invalid("at_least");
  return { ...command, amount: priced.cost, priced };
}

/** The number of the last event. */
export function seqOf({ journal }: Wallet): bigint {
  return BigInt(journal.length);
}

/** The reservations that are open on record, also those that are due. */
export function openReservationsOf({ reservations }: Wallet): Reservation[] {
  return [...reservations.values()].filter(({ status }) => status === "open");
}

/** Whether a command is for agents; what is for operators only is not asked for access. */
function isForAgents({ op }: Command): boolean {
  return AGENT_OPS.includes(op);
}

/** Whether a call is refused as a whole, as the wallet is not open to the caller. */
export function isForbidden(
  wallet: Wallet,
  commands: readonly Command[],
  caller: Caller,
  clock: Time,
): boolean {
  const access = accessOf(wallet, caller, clock);
  const isRefused = (c: Command) =>
    (c.misread ?? findInvalid(c)) !== undefined || (isForAgents(c) && !isOwn(wallet, access, c));
  // Operators' commands alone are not asked for access.
  const asks = commands.length === 0 || !commands.every(isForOperators);
  return !access.allowed && asks && commands.every(isRefused);
}

/** Whether it is a command of operators, even an impossible one; what no batch knows is nobody's. */
function isForOperators(command: Command): boolean {
  const unknown = command.op === null || command.misread?.refused === "LGUNK";
  return !isForAgents(command) && !unknown;
}

function copy(wallet: Wallet): Wallet {
  const { reservations, journal, alerts, alerted } = wallet;
  return {
    ...wallet,
    reservations: new Map(reservations),
    journal: [...journal],
    alerts: [...alerts],
    alerted: new Set(alerted),
  };
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
  const before = { ...wallet };
  wallet.available += available;
  wallet.reserved += reserved;
  wallet.spent += spent;
  Object.assign(wallet, change.settings);
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
    actor: request.actor ?? "",
    details: change.details ?? null,
    metadata: request.metadata ?? {},
    ...(request.command && { command: request.command }),
    frozen: wallet.frozen,
    open: openReservationsOf(wallet),
  };
  wallet.journal.push(event);
  wallet.alerts.push(...alertsOf(wallet, before, event));
  return event;
}

function decideSettings(
  wallet: Wallet,
  command: Command & { readonly op: ChangeOp },
  { at, ahead }: Moment,
  clock: Time,
): Change | Refusal {
  const occasion = { clock, instant: at - ahead, seq: seqOf(wallet) + 1n };
  const settings = decideChange(wallet, command, occasion);
  if ("refused" in settings) return settings;
  const { name, ...details } = command.details ?? {};
  return { event: command.op, amount: null, settings, details };
}

/** Whether the rules grant a command, and what it moves. */
function decide(
  wallet: Wallet,
  command: PricedCommand,
  moment: Moment,
  access: Access,
): Change | Refusal {
  const { at, ahead } = moment;
  const { available, frozen, closed } = wallet;
  const { op } = command;
  const id = command.reservation_id ?? "";
  const found = wallet.reservations.get(id);
  const opens = op === "reserve" || op === "charge";
  const r = found && (opens || !isForAgents(command) || isHis(access, found)) ? found : undefined;
  const a = command.amount ?? 0n;
  const frozenNow: Refusal = { refused: "LGFRZ", detail: { wallet_id: wallet.wallet_id } };

  switch (op) {
    case "reserve":
    case "charge": {
      if (r) return { refused: "LGRID", detail: { reservation_id: id } };
      return open(wallet, command, moment, access);
    }
    case "settle":
      if (r?.status !== "open" && r?.status !== "expired") return ended(id, r);
      return settle(wallet, r, command, at);
    case "cancel": {
      if (r?.status !== "open") return ended(id, r);
      const reservation = end(wallet, r, "cancelled", at);
      const moves = { available: r.held, reserved: -r.held };
      return { event: "cancelled", amount: r.held, ...moves, reservation };
    }
    case "extend": {
      if (r?.status !== "open") return ended(id, r);
      const more = command.amount === null ? 0n : a - r.held;
      if (more > 0n && closed) return closedNow(wallet);
      if (more > 0n && frozen) return frozenNow;
      const refused = more > 0n && findObstacle(wallet, r.opened.labels, more, at - ahead);
      if (refused) return refused;
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
    case "transfer_in":
      if (closed) return closedNow(wallet);
      return { event: op === "credit" ? "credited" : "transferred_in", amount: a, available: a };
    case "withdraw":
    case "transfer_out": {
      if (frozen) return frozenNow;
      if (available < a) return insufficient(wallet, a).refusal;
      const event = op === "withdraw" ? "withdrawn" : "transferred_out";
      return { event, amount: a, available: -a };
    }
    case "freeze":
      return { event: "frozen", amount: null, settings: { frozen: true } };
    case "unfreeze":
      return { event: "unfrozen", amount: null, settings: { frozen: false } };
    case "open":
      return {
        event: "opened",
        amount: null,
        details: wallet.opened.restricted ? { restricted: true } : null,
      };
    default:
      throw new Error(`The model does not know ${op}.`);
  }
}

/** Reserves, or charges. */
function open(
  wallet: Wallet,
  command: PricedCommand,
  { at, ahead }: Moment,
  access: Access,
): Change | Refusal {
  const { available, frozen, closed } = wallet;
  const { op, metadata, already_spent } = command;
  const instant = at - ahead;
  const a = command.amount ?? 0n;
  const own = labelsOf(access, metadata);
  const { priced } = command;
  const labels = priced ? { ...own, model: priced.model } : own;
  if (closed && !already_spent) return closedNow(wallet);
  if (frozen && !already_spent) {
    return { refused: "LGFRZ", detail: { wallet_id: wallet.wallet_id } };
  }
  const least = command.at_least ?? a;
  const tokens = priced ? tokensOf(command.usage) : 0n;
  const calls = { calls: 1n, open: op === "reserve" ? 1n : 0n, tokens };
  const refused = already_spent
    ? findOverdraft(wallet, a, -a)
    : findObstacle(wallet, labels, least, instant, calls);
  if (refused) return refused;
  const left = already_spent ? null : leftOf(wallet, labels, instant);
  const amount = [available, left ?? a].reduce((x, y) => (y < x ? y : x), a);
  const granted = already_spent || a === 0n ? a : amount;
  const made: Reservation = {
    reservation_id: command.reservation_id ?? "",
    opened: { actor: access.actor, at, instant, metadata, labels, priced: namesOf(command) },
    status: "open",
    amount: granted,
    held: granted,
    settled: 0n,
    used: 0n,
    refunded: 0n,
    expires_at: instant + (command.ttl ?? 0n),
    ended_at: 0n,
    ended_seq: 0n,
    late: false,
  };
  const extra = {
    ...(already_spent && { already_spent }),
    ...(!isDeepStrictEqual(own, metadata) && { labels: own }),
    ...priceDetails(command),
  };
  const details = Object.keys(extra).length > 0 ? extra : null;
  if (op === "reserve") {
    const moves = { available: -granted, reserved: granted };
    return { event: "reserved", amount: granted, ...moves, reservation: made, details };
  }
  const spent = { settled: a, used: a, expires_at: null };
  const charged = { ...end(wallet, made, "settled", at), ...spent };
  return { event: "charged", amount: a, available: -a, spent: a, reservation: charged, details };
}

/** What the details of an event say of its price; the model only where the usage names an alias. */
function priceDetails({ usage, priced }: PricedCommand) {
  if (!priced) return {};
  const { model = priced.model } = usage as { readonly model?: string };
  const alias = model !== priced.model && { model: priced.model };
  return { usage, price: priced.price.price_id, ...alias };
}

/** What a settlement need not name again. */
function namesOf({ usage, priced }: PricedCommand): Reservation["opened"]["priced"] {
  if (!priced) return null;
  const { variant = "standard" } = usage as { readonly variant?: string };
  return { model: priced.model, variant, by: priced.price.price_id };
}

/** Why a command that takes so much from available is not granted: funds, or a limit. */
function findObstacle(
  wallet: Wallet,
  labels: Labels,
  amount: bigint,
  instant: Time,
  calls = { calls: 0n, open: 0n, tokens: 0n },
): Refusal | undefined {
  const deadline = nextDeadline(wallet);
  const obstacles = limitObstacles(wallet, { labels, amount, ...calls }, instant, deadline);
  // What costs nothing needs no funds, not even where they are overdrawn.
  const short = amount > 0n && wallet.available < amount ? [insufficient(wallet, amount)] : [];
  return lastToClear([...short, ...obstacles]);
}

/** Books what was spent in full: from the hold first, then from available. */
function settle(
  wallet: Wallet,
  r: Reservation,
  command: PricedCommand,
  at: Time,
): Change | Refusal {
  const a = command.amount ?? 0n;
  const final = command.final ?? true;
  // As in the SQL: the total that an open reservation has settled is kept in 64 bits.
  if (r.status === "open" && r.settled + a > MAX) return outOfRange(wallet, a);
  const used = a < r.held ? a : r.held;
  const released = final ? r.held - used : 0n;
  const available = released + used - a;
  const overdrawn = findOverdraft(wallet, a, available);
  if (overdrawn) return overdrawn;
  const late = r.late || r.status === "expired";
  const rest = { ...r, late, settled: r.settled + a, used: r.used + used, held: r.held - used };
  // A late partial settlement leaves the reservation expired, so that more can be booked.
  const last = { ended_at: at, ended_seq: seqOf(wallet) + 1n };
  const reservation = final
    ? end(wallet, rest, "settled", at)
    : { ...rest, ...(r.status === "expired" && last) };
  const moves = { available, reserved: -used - released, spent: a };
  const details = command.priced ? priceDetails(command) : null;
  return { event: "settled", amount: a, ...moves, reservation, details };
}

/** Whether what is spent takes available below the overdraft limit. */
function findOverdraft(wallet: Wallet, requested: bigint, change: bigint): Refusal | undefined {
  const { available } = wallet;
  const { overdraft_limit } = wallet.terms;
  const would_be = available + change;
  if (overdraft_limit === null || change >= 0n || would_be >= -overdraft_limit) return undefined;
  return { refused: "LGOVD", detail: { requested, available, would_be, overdraft_limit } };
}

function insufficient(wallet: Wallet, requested: bigint): Obstacle & { readonly refusal: Refusal } {
  const { available, reserved } = wallet;
  const held = available + reserved >= requested;
  const shortfall = requested - available;
  const retry_at = held ? nextDeadline(wallet) : null;
  const why = { reason: held ? "held" : "exhausted", retry_at };
  const detail = { requested, available, reserved, shortfall, ...why };
  return { refusal: { refused: "LGNSF", detail }, clears_at: retry_at };
}

function nextDeadline(wallet: Wallet): Time | null {
  return openReservationsOf(wallet).sort(byDeadline)[0]?.expires_at ?? null;
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
