// The model of a database: its wallets, the functions that concern several of them, and what can be
// read of them. Part of the model: see model.ts.
import { isDeepStrictEqual } from "node:util";
import type { Json } from "../../src/json/index.ts";
import {
  AS_OPERATOR,
  accessOf,
  type Caller,
  hasOpened,
  isOperator,
  isOwn,
  notFound,
  type Session,
} from "./model/access.ts";
import { CHANGES, type ChangeFunction, changeOf, findInvalidChange } from "./model/changes.ts";
import { type Catalogue, type Price, setPrice } from "./model/prices.ts";
import {
  asOf,
  emptyWallet,
  execute,
  isForbidden,
  openReservationsOf,
  type Receipt,
  type Reservation,
  seqOf,
  type Terms,
  type Wallet,
} from "./model.ts";
import {
  AGENT_OPS,
  type Arguments,
  type Command,
  commandOf,
  FUNDS_OPS,
  findInvalid,
  invalid,
  isId,
  isName,
  type Op,
  parseCommand,
  type Refusal,
  type Time,
} from "./requests.ts";

/** The clock slack in the proof's database: see proof.sql. */
export const PROOF_SLACK = 12n * 3_600_000_000n;

/** A wallet that another session keeps locked: it is not in the model, as nothing happens in it. */
export const BUSY = "busy";

/** The model of a database: its wallets by their ids, and one catalogue for all of them. */
export interface Ledger extends Map<string, Wallet> {
  prices: Catalogue;
}

/** A ledger with nothing in it, or with what another one has. */
export function createLedger(from?: Ledger): Ledger {
  return Object.assign(new Map(from), { prices: from?.prices ?? [] });
}

/** When the execution of commands to a wallet begins, by the database's clock. */
export type Clock = (walletId: string) => Time;

/** The answer to a call: receipts, or one refusal of the whole call. */
export type Answer = readonly Receipt[] | Refusal;

/** The answer to a call that sets prices: rows of the catalogue. */
export type Rows = { readonly rows: readonly Price[] } | Refusal;

/** How a call is made. */
export interface Occasion {
  readonly clock: Clock;
  /** When it is executed; keys expire by it, and reads count deadlines by it. */
  readonly now: Time;
  readonly session: Session;
  /** The id of a new key, which the database chooses at random. */
  readonly key_id: string;
}

/** A call by an operator. */
export function byOperator(clock: Clock): Occasion {
  return { clock, now: clock(""), session: AS_OPERATOR, key_id: "" };
}

/** What a call is made with, once the session's key was looked up. */
interface Context extends Pick<Occasion, "clock" | "key_id" | "now"> {
  readonly caller: Caller;
}

const OP_OF: Readonly<Record<string, Op>> = {
  freeze_wallet: "freeze",
  unfreeze_wallet: "unfreeze",
};

/** What agents may call. */
const FOR_AGENTS: readonly string[] = [...AGENT_OPS, "post", "post_many"];

/** Calls a function by its name in SQL; it changes `ledger`. */
export function call(ledger: Ledger, name: string, args: Arguments, occasion: Occasion): Answer {
  const { clock, session, now, key_id } = occasion;
  const walletId = (args.wallet_id ?? null) as string | null;
  const context = { clock, now, key_id, caller: toCaller(ledger, session) };
  if (!FOR_AGENTS.includes(name) && !isOperator(session)) return denied(name);
  switch (name) {
    case "open_wallet":
      return open(ledger, walletId, args, context);
    case "transfer":
      return transfer(ledger, args, context);
    case "post":
      return post(ledger, walletId, args.commands ?? null, AGENT_OPS, context);
    case "post_funds":
      return post(ledger, walletId, args.commands ?? null, FUNDS_OPS, context);
    case "post_many":
      return postMany(ledger, args.commands ?? null, context);
    default: {
      if (name in CHANGES) return change(ledger, name as ChangeFunction, args, context);
      const command = commandOf(OP_OF[name] ?? (name as Op), args);
      return single(ledger, walletId, command, context);
    }
  }
}

/** Sets a price, or several: all of them or none. */
export function callPrices(
  ledger: Ledger,
  name: "set_price" | "set_prices",
  args: Arguments,
  { clock, session }: Occasion,
): Rows {
  if (!isOperator(session)) return denied(name);
  const { source = null } = args;
  const its = { source: source as string | null, before: BigInt(ledger.prices.length) };
  const setting = { ...its, clock: clock(""), actor: accessActor(session) };
  const list = name === "set_price" ? [args] : (args.prices as readonly Arguments[]);
  const rows: Price[] = [];
  let { prices } = ledger;
  for (const [i, each] of list.entries()) {
    const set = setPrice(prices, each, setting);
    if ("refused" in set) {
      const place = name === "set_price" ? {} : { place: i + 1 };
      return { ...set, detail: { ...set.detail, ...place } };
    }
    if (set.prices !== prices || name === "set_price") rows.push(set.row);
    prices = set.prices;
  }
  ledger.prices = prices;
  return { rows };
}

