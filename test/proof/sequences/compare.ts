// Carries out a sequence of steps in the database and in the model, and finds the first thing in
// which they differ.
import { isDeepStrictEqual } from "node:util";
import { type Json, stringifyJson } from "../../../src/wire/json.ts";
import { broken } from "../invariants.ts";
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
  shift,
  sweep,
} from "../ledger.ts";
import { asOf, type Event, openOnes, type Receipt, SLACK, seqOf, type Wallet } from "../model.ts";
import { plain } from "../plain.ts";
import type { Arguments, Time } from "../requests.ts";

/** Something to do in the ledger. */
export interface Step {
  readonly call: string;
  readonly args: Arguments;
  /** What to read afterwards: the balances, also at one of the times that the wallet has seen. */
  readonly look: Look | null;
}

/** The `index`th of the times that a wallet has seen, and so many microseconds off. */
interface Look {
  readonly wallet_id: string;
  readonly index: number;
  readonly shift: number;
}

/** What the database tells of a step, in plain form: see proof.sql. */
export interface Told {
  readonly answer: Json;
  readonly rows: { readonly wallets: readonly Row[] | null; readonly reservations: Json };
  readonly looked: Looked | null;
  /** The step was carried out between these. */
  readonly from: Time;
  readonly until: Time;
  /** The wallets were looked at by then. */
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

/** Where the database and the model part. */
export interface Difference {
  /** What was done, up to where they part. */
  readonly steps: readonly Step[];
  readonly what: string;
  readonly found: Json;
  readonly expected: Json;
}

type Found = Omit<Difference, "steps">;

/**
 * Does a step in the model, and finds what the database has told otherwise. `statement` is when
 * the database began with what the step is part of: the views count deadlines by that.
 */
export function compareStep(
  ledger: Ledger,
  step: Step,
  told: Told,
  statement: Time,
): Found | undefined {
  const expected = answerWithin(ledger, step, told);
  return (
    differ("the answer", withoutReasons(told.answer), expected) ??
    differ("the rows", told.rows, rows(ledger)) ??
    (told.looked && step.look
      ? differ("what can be read", told.looked, look(ledger, step.look, told, statement))
      : undefined) ??
    checkLedger(ledger)
  );
}

/** Compares the journals with those of the model; `verify` is what the database says of them. */
export function compareJournals(
  ledger: Ledger,
  told: { readonly journals: Json; readonly verify: Json },
): Found | undefined {
  const events = byId(ledger).flatMap(({ wallet_id, journal }) =>
    journal.map(({ frozen, open, command, instant, ...event }) => ({ wallet_id, ...event })),
  );
  return differ("the journals", told.journals, events) ?? differ("verify", told.verify, null);
}

/** A difference for a person to read. */
export function say({ steps, what, found, expected }: Difference): string {
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

/** The first field, or item, in which two values differ, as deep as both of them have it. */
function narrow({ path, found, expected }: Differing): Differing {
  const isGroup = (value: Json) => typeof value === "object" && value !== null;
  if (!isGroup(found) || !isGroup(expected)) return { path, found, expected };
  const [was, is] = [found, expected] as unknown as Record<string, Json>[];
  const names = Object.keys({ ...was, ...is });
  const name = names.find((each) => !isDeepStrictEqual(was?.[each], is?.[each])) ?? "";
  if (was?.[name] === undefined || is?.[name] === undefined) return { path, found, expected };
  return narrow({ path: [...path, name], found: was[name], expected: is[name] });
}

function differ(what: string, found: Json | Told["rows"] | Looked, value: unknown) {
  const expected = plain(value);
  if (isDeepStrictEqual(found, expected)) return undefined;
  return { what, found: found as Json, expected };
}

function checkLedger(ledger: Ledger): Found | undefined {
  for (const wallet of ledger.values()) {
    const [wrong] = broken(wallet);
    if (wrong) return { what: "the invariants of the model", found: wrong, expected: null };
  }
  return undefined;
}

/**
 * The answer of the model. Nothing tells when the clock was read for what was refused: where a
 * deadline passed meanwhile, it may have been before or after that.
 */
function answerWithin(ledger: Ledger, step: Step, told: Told): Json {
  const deadlines = [...ledger.values()].flatMap((wallet) =>
    openOnes(wallet).flatMap(({ expires_at }) => expires_at ?? []),
  );
  const passed = deadlines.filter((at) => at > told.from && at <= told.until);
  const agrees = (from: Time) =>
    isDeepStrictEqual(
      withoutReasons(told.answer),
      answer(new Map(ledger), step, { ...told, from }),
    );
  return answer(ledger, step, { ...told, from: passed.find(agrees) ?? told.from });
}

function answer(ledger: Ledger, { call: name, args }: Step, told: Told): Json {
  const clock = clockOf(ledger, told);
  switch (name) {
    case "expire_due": {
      const swept = sweep(ledger, Number(args.limit), told.from, clock);
      return plain(swept);
    }
    case "go_back":
      for (const [id, wallet] of ledger) {
        ledger.set(id, shift(wallet, BigInt(args.seconds as number) * 1_000_000n));
      }
      return null;
    case "date_last": {
      // Where to is the database's affair: it is nothing that the ledger does.
      const wallet = ledger.get(args.wallet_id as string);
      if (wallet && told.answer !== null) {
        ledger.set(wallet.wallet_id, dateLast(wallet, told.answer as Time));
      }
      return told.answer;
    }
    default: {
      const given = call(ledger, name, args, clock);
      return plain(
        "refused" in given
          ? { refused: given.refused, detail: given.detail }
          : given.map((receipt) => print(receipt, args)),
      );
    }
  }
}

/**
 * When the fold of each wallet began. The clock is read once a fold, between `from` and `until`;
 * its events follow a microsecond apart. The model is told that reading if there is one, and says
 * itself what follows when it is behind the wallet.
 */
function clockOf(ledger: Ledger, told: Told): Clock {
  return (id) => {
    const seen = told.rows.wallets?.find(({ wallet_id }) => wallet_id === id);
    const written = seen ? seen.seq - lengthOf(ledger, id) : 0n;
    const began = written > 0n && seen ? seen.last_instant - written + 1n : told.from;
    return began <= told.until && began >= told.from ? began : told.from;
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

function look(ledger: Ledger, { wallet_id }: Look, told: Told, statement: Time) {
  const wallets = byId(ledger).map((wallet) => {
    const last_event_at = lastOf(wallet);
    const at = asOf(statement, last_event_at, SLACK);
    return { ...balanceAfter(wallet, wallet.journal.length, at), last_event_at };
  });
  const open = byId(ledger).flatMap((wallet) => openReservations(wallet, statement));
  const wallet = ledger.get(wallet_id) as Wallet;
  const { at = 0n, now: toldNow, past: toldPast } = told.looked as Looked;

  // Now is when the clock was read, or the last event if that stands for it.
  const last = lastOf(wallet);
  const clockBy = (time: Time) => (time >= told.until && time <= told.seen ? time : told.until);
  const now = asOf(clockBy(toldNow.as_of), last, PROOF_SLACK);
  const clock = clockBy(toldPast.as_of);
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

/** A receipt as SQL has it. */
function print(receipt: Receipt, args: Arguments): Record<string, unknown> {
  const wallet_id = args.wallet_id ?? args.from;
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

/** An answer without what its refusals say for a person only. */
function withoutReasons(answer: Json): Json {
  if (Array.isArray(answer)) return answer.map(withoutReasons);
  const { refused, detail } = (answer ?? {}) as Record<string, Json>;
  if (refused !== "LGARG") return answer;
  const { reason, ...rest } = detail as Record<string, Json>;
  return { ...(answer as object), detail: rest };
}
