// A wallet's journal, carried out again by the model, fold by fold.
import { isDeepStrictEqual } from "node:util";
import { type Json, stringifyJson } from "../../../src/wire/json.ts";
import { type Event, emptyWallet, fold, type Receipt, type Wallet } from "../model.ts";
import { plain } from "../plain.ts";
import { type Command, commandOf, type Time } from "../requests.ts";
import type { Sent } from "./history.ts";
import type { Entry } from "./journal.ts";
import { agrees, isBatch, nameOf, type Use, usesOf } from "./sendings.ts";

/** What one fold has written, and when, as far as clients know. */
export interface Fold {
  readonly entries: readonly Entry[];
  /** It cannot have happened before: its commands were sent then. */
  readonly from: bigint;
  /** It had happened by then: a client had an answer. */
  readonly until: bigint;
}

/** A point in a wallet's life: after a command, in a fold. */
interface Point extends Fold {
  readonly wallet: Wallet;
}

/** A wallet's journal in folds, and each point at which something may have been refused. */
export interface Replayed {
  readonly folds: readonly Fold[];
  readonly points: readonly Point[];
  readonly wrong: readonly string[];
}

export type Uses = ReadonlyMap<string, readonly Use[]>;

const NEVER = 2n ** 63n;

/** Carries a journal out again, and compares what each fold writes and answers. */
export function replay(walletId: string, entries: readonly Entry[], uses: Uses): Replayed {
  const folds = inFolds(entries).map((each) => timed(each, uses));
  const limit = opening(uses, walletId)?.sent.args.overdraft_limit ?? null;
  const overdraft_limit = limit === null ? null : BigInt(limit as bigint);
  let wallet = emptyWallet(walletId, { unit: "USD", scale: 9, overdraft_limit });
  const points: Point[] = [];
  const wrong: string[] = [];
  for (const each of folds) {
    const batch = batchOf(each, uses);
    const commands = batch?.map(({ command }) => command) ?? each.entries.flatMap(commandsOf(uses));
    const clock = each.entries[0]?.occurred_at ?? 0n;
    const after = fold(wallet, commands, clock);
    const written = after.wallet.journal.slice(wallet.journal.length).map(plainEvent);
    const found = each.entries.map(asEvent);
    if (!isDeepStrictEqual(written, found)) {
      wrong.push(`${walletId}: the journal has ${say(found)}, the model ${say(written)}`);
      break;
    }
    wrong.push(...disagreements(batch ?? [], after.receipts));
    // What came in one fold with others may have been refused between them.
    for (const command of commands.slice(0, -1)) {
      wallet = fold(wallet, [command], clock).wallet;
      points.push({ ...each, wallet });
    }
    wallet = after.wallet;
    points.push({ ...each, wallet });
  }
  return { folds, points, wrong };
}

/**
 * Whether the model says the same to a call of which nothing was written, at any point at which it
 * may have been carried out: after all that had been answered before it was sent, and before all
 * that was sent after it was answered.
 */
export function canBePlaced(sent: Sent, { points }: Replayed): boolean {
  const { sent: began, answered: ended } = sent;
  if (!ended) return true;
  const uses = usesOf(sent);
  const commands = uses.map(({ command }) => command);
  const first = points.findLastIndex(({ until }) => until < began.clock);
  const after = points.findIndex(({ from }) => from > ended.clock);
  return points.slice(Math.max(first, 0), after < 0 ? points.length : after).some(({ wallet }) =>
    instants(wallet, began.wall - TOLERANCE, ended.wall + TOLERANCE).some((at) => {
      const { receipts } = fold(wallet, commands, at);
      return uses.every((use, i) => agrees(use, receipts[i]));
    }),
  );
}

/** Microseconds: the clock of clients counts milliseconds. */
const TOLERANCE = 2000n;

/** A wallet says the same from one deadline to the next. */
function instants({ reservations }: Wallet, from: Time, until: Time): Time[] {
  const deadlines = [...reservations.values()].flatMap(({ expires_at }) => expires_at ?? []);
  return [from, ...deadlines.filter((at) => at > from && at <= until)];
}

function inFolds(entries: readonly Entry[]): Entry[][] {
  const folds: Entry[][] = [];
  for (const entry of entries) {
    const last = folds.at(-1);
    if (last?.[0]?.fold === entry.fold) last.push(entry);
    else folds.push([entry]);
  }
  return folds;
}

function timed(entries: readonly Entry[], uses: Uses): Fold {
  let from = 0n;
  let until = NEVER;
  for (const entry of entries) {
    const sendings = uses.get(nameOf(entry.wallet_id, entry)) ?? [];
    if (!isAsked(entry) || sendings.length === 0) continue;
    const first = sendings.map(({ sent }) => sent.sent.clock).reduce(least);
    const answers = sendings.flatMap(({ told, sent }) =>
      told && "receipt" in told && sent.answered ? [sent.answered.clock] : [],
    );
    if (first > from) from = first;
    until = answers.reduce(least, until);
  }
  return { entries, from, until };
}

/** Whether a client has asked for it by name; the rest comes with something else. */
export function isAsked({ event, idempotency_key }: Entry): boolean {
  return event === "opened" || idempotency_key !== null;
}

/** The batch that has written a fold, if it is known: then also what it was refused is. */
function batchOf({ entries }: Fold, uses: Uses): Use[] | undefined {
  const seqs = new Set(entries.map(({ seq }) => seq));
  for (const entry of entries.filter(isAsked)) {
    for (const { sent, told } of uses.get(nameOf(entry.wallet_id, entry)) ?? []) {
      const wrote = told && "receipt" in told && !told.receipt.replayed;
      if (wrote && isBatch(sent) && seqs.has(told.receipt.seq as bigint)) return usesOf(sent);
    }
  }
  return undefined;
}

function commandsOf(uses: Uses): (entry: Entry) => readonly Command[] {
  return (entry) => {
    if (entry.event === "transferred_in") {
      const { amount, metadata } = entry;
      return [{ ...commandOf("transfer_in", { amount, metadata }), idempotency_key: null }];
    }
    const use = isAsked(entry) && uses.get(nameOf(entry.wallet_id, entry))?.[0];
    return use ? [use.command] : [];
  };
}

function disagreements(batch: readonly Use[], receipts: readonly Receipt[]): string[] {
  const differing = batch.findIndex((use, i) => !agrees(use, receipts[i]));
  if (differing < 0) return [];
  const { told, sent } = batch[differing] as Use;
  return [
    `command ${differing} of ${say(sent.args)} was told ${say(told)}, ` +
      `the model says ${say(plain(receipts[differing]))}`,
  ];
}

function opening(uses: Uses, walletId: string): Use | undefined {
  return uses.get(nameOf(walletId, { idempotency_key: null }))?.[0];
}

function asEvent({ wallet_id, details, fold: _, ...entry }: Entry & { actor?: string }): Json {
  const { actor, ...event } = entry;
  return event as unknown as Json;
}

function plainEvent({ frozen, open, command, instant, ...event }: Event): Json {
  return plain(event);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** A value for a person to read. */
export function say(value: unknown): string {
  return stringifyJson((value ?? null) as Json);
}
