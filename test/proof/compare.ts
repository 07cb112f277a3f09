// Carries out a sequence of steps in the database and in the model, and finds the first thing in
// which they differ.
import { isDeepStrictEqual } from "node:util";
import { type Json, stringifyJson } from "../../src/json.ts";
import {
  balanceAt,
  type Clock,
  call,
  dateLast,
  type Ledger,
  lengthOf,
  openReservations,
  shift,
  sweep,
} from "./ledger.ts";
import type { Event, Receipt } from "./model.ts";
import { plain } from "./plain.ts";
import type { Arguments, Time } from "./requests.ts";

/** Something to do in the ledger, and an instant to look at afterwards. */
export interface Step {
  readonly call: string;
  readonly args: Arguments;
  /** The `index`th of the times that the wallet has seen, and so many microseconds off. */
  readonly look: { readonly wallet_id: string; readonly index: number; readonly shift: number };
}

/** What the database tells of a step, in plain form: see proof.sql. */
export interface Told {
  readonly answer: Json;
  readonly wallets: readonly Seen[] | null;
  readonly open: readonly Json[] | null;
  readonly now: Seen | null;
  readonly then: Seen | null;
  /** The step was carried out between these. */
  readonly from: Time;
  readonly until: Time;
  /** The instant to look at. */
  readonly at: Time;
  /** The wallet was looked at by then. */
  readonly seen: Time;
  readonly statement: Time;
}

type Seen = Readonly<Record<string, Json>> & {
  readonly wallet_id: string;
  readonly seq: bigint;
  readonly last_event_at: Time;
  readonly as_of: Time;
};

/** Where the database and the model part. */
export interface Difference {
  readonly step: number;
  readonly what: string;
  readonly found: Json;
  readonly expected: Json;
}

/** Does a step in the model, and compares all that the database has told of it. */
export function compareStep(ledger: Ledger, step: Step, told: Told): Omit<Difference, "step">[] {
  const expected = { answer: answer(ledger, step, told), ...look(ledger, step, told) };
  return Object.entries(expected).flatMap(([what, value]) => {
    const raw = told[what as keyof Told] as Json;
    const found = what === "answer" ? withoutReasons(raw) : raw;
    const model = plain(value);
    return isDeepStrictEqual(found, model) ? [] : [{ what, found, expected: model }];
  });
}

/** The journals as the model has them, in plain form. */
export function journals(ledger: Ledger): Json {
  const ids = [...ledger.keys()].sort();
  const events = ids.flatMap((wallet_id) =>
    (ledger.get(wallet_id)?.journal ?? []).map(({ frozen, open, command, ...event }) => {
      return { wallet_id, ...event };
    }),
  );
  return plain(events.length > 0 ? events : null);
}

/** A difference for a person to read. */
export function say({ step, what, found, expected }: Difference, steps: readonly Step[]): string {
  const line = (value: unknown) => stringifyJson(value as Json);
  const done = steps.slice(0, step + 1).map((each, i) => {
    return `${i === step ? "→" : " "} ${each.call} ${line(each.args)}`;
  });
  const looked = line(steps[step]?.look ?? null);
  return [
    ...done,
    `differs in ${what} (looked at ${looked})`,
    `  the database: ${line(found)}`,
    `  the model:    ${line(expected)}`,
  ].join("\n");
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
    const seen = told.wallets?.find(({ wallet_id }) => wallet_id === id);
    const written = seen ? seen.seq - lengthOf(ledger, id) : 0n;
    const began = written > 0n && seen ? seen.last_event_at - written + 1n : told.from;
    return began <= told.until && began >= told.from ? began : told.from;
  };
}

function look(ledger: Ledger, step: Step, told: Told) {
  const wallets = [...ledger.values()].sort((a, b) => (a.wallet_id < b.wallet_id ? -1 : 1));
  const all = wallets.map((wallet) => {
    const last_event_at = wallet.journal.at(-1)?.occurred_at ?? 0n;
    const at = last_event_at > told.statement ? last_event_at : told.statement;
    return { ...balanceAt(wallet, at), last_event_at };
  });
  const open = wallets.flatMap((wallet) => openReservations(wallet, told.statement));
  const wallet = ledger.get(step.look.wallet_id);
  const nothing = { now: null, then: null };
  if (!wallet) return { wallets: orNull(all), open: orNull(open), ...nothing };

  // Now is when the clock was read, but never before the last event.
  const last = wallet.journal.at(-1)?.occurred_at ?? 0n;
  const isNow = (time: Time) => time >= told.until && time <= told.seen;
  const nowBy = (time: Time | undefined) => {
    const read = time !== undefined && isNow(time) ? time : told.until;
    return read > last ? read : last;
  };
  const now = nowBy(told.now?.as_of);
  const latest = nowBy(told.then?.as_of);
  const then = told.at < latest ? told.at : latest;
  return {
    wallets: orNull(all),
    open: orNull(open),
    now: { ...balanceAt(wallet, now), as_of: now },
    then: { ...balanceAt(wallet, then), as_of: then },
  };
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
  const { frozen, open, command, metadata, ...event }: Event = receipt.event;
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
