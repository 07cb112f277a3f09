// Executes a step in the model, and finds the first difference to what the database returned for it.
import { isDeepStrictEqual } from "node:util";
import { type Json, stringifyJson } from "../../../src/json/index.ts";
import { findBroken } from "../invariants.ts";
import {
  balanceAfter,
  balanceAt,
  type Clock,
  call,
  callPrices,
  createLedger,
  dateLast,
  denied,
  find,
  type Ledger,
  lengthOf,
  openReservations,
  PROOF_SLACK,
  reservationHistory,
  sweep,
  toCaller,
} from "../ledger.ts";
import { AS_OPERATOR, isOperator, type Session } from "../model/access.ts";
import { limitRows, sortedLimits } from "../model/limits.ts";
import { affordable, listPrices, quote } from "../model/prices.ts";
import {
  type Reading,
  readFrom,
  readLimits,
  readReceipt,
  readReservation,
} from "../model/reads.ts";
import { windowAt } from "../model/windows.ts";
import {
  asOf,
  type Event,
  openReservationsOf,
  type Receipt,
  SLACK,
  seqOf,
  type Wallet,
} from "../model.ts";
import { plain } from "../plain.ts";
import { type Arguments, invalid, type Time } from "../requests.ts";

/** Something to do in the ledger. */
export interface Step {
  readonly call: string;
  readonly args: Arguments;
  /** Who does it, if not an operator. */
  readonly as?: Session;
  /** What to read afterwards: the balances, now and at one of the times in the wallet's journal. */
  readonly look: Look | null;
}

/** The `index`th of the times in a wallet's journal, shifted by some microseconds. */
interface Look {
  readonly wallet_id: string;
  readonly index: number;
  readonly shift: number;
}

/** What the database returned for a step, in plain form: see proof.step in proof.sql. */
export interface StepResult {
  readonly answer: Json;
  readonly rows: { readonly wallets: readonly Row[] | null; readonly reservations: Json };
  /** A digest of the rows of the wallet that another session has locked. */
  readonly busy: string;
  readonly looked: Looked | null;
  /** The step was executed between these times. */
  readonly from: Time;
  readonly until: Time;
  /** The wallets had been read by then. */
  readonly seen: Time;
}

interface Row {
  readonly wallet_id: string;
  readonly seq: bigint;
  readonly last_event_at: Time;
  readonly last_instant: Time;
}

interface Looked {
  readonly wallets: Json;
  readonly open: Json;
  readonly now: { readonly as_of: Time };
  readonly past: { readonly as_of: Time };
  /** The instant of `past`. */
  readonly at: Time;
  /** When the views counted deadlines: the beginning of the statement. */
  readonly statement: Time;
}

/** The first difference between the database and the model. */
export interface Difference {
  /** All steps up to it. */
  readonly steps: readonly Step[];
  readonly what: string;
  readonly found: Json;
  readonly expected: Json;
}

type Found = Omit<Difference, "steps">;

/** What stays the same in a round trip. */
export interface Constants {
  /** See {@link StepResult.busy}. */
  readonly busy: string;
}

/** Executes a step in the model, and finds where the database's result differs. */
export function compareStep(
  ledger: Ledger,
  step: Step,
  result: StepResult,
  { busy }: Constants,
): Found | undefined {
  const expected = answerWithin(ledger, step, result);
  return (
    compare("the answer", comparable(step, result), expected) ??
    compare("the rows", result.rows, rows(ledger)) ??
    compare("the locked wallet", result.busy, busy) ??
    (result.looked && step.look
      ? compare("what can be read", result.looked, look(ledger, step.look, result))
      : undefined) ??
    checkLedger(ledger)
  );
}

/** What the database returned after a sequence: see proof.journals in proof.sql. */
export interface Journals {
  readonly journals: Json;
  /** Without the events that they were written with. */
  readonly alerts: Json;
  /** What operators see of each wallet's limits, between `from` and `until`. */
  readonly limits: Readonly<Record<string, Json>> | null;
  readonly from: Time;
  readonly until: Time;
  /** The findings of `verify`. */
  readonly verify: Json;
  /** The reservation history; null if it was not read. */
  readonly history: Json;
}