/** Who sets a price, as rows record it. */
function accessActor({ login, role }: Session): string {
  return role !== null && role !== login ? `${login} as ${role}` : login;
}

/** The refusal of PostgreSQL. */
export function denied(name: string): Refusal {
  return { refused: "42501", detail: `permission denied for function ${name}` as never };
}

/** Looks up the key of a session. */
export function toCaller(ledger: Ledger, session: Session): Caller {
  const { login, role, key } = session;
  if (key === null || key === "wrong") return { login, role, key };
  const keys = [...(ledger.get(key.wallet_id)?.keys.values() ?? [])];
  const its = keys.findLast(({ name }) => name === key.name);
  return { login, role, key: its ? { wallet_id: key.wallet_id, key_id: its.key_id } : null };
}

/** As in the SQL: which of several invalid arguments comes first is not in the contract. */
const FIRST_BY_ITSELF: readonly string[] = ["allow", "create_key", "set_overdraft_limit"];

/** A change of who may use a wallet, and how. */
function change(
  ledger: Ledger,
  name: ChangeFunction,
  args: Arguments,
  context: Context,
): readonly [Receipt] | Refusal {
  const walletId = (args.wallet_id ?? null) as string | null;
  const field = findInvalidChange(name, args);
  if (!isId(walletId) && !(field !== null && FIRST_BY_ITSELF.includes(name))) {
    return invalid("wallet_id");
  }
  if (field !== null) return invalid(field);
  const command = changeOf(name, args);
  const { keys } = ledger.get(walletId ?? "") ?? {};
  const named = [...(keys?.values() ?? [])].findLast((key) => key.name === args.key);
  const details = {
    ...command.details,
    ...(name === "revoke_key" && { key_id: named?.key_id ?? "" }),
    ...(name === "create_key" && { key_id: context.key_id, name: args.key ?? null }),
  };
  return single(ledger, walletId, { ...command, details }, context);
}

/**
 * Sweeps what is due by the clock, the earliest first, and returns how many have expired. What is due
 * by a wallet's last event only, which counts as the clock, expires if the sweep comes by: it may
 * still know an earlier deadline of that wallet. `comesBy` says whether it has.
 */
export function sweep(
  ledger: Ledger,
  limit: number,
  now: Time,
  clock: Clock,
  comesBy: (walletId: string) => boolean,
): number | Refusal {
  if (limit < 1 || limit > 100_000) return invalid("limit");
  const deadlines = (wallet: Wallet) =>
    openReservationsOf(wallet).map(({ expires_at }) => expires_at ?? 0n);
  const due = [...ledger.values()].flatMap((wallet) => {
    const deadline = deadlines(wallet).sort(compare)[0];
    const next = (wallet.journal.at(-1)?.occurred_at ?? 0n) + 1n;
    const until = comesBy(wallet.wallet_id) ? asOf(now, next, PROOF_SLACK) : now;
    return deadline !== undefined && deadline <= until ? [{ wallet, deadline }] : [];
  });
  due.sort(
    (a, b) => compare(a.deadline, b.deadline) || (a.wallet.wallet_id < b.wallet.wallet_id ? -1 : 1),
  );
  let total = 0;
  for (const { wallet } of due) {
    if (total === limit) break;
    const at = clock(wallet.wallet_id);
    const swept = execute(wallet, [], at, limit - total, PROOF_SLACK);
    ledger.set(wallet.wallet_id, swept.wallet);
    total += swept.expired;
  }
  return total;
}

/**
 * The balances at a time: after the events dated until then, with what was past its deadline then
 * counted as returned. Deadlines count by that time, but no later than by the clock at which the next
 * event was written, or than by `now`.
 */
export function balanceAt(wallet: Wallet, at: Time, now: Time) {
  const seq = wallet.journal.findLastIndex(({ occurred_at }) => occurred_at <= at) + 1;
  const next = wallet.journal[seq]?.instant ?? now;
  const as_of = [next, now].reduce((least, each) => (each < least ? each : least), at);
  return { ...balanceAfter(wallet, seq, as_of), as_of };
}

