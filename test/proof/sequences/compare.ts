// Executes a step in the model, and finds the first difference to what the database returned for it.
import { isDeepStrictEqual } from "node:util";
import { type Json, stringifyJson } from "../../../src/json/index.ts";
import { findBroken } from "../invariants.ts";
import {
  balanceAfter,
  balanceAt,
  type Clock,
  call,
  dateLast,
  type Ledger,
  lengthOf,
  openReservations,
  PROOF_SLACK,
  reservationHistory,
  shift,
  sweep,
} from "../ledger.ts";
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
import type { Arguments, Time } from "../requests.ts";

/** Something to do in the ledger. */
export interface Step {
  readonly call: string;
  readonly args: Arguments;
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
  /** When the statement began in the database: the views count deadlines by it. */
  readonly statement: Time;
  /** See {@link StepResult.busy}. */
  readonly busy: string;
}

/** Executes a step in the model, and finds where the database's result differs. */
export function compareStep(
  ledger: Ledger,
  step: Step,
  result: StepResult,
  { statement, busy }: Constants,
): Found | undefined {
  const expected = answerWithin(ledger, step, result);
  return (
    compare("the answer", withoutReasons(result.answer), expected) ??
    compare("the rows", result.rows, rows(ledger)) ??
    compare("the locked wallet", result.busy, busy) ??
    (result.looked && step.look
      ? compare("what can be read", result.looked, look(ledger, step.look, result, statement))
      : undefined) ??
    checkLedger(ledger)
  );
}

/** What the database returned after a sequence: see proof.journals in proof.sql. */
export interface Journals {
  readonly journals: Json;
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
    compare("verify", result.verify, null) ??
    (result.history === null
      ? undefined
      : compare("the history", result.history, byId(ledger).flatMap(reservationHistory)))
  );
}

/** Formats a difference for a person. */
export function formatDifference({ steps, what, found, expected }: Difference): string {
  const done = steps.map(({ call, args }, i) => {
    return `${i === steps.length - 1 ? "→" : " "} ${call} ${stringifyJson(args)}`;
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
    const [wrong] = findBroken(wallet);
    if (wrong) return { what: "the invariants of the model", found: wrong, expected: null };
  }
  return undefined;
}

/**
 * The answer of the model. A refusal does not show when the clock was read for it: a deadline that
 * passed during the step may have passed before or after that.
 */
function answerWithin(ledger: Ledger, step: Step, result: StepResult): Json {
  const deadlines = [...ledger.values()].flatMap((wallet) =>
    openReservationsOf(wallet).flatMap(({ expires_at }) => expires_at ?? []),
  );
  const passed = deadlines.filter((at) => at > result.from && at <= result.until);
  const agrees = (from: Time) =>
    isDeepStrictEqual(
      withoutReasons(result.answer),
      answer(new Map(ledger), step, { ...result, from }),
    );
  return answer(ledger, step, { ...result, from: passed.find(agrees) ?? result.from });
}

function answer(ledger: Ledger, { call: name, args }: Step, result: StepResult): Json {
  const clock = clockOf(ledger, result);
  switch (name) {
    case "expire_due":
      return plain(
        sweep(ledger, Number(args.limit), result.from, clock, hasWritten(ledger, result)),
      );
    case "go_back":
      for (const [id, wallet] of ledger) {
        ledger.set(id, shift(wallet, BigInt(args.seconds as number) * 1_000_000n));
      }
      return null;
    case "date_last": {
      // The database chooses the time: this is no function of the ledger.
      const wallet = ledger.get(args.wallet_id as string);
      if (wallet && result.answer !== null) {
        ledger.set(wallet.wallet_id, dateLast(wallet, result.answer as Time));
      }
      return result.answer;
    }
    default: {
      const answered = call(ledger, name, args, clock);
      return plain(
        "refused" in answered
          ? { refused: answered.refused, detail: answered.detail }
          : answered.map((receipt, i) => toRow(receipt, walletOf(args, i))),
      );
    }
  }
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
    const last = journal.at(-1);
    const times = { last_event_at: last?.occurred_at ?? null, last_instant: last?.instant ?? null };
    return { wallet_id, available, reserved, spent, frozen, seq: seqOf(wallet), ...times };
  });
  const reservations = byId(ledger).flatMap((wallet) => openReservations(wallet, null));
  return { wallets: orNull(wallets), reservations: orNull(reservations) };
}

function look(ledger: Ledger, { wallet_id }: Look, result: StepResult, statement: Time) {
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
  const { frozen, open, command, metadata, instant, ...event }: Event = receipt.event;
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