/** Compares the journals and the history of reservations with the model; `verify` finds nothing. */
export function compareJournals(ledger: Ledger, result: Journals): Found | undefined {
  const events = byId(ledger).flatMap(({ wallet_id, journal }) =>
    journal.map(({ frozen, open, command, instant, ...event }) => ({ wallet_id, ...event })),
  );
  return (
    compare("the journals", result.journals, events) ??
    compare("the alerts", sorted(result.alerts), sorted(plain(alertsIn(ledger)))) ??
    compareLimits(ledger, result) ??
    compare("verify", result.verify, null) ??
    (result.history === null
      ? undefined
      : compare("the history", result.history, byId(ledger).flatMap(reservationHistory)))
  );
}

function alertsIn(ledger: Ledger) {
  return byId(ledger).flatMap(({ wallet_id, alerts }) =>
    alerts.map((alert) => ({ wallet_id, ...alert })),
  );
}

/** A list in an order of its own. */
function sorted(list: Json): Json {
  const texts = new Map((list as Json[]).map((each) => [stringifyJson(inOrder(each)), each]));
  const names = (list as Json[]).map((each) => stringifyJson(inOrder(each))).sort();
  return names.map((name) => texts.get(name) ?? null);
}

function inOrder(row: Json): Json {
  return Object.fromEntries(Object.entries(row as object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Unless a window ends, or a deadline passes, while they are read. */
function compareLimits(ledger: Ledger, { limits, from, until }: Journals): Found | undefined {
  for (const wallet of ledger.values()) {
    const [at, then] = [from, until].map((clock) => asOf(clock, lastOf(wallet), PROOF_SLACK));
    if (bordersOf(wallet, at ?? 0n).some((border) => border <= (then ?? 0n))) continue;
    const rows = sortedLimits(wallet).flatMap((each) => limitRows(wallet, each, at ?? 0n));
    const found = toLimitRows(limits?.[wallet.wallet_id] ?? []);
    const difference = compare(`the limits of ${wallet.wallet_id}`, found, rows);
    if (difference) return difference;
  }
  return undefined;
}

/** The next times at which something changes by itself: deadlines, and the ends of windows. */
export function bordersOf(wallet: Wallet, at: Time): Time[] {
  const deadlines = openReservationsOf(wallet).flatMap(({ expires_at }) => expires_at ?? []);
  const ends = [...wallet.limits.values()].flatMap(
    ({ per, time_zone }) => windowAt(per, time_zone, at).ends_at ?? [],
  );
  const keys = [...wallet.keys.values()].flatMap(({ expires_at }) => expires_at ?? []);
  return [...deadlines, ...ends, ...keys].filter((border) => border > at);
}

const LIMIT_FIELDS = [
  ...["limit_id", "per", "by", "of", "time_zone", "hard", "alert_at", "label_values", "amount"],
  ...["own_amount", "used", "held", "remaining", "starts_at", "ends_at"],
];

/** What `limits` returned, without counters that say nothing: it is open when they are cleared. */
function toLimitRows(answer: Json): Json {
  const rows = (answer as Record<string, Json>[]).map((row) =>
    Object.fromEntries(LIMIT_FIELDS.map((field) => [field, row[field] ?? null])),
  );
  const says = ({ label_values, used, held, own_amount }: Record<string, Json>) =>
    label_values !== null && (used !== 0n || held !== 0n || own_amount !== null);
  return [...Map.groupBy(rows, ({ limit_id }) => limit_id).values()].flatMap((its) => {
    const left = its.filter(says);
    const [first] = its;
    if (left.length > 0 || !first) return left;
    // The amount of the limit itself.
    const none = (first.by as Json[]).length === 0 ? [] : null;
    return [{ ...first, label_values: none }];
  });
}

/** Formats a difference for a person. */
export function formatDifference({ steps, what, found, expected }: Difference): string {
  const done = steps.map(({ call, args, as }, i) => {
    const who = as ? ` as ${stringifyJson(as as unknown as Json)}` : "";
    return `${i === steps.length - 1 ? "→" : " "} ${call} ${stringifyJson(args)}${who}`;
  });
  const looked = steps.at(-1)?.look;
  const least = narrow({ path: [], found, expected });
  return [
    ...done,
    `differs in ${[what, ...least.path].join(", ")}`,
    ...(looked ? [`  looked at:    ${stringifyJson({ ...looked })}`] : []),
    `  the database: ${stringifyJson(least.found)}`,
    `  the model:    ${stringifyJson(least.expected)}`,
  ].join("\n");
}

interface Differing {
  readonly path: readonly string[];
  readonly found: Json;
  readonly expected: Json;
}

/** The innermost field or item in which two values differ, as deep as both of them have it. */
function narrow({ path, found, expected }: Differing): Differing {
  const isGroup = (value: Json) => typeof value === "object" && value !== null;
  if (!isGroup(found) || !isGroup(expected)) return { path, found, expected };
  const [was, is] = [found, expected] as unknown as Record<string, Json>[];
  const names = Object.keys({ ...was, ...is });
  const name = names.find((each) => !isDeepStrictEqual(was?.[each], is?.[each])) ?? "";
  if (was?.[name] === undefined || is?.[name] === undefined) return { path, found, expected };
  return narrow({ path: [...path, name], found: was[name], expected: is[name] });
}

function compare(what: string, found: Json | StepResult["rows"] | Looked, value: unknown) {
  const expected = plain(value);
  if (isDeepStrictEqual(found, expected)) return undefined;
  return { what, found: found as Json, expected };
}

function checkLedger(ledger: Ledger): Found | undefined {
  for (const wallet of ledger.values()) {
    const [wrong] = findBroken(wallet, ledger.prices);
    if (wrong) return { what: "the invariants of the model", found: wrong, expected: null };
  }
  return undefined;
}

/**
 * The answer of the model. A refusal does not show when the clock was read for it: a deadline that
 * passed during the step may have passed before or after that.
 */
function answerWithin(ledger: Ledger, step: Step, result: StepResult): Json {
  const borders = [...ledger.values()].flatMap((wallet) => bordersOf(wallet, result.from));
  const passed = borders.filter((at) => at <= result.until);
  const agrees = (from: Time) =>
    isDeepStrictEqual(
      comparable(step, result),
      answer(createLedger(ledger), step, { ...result, from }),
    );
  return answer(ledger, step, {
    ...result,
    from: [result.from, ...passed].find(agrees) ?? result.from,
  });
}

function answer(ledger: Ledger, step: Step, result: StepResult): Json {
  const { call: name, args, as: session = AS_OPERATOR } = step;
  const clock = clockOf(ledger, result);
  if (FOR_WORKERS.includes(name) && !isOperator(session)) return plain(denied(name));
  switch (name) {
    case "expire_due":
      return plain(
        sweep(ledger, Number(args.limit), result.from, clock, hasWritten(ledger, result)),
      );
    case "wait":
    case "travel":
    case "go_to_border":
    case "clear_counters":
      return null;
    case "balance":
    case "reservation":
    case "receipt":
    case "limits":
      return plain(read(ledger, step, result));
    case "set_price":
    case "set_prices": {
      // The database says by its rows when they were added; a refusal does not.
      const at = (result.answer as readonly { added_at?: Time }[] | null)?.[0]?.added_at;
      const occasion = { clock: () => at ?? result.from, session, now: result.from, key_id: "" };
      const set = callPrices(ledger, name, args, occasion);
      return plain("refused" in set ? set : set.rows);
    }
    case "quote":
    case "quotes":
    case "affordable":
    case "list_prices":
      return plain(ask(ledger, step, result));
    case "date_last": {
      // The database chooses the time: this is no function of the ledger.
      const wallet = ledger.get(args.wallet_id as string);
      if (wallet && result.answer !== null) {
        ledger.set(wallet.wallet_id, dateLast(wallet, result.answer as Time));
      }
      return result.answer;
    }
    default: {
      const { key_id } = (result.answer ?? {}) as { key_id?: string };
      const occasion = { clock, session, now: result.from, key_id: key_id ?? "" };
      const answered = call(ledger, name, args, occasion);
      if (name === "create_key" && !("refused" in answered)) return toKey(answered[0]);
      return plain(
        "refused" in answered
          ? { refused: answered.refused, detail: answered.detail }
          : answered.map((receipt, i) => toRow(receipt, walletOf(args, i))),
      );
    }
  }
}

/** The operator of the proof is a worker as well. */
const FOR_WORKERS: readonly string[] = ["expire_due", "clear_counters"];

/** What a look-up answers. */
function read(ledger: Ledger, { call: name, args, as = AS_OPERATOR }: Step, result: StepResult) {
  const wallet = find(ledger, (args.wallet_id ?? null) as string | null);
  if ("refused" in wallet) return wallet;
  const { reservation_id = null, idempotency_key = null } = args as Record<string, string | null>;
  const caller = toCaller(ledger, as);
  const reading: Reading = { caller, clock: result.from, slack: PROOF_SLACK };
  switch (name) {
    case "balance":
      return readFrom(wallet, reading, () => true);
    case "reservation":
      return readFrom(wallet, reading, readReservation(reservation_id));
    case "limits":
      return readFrom<readonly object[]>(wallet, reading, readLimits);
    default: {
      const found = readFrom(wallet, reading, readReceipt(idempotency_key));
      if ("refused" in found) return found;
      return found.map((event) => toRow({ event, replayed: true }, wallet.wallet_id));
    }
  }
}

/** What a question about prices is answered. */
function ask({ prices }: Ledger, { call: name, args }: Step, { from }: StepResult) {
  const at = args.at == null ? from : (plain(args.at) as Time);
  const question = { usage: args.usage ?? null, at, scale: Number(args.scale) };
  if (name === "quote") return quote(prices, question);
  if (name === "affordable") return affordable(prices, question, BigInt(args.amount as bigint));
  if (name === "list_prices") {
    return listPrices(prices, args.prefix as string, at, args.history as boolean);
  }
  if (question.scale < 0 || question.scale > 18) return invalid("scale");
  const quotes = (args.usages as Json[]).map((usage) => quote(prices, { ...question, usage }));
  const wrong = quotes.findIndex((each) => "refused" in each);
  if (wrong < 0) return quotes;
  const { refused, detail } = quotes[wrong] as Record<string, object>;
  return { refused, detail: { ...detail, place: wrong + 1 } };
}

/** The answer of create_key: the secret is shown once. */
function toKey(receipt: Receipt | undefined): Json {
  if (!receipt || !("event" in receipt)) return null;
  const { key_id, expires_at } = receipt.event.details as Record<string, Json>;
  const { replayed } = receipt;
  return plain({ key_id, shown: replayed ? null : true, expires_at, replayed });
}

/** What the database answered, in the form of the model. */
function comparable({ call }: Step, { answer }: StepResult): Json {
  if (call === "limits" && Array.isArray(answer)) return toLimitRows(answer);
  if (call === "reservation" && answer !== null && "status" in (answer as object)) {
    const { ended_by, ...state } = answer as Record<string, Json>;
    return state;
  }
  return withoutReasons(answer);
}

/**
 * When the execution began in each wallet. The clock is read once in an execution, between `from` and
 * `until`; its events follow a microsecond apart. The model gets that reading if an event shows it,
 * and decides by itself what follows where the clock is behind the wallet.
 */
function clockOf(ledger: Ledger, { rows, from, until }: StepResult): Clock {
  return (id) => {
    const seen = rows.wallets?.find(({ wallet_id }) => wallet_id === id);
    const written = seen ? seen.seq - lengthOf(ledger, id) : 0n;
    const began = written > 0n && seen ? seen.last_instant - written + 1n : from;
    return began <= until && began >= from ? began : from;
  };
}

/** Whether a step has written to a wallet. */
function hasWritten(ledger: Ledger, { rows }: StepResult): (walletId: string) => boolean {
  return (id) => {
    const seen = rows.wallets?.find(({ wallet_id }) => wallet_id === id);
    return seen !== undefined && seen.seq > lengthOf(ledger, id);
  };
}

function rows(ledger: Ledger) {
  const wallets = byId(ledger).map((wallet) => {
    const { wallet_id, available, reserved, spent, frozen, journal } = wallet;
    const { restricted, closed, limits, low_balances, terms } = wallet;
    const last = journal.at(-1);
    return {
      wallet_id,
      available,
      reserved,
      spent,
      frozen,
      seq: seqOf(wallet),
      last_event_at: last?.occurred_at ?? null,
      last_instant: last?.instant ?? null,
      overdraft_limit: terms.overdraft_limit,
      restricted,
      closed,
      limited: limits.size > 0,
      low_balances,
      below: low_balances.filter((amount) => available + reserved < amount),
    };
  });
  const reservations = byId(ledger).flatMap((wallet) => openReservations(wallet, null));
  return { wallets: orNull(wallets), reservations: orNull(reservations) };
}

function look(ledger: Ledger, { wallet_id }: Look, result: StepResult) {
  const { statement } = result.looked as Looked;
  const wallets = byId(ledger).map((wallet) => {
    const last_event_at = lastOf(wallet);
    const at = asOf(statement, last_event_at, SLACK);
    return { ...balanceAfter(wallet, wallet.journal.length, at), last_event_at };
  });
  const open = byId(ledger).flatMap((wallet) => openReservations(wallet, statement));
  const wallet = ledger.get(wallet_id) as Wallet;
  const { at = 0n, now: foundNow, past: foundPast } = result.looked as Looked;

  // Now is when the clock was read, or the last event where that counts as the clock.
  const last = lastOf(wallet);
  const { until, seen } = result;
  const clockBy = (time: Time) => (time >= until && time <= seen ? time : until);
  const now = asOf(clockBy(foundNow.as_of), last, PROOF_SLACK);
  const clock = clockBy(foundPast.as_of);
  const latest = clock > last ? clock : last;
  const past = at < latest ? at : latest;
  return {
    wallets,
    open: orNull(open),
    now: { ...balanceAfter(wallet, wallet.journal.length, now), as_of: now },
    past: balanceAt(wallet, past, asOf(clock, last, PROOF_SLACK)),
    at,
    statement,
  };
}

function lastOf({ journal }: Wallet): Time {
  return journal.at(-1)?.occurred_at ?? 0n;
}

function byId(ledger: Ledger): Wallet[] {
  return [...ledger.values()].sort((a, b) => (a.wallet_id < b.wallet_id ? -1 : 1));
}

function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length > 0 ? list : null;
}

/** The wallet of an answer; as in the SQL, a text even where the command names none. */
function walletOf({ wallet_id, from, commands }: Arguments, place: number): string {
  const several = Array.isArray(commands) && wallet_id === undefined;
  const its = several ? (commands as readonly Arguments[])[place]?.wallet_id : wallet_id;
  return String(its ?? from ?? "");
}

/** A receipt as a row of SQL. */
function toRow(receipt: Receipt, wallet_id: string): Record<string, unknown> {
  const nothing = {
    seq: null,
    event: null,
    amount: null,
    available: null,
    reserved: null,
    spent: null,
    expires_at: null,
    occurred_at: null,
  };
  if ("refused" in receipt) {
    const { refused, detail, command } = receipt;
    const { reservation_id, idempotency_key } = command;
    const names = { wallet_id, reservation_id, idempotency_key };
    return { ...nothing, ...names, replayed: false, refused, detail };
  }
  const { frozen, open, command, metadata, instant, actor, details, ...event }: Event =
    receipt.event;
  return { wallet_id, ...event, replayed: receipt.replayed, refused: null, detail: null };
}

/** An answer without the reasons in its refusals, which are only for people. */
function withoutReasons(answer: Json): Json {
  if (Array.isArray(answer)) return answer.map(withoutReasons);
  const { refused, detail } = (answer ?? {}) as Record<string, Json>;
  if (refused !== "LGARG") return answer;
  const { reason, ...rest } = detail as Record<string, Json>;
  return { ...(answer as object), detail: rest };
}