/** The balances after so many events; what is past its deadline at an instant counts as returned. */
export function balanceAfter(wallet: Wallet, seq: number, at: Time) {
  const last = wallet.journal[seq - 1];
  const due = (last?.open ?? []).filter(({ expires_at }) => (expires_at ?? 0n) <= at);
  const back = due.reduce((sum, { held }) => sum + held, 0n);
  return {
    wallet_id: wallet.wallet_id,
    ...wallet.terms,
    available: (last?.available ?? 0n) + back,
    reserved: (last?.reserved ?? 0n) - back,
    spent: last?.spent ?? 0n,
    frozen: last?.frozen ?? false,
    seq: BigInt(seq),
  };
}

/** The reservations that are open at an instant, or on record (null), in the order of their ids. */
export function openReservations(wallet: Wallet, at: Time | null) {
  return openReservationsOf(wallet)
    .filter(({ expires_at }) => at === null || (expires_at ?? 0n) > at)
    .map(({ reservation_id, amount, settled, held, expires_at }: Reservation) => {
      return { wallet_id: wallet.wallet_id, reservation_id, amount, settled, held, expires_at };
    })
    .sort((a, b) => (a.reservation_id < b.reservation_id ? -1 : 1));
}

/** What the view reservation_history must show of a wallet, in the order of the ids. */
export function reservationHistory({ wallet_id, reservations }: Wallet) {
  return [...reservations.values()]
    .map(({ reservation_id, status, amount, settled, used, refunded }) => {
      const released = status === "open" ? 0n : amount - used;
      return { wallet_id, reservation_id, amount, settled, used, released, refunded };
    })
    .sort((a, b) => (a.reservation_id < b.reservation_id ? -1 : 1));
}

/** Dates the last event of a wallet ahead, as if the clock had been ahead. */
export function dateLast(wallet: Wallet, at: Time): Wallet {
  const last = wallet.journal.at(-1);
  if (!last) return wallet;
  const ended = ({ ended_seq }: Reservation) => ended_seq === last.seq;
  const reservations = new Map(
    [...wallet.reservations].map(([id, r]) => [id, ended(r) ? { ...r, ended_at: at } : r]),
  );
  const journal = [...wallet.journal.slice(0, -1), { ...last, occurred_at: at, instant: at }];
  return { ...wallet, journal, reservations };
}

function compare(a: Time, b: Time): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** A wallet by its id, or why there is none. */
export function find(ledger: Ledger, walletId: string | null): Wallet | Refusal {
  if (!isId(walletId)) return invalid("wallet_id");
  const wallet = ledger.get(walletId ?? "");
  return wallet ?? notFound(walletId);
}

function single(
  ledger: Ledger,
  walletId: string | null,
  command: Command,
  context: Context,
): readonly [Receipt] | Refusal {
  const wallet = find(ledger, walletId);
  if ("refused" in wallet) return wallet;
  const executed = executeIn(ledger, wallet, [command], context);
  if (!executed) return notFound(walletId);
  const receipt = executed.receipts[0] as Receipt;
  if ("refused" in receipt) return receipt;
  ledger.set(wallet.wallet_id, executed.wallet);
  return [receipt];
}

function post(
  ledger: Ledger,
  walletId: string | null,
  commands: Arguments[string],
  ops: readonly Op[],
  context: Context,
): Answer {
  if (!areCommands(commands)) return invalid("commands");
  const wallet = find(ledger, walletId);
  if ("refused" in wallet) return wallet;
  const parsed = commands.map((given) => parseCommand(given, ops));
  const executed = executeIn(ledger, wallet, parsed, context);
  if (!executed) return notFound(walletId);
  ledger.set(wallet.wallet_id, executed.wallet);
  return executed.receipts;
}

/** Executes commands, unless the wallet is not open to the caller. */
function executeIn(
  { prices }: Ledger,
  wallet: Wallet,
  commands: readonly Command[],
  { clock, caller }: Context,
) {
  const at = clock(wallet.wallet_id);
  if (isForbidden(wallet, commands, caller, at)) return undefined;
  if (commands.length === 0) return { wallet, receipts: [] };
  return execute(wallet, commands, at, undefined, PROOF_SLACK, caller, prices);
}

function areCommands(commands: Arguments[string]): commands is Json & readonly Arguments[] {
  const isObject = (e: unknown) => typeof e === "object" && e !== null && !Array.isArray(e);
  return Array.isArray(commands) && commands.length <= 10_000 && commands.every(isObject);
}

/** Executes the commands of each wallet by themselves. */
function postMany(ledger: Ledger, commands: Arguments[string], context: Context): Answer {
  if (!areCommands(commands)) return invalid("commands");
  const receipts: Receipt[] = [];
  const places = Map.groupBy(commands.keys(), (place) => commands[place]?.wallet_id ?? null);
  for (const [walletId, its] of places) {
    const parsed = its.map((place) => parseCommand(commands[place] ?? {}, AGENT_OPS, true));
    const id = typeof walletId === "string" ? walletId : null;
    const answers = postOneOfMany(ledger, id, parsed, context);
    for (const [i, place] of its.entries()) receipts[place] = answers[i] as Receipt;
  }
  return receipts;
}

function postOneOfMany(
  ledger: Ledger,
  walletId: string | null,
  commands: readonly Command[],
  context: Context,
): readonly Receipt[] {
  const busy: Refusal = { refused: "LGBSY", detail: { wallet_id: walletId } };
  const wallet = walletId === BUSY ? busy : find(ledger, walletId);
  const refuse = (refusal: (command: Command) => Refusal) =>
    commands.map((command) => {
      return { ...(command.misread ?? findInvalid(command) ?? refusal(command)), command };
    });
  if ("refused" in wallet) return refuse(() => wallet);
  const { clock, caller } = context;
  const access = accessOf(wallet, caller, clock(wallet.wallet_id));
  if (!access.allowed) {
    // As in the SQL: what is his, post carries out, as for a wallet that is busy.
    return refuse((command) => {
      const own = hasOpened(wallet, access, command.reservation_id);
      return own || isOwn(wallet, access, command) ? busy : notFound(walletId);
    });
  }
  const executed = execute(
    wallet,
    commands,
    clock(wallet.wallet_id),
    undefined,
    PROOF_SLACK,
    caller,
    ledger.prices,
  );
  ledger.set(wallet.wallet_id, executed.wallet);
  return executed.receipts;
}

function open(ledger: Ledger, walletId: string | null, args: Arguments, context: Context): Answer {
  const { unit = "USD", scale = 9, overdraft_limit: limit = null } = args;
  if (!isId(walletId)) return invalid("wallet_id");
  if (!isId(unit as string | null)) return invalid("unit");
  if (scale === null || Number(scale) < 0 || Number(scale) > 18) return invalid("scale");
  if (limit !== null && BigInt(limit as bigint) < 0n) return invalid("overdraft_limit");
  const command = commandOf("open", { metadata: args.metadata });
  const refusal = findInvalid(command);
  if (refusal) return refusal;

  const terms: Terms = {
    unit: unit as string,
    scale: Number(scale),
    overdraft_limit: limit === null ? null : BigInt(limit as bigint),
  };
  const id = walletId as string;
  const restricted = args.restricted === true;
  const known = ledger.get(id);
  if (!known) {
    if (!isName(id)) return invalid("wallet_id");
    if (!isName(terms.unit)) return invalid("unit");
    const empty = emptyWallet(id, terms, restricted);
    const { clock, caller } = context;
    const opened = execute(empty, [command], clock(id), undefined, PROOF_SLACK, caller);
    ledger.set(id, opened.wallet);
    return opened.receipts;
  }
  const given = { ...terms, restricted };
  const [was, is] = [known.opened, given] as unknown as Record<string, bigint>[];
  const field = ["unit", "scale", "overdraft_limit", "restricted"].find(
    (f) => !isDeepStrictEqual(was?.[f], is?.[f]),
  );
  const event = known.journal[0];
  if (field === undefined && event) return [{ event, replayed: true }];
  const stored = was?.[field ?? ""] ?? null;
  return {
    refused: "LGIDK",
    detail: { field: field ?? "", stored, given: is?.[field ?? ""] ?? null },
  };
}

function transfer(ledger: Ledger, args: Arguments, context: Context): Answer {
  const [from, to] = [args.from ?? null, args.to ?? null] as (string | null)[];
  if (!isId(from ?? null)) return invalid("from");
  if (!isId(to ?? null)) return invalid("to");
  for (const id of [from, to].sort()) {
    const wallet = find(ledger, id ?? null);
    if ("refused" in wallet) return wallet;
  }
  const terms = [from, to].map((id) => ledger.get(id ?? "")?.terms);
  const [a, b] = terms;
  if (from === to || a?.unit !== b?.unit || a?.scale !== b?.scale) return invalid("to");

  const trial = createLedger(ledger);
  const { from: _, to: __, ...rest } = args;
  const out = single(
    trial,
    from ?? null,
    commandOf("transfer_out", { ...rest, to: to ?? null }),
    context,
  );
  if ("refused" in out || ("replayed" in out[0] && out[0].replayed)) return out;
  const command = { ...commandOf("transfer_in", rest), idempotency_key: null };
  const arrived = single(trial, to ?? null, command, context);
  if ("refused" in arrived) return arrived;
  for (const [id, wallet] of trial) ledger.set(id, wallet);
  return out;
}

/** How many events a wallet has. */
export function lengthOf(ledger: Ledger, walletId: string): bigint {
  const wallet = ledger.get(walletId);
  return wallet ? seqOf(wallet) : 0n;
}
