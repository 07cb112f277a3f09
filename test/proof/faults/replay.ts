// Executes a wallet's journal again in the model, one execution after the other.
import { isDeepStrictEqual } from "node:util";
import { type Json, stringifyJson } from "../../../src/json/index.ts";
import {
  type Event,
  emptyWallet,
  execute as executeAt,
  type Receipt,
  type Wallet,
} from "../model.ts";
import { plain } from "../plain.ts";
import { type Command, commandOf, type Time } from "../requests.ts";
import type { Entry } from "./journal.ts";
import { CATALOGUE } from "./prices.ts";
import {
  agreesWithModel,
  isBatch,
  nameOf,
  type Sending,
  type Share,
  sharesOf,
} from "./sendings.ts";

/** The events that one call has written to a wallet, and when, as far as clients know. */
export interface Execution {
  readonly entries: readonly Entry[];
  /** Not before this, when its commands were sent. */
  readonly from: bigint;
  /** Not after this, when a client had an answer. */
  readonly until: bigint;
}

/** A state of a wallet: after a command of an execution. */
interface Point extends Execution {
  readonly wallet: Wallet;
}

/** A wallet's journal in executions, and the points at which something may have been refused. */
export interface Replayed {
  readonly executions: readonly Execution[];
  readonly points: readonly Point[];
  readonly wrong: readonly string[];
}

export type Sendings = ReadonlyMap<string, readonly Sending[]>;

const NEVER = 2n ** 63n;

/** Executes commands by the prices of the faults. */
function execute(wallet: Wallet, commands: readonly Command[], clock: Time) {
  return executeAt(wallet, commands, clock, undefined, undefined, undefined, CATALOGUE);
}

/** Executes a journal again, and compares what each execution writes and answers. */
export function replay(walletId: string, entries: readonly Entry[], sendings: Sendings): Replayed {
  const executions = byTransaction(entries).map((each) => toExecution(each, sendings));
  const limit = opening(sendings, walletId)?.sent.args.overdraft_limit ?? null;
  const overdraft_limit = limit === null ? null : BigInt(limit as bigint);
  let wallet = emptyWallet(walletId, { unit: "USD", scale: 9, overdraft_limit });
  const points: Point[] = [];
  const wrong: string[] = [];
  for (const each of executions) {
    const batch = batchOf(walletId, each, sendings);
    const commands =
      batch?.map(({ command }) => command) ?? each.entries.flatMap(commandsOf(sendings));
    const clock = each.entries[0]?.occurred_at ?? 0n;
    const after = execute(wallet, commands, clock);
    const written = after.wallet.journal.slice(wallet.journal.length).map(plainEvent);
    const found = each.entries.map(asEvent);
    if (!isDeepStrictEqual(written, found)) {
      wrong.push(`${walletId}: the journal has ${format(found)}, the model ${format(written)}`);
      break;
    }
    wrong.push(...disagreements(batch ?? [], after.receipts));
    // A call may have been refused between commands of one execution.
    for (const command of commands.slice(0, -1)) {
      wallet = execute(wallet, [command], clock).wallet;
      points.push({ ...each, wallet });
    }
    wallet = after.wallet;
    points.push({ ...each, wallet });
  }
  return { executions, points, wrong };
}

/**
 * Whether the model gives the same answers to commands that wrote nothing, at any point at which they
 * may have been executed: after all that was answered before it was sent, and before all that was sent
 * after it was answered.
 */
export function canBePlaced({ sent, sendings }: Share, { points }: Replayed): boolean {
  const { sent: began, answered: ended } = sent;
  if (!ended) return true;
  const commands = sendings.map(({ command }) => command);
  const first = points.findLastIndex(({ until }) => until < began.clock);
  const after = points.findIndex(({ from }) => from > ended.clock);
  return points.slice(Math.max(first, 0), after < 0 ? points.length : after).some(({ wallet }) =>
    instants(wallet, began.wall - TOLERANCE, ended.wall + TOLERANCE).some((at) => {
      const { receipts } = execute(wallet, commands, at);
      return sendings.every((sending, i) => agreesWithModel(sending, receipts[i]));
    }),
  );
}

/** Microseconds, as the clients' clock counts milliseconds. */
const TOLERANCE = 2000n;

/** The times at which a wallet's answers may change: between deadlines they stay the same. */
function instants({ reservations }: Wallet, from: Time, until: Time): Time[] {
  const deadlines = [...reservations.values()].flatMap(({ expires_at }) => expires_at ?? []);
  return [from, ...deadlines.filter((at) => at > from && at <= until)];
}

function byTransaction(entries: readonly Entry[]): Entry[][] {
  const groups: Entry[][] = [];
  for (const entry of entries) {
    const last = groups.at(-1);
    if (last?.[0]?.transaction === entry.transaction) last.push(entry);
    else groups.push([entry]);
  }
  return groups;
}

function toExecution(entries: readonly Entry[], sendings: Sendings): Execution {
  let from = 0n;
  let until = NEVER;
  for (const entry of entries) {
    const its = sendings.get(nameOf(entry.wallet_id, entry)) ?? [];
    if (!isRequested(entry) || its.length === 0) continue;
    const first = its.map(({ sent }) => sent.sent.clock).reduce(least);
    const answers = its.flatMap(({ answer, sent }) =>
      answer && "receipt" in answer && sent.answered ? [sent.answered.clock] : [],
    );
    if (first > from) from = first;
    until = answers.reduce(least, until);
  }
  return { entries, from, until };
}

/** Whether a client has sent the command of an event; expiries and arrivals come with another one. */
export function isRequested({ event, idempotency_key }: Entry): boolean {
  return event === "opened" || idempotency_key !== null;
}

/** The batch of an execution, if its answer is known: then its refusals are known as well. */
function batchOf(
  walletId: string,
  { entries }: Execution,
  sendings: Sendings,
): readonly Sending[] | undefined {
  const seqs = new Set(entries.map(({ seq }) => seq));
  for (const entry of entries.filter(isRequested)) {
    for (const { sent, answer } of sendings.get(nameOf(entry.wallet_id, entry)) ?? []) {
      const wrote = answer && "receipt" in answer && !answer.receipt.replayed;
      if (!wrote || !isBatch(sent) || !seqs.has(answer.receipt.seq as bigint)) continue;
      return sharesOf(sent).find((share) => share.wallet_id === walletId)?.sendings;
    }
  }
  return undefined;
}

function commandsOf(sendings: Sendings): (entry: Entry) => readonly Command[] {
  return (entry) => {
    if (entry.event === "transferred_in") {
      const { amount, metadata } = entry;
      return [{ ...commandOf("transfer_in", { amount, metadata }), idempotency_key: null }];
    }
    const sending = isRequested(entry) && sendings.get(nameOf(entry.wallet_id, entry))?.[0];
    return sending ? [sending.command] : [];
  };
}

function disagreements(batch: readonly Sending[], receipts: readonly Receipt[]): string[] {
  const differing = batch.findIndex((sending, i) => !agreesWithModel(sending, receipts[i]));
  if (differing < 0) return [];
  const { answer, sent } = batch[differing] as Sending;
  return [
    `command ${differing} of ${format(sent.args)} was answered ${format(answer)}, ` +
      `by the model ${format(plain(receipts[differing]))}`,
  ];
}

function opening(sendings: Sendings, walletId: string): Sending | undefined {
  return sendings.get(nameOf(walletId, { idempotency_key: null }))?.[0];
}

function asEvent({
  wallet_id,
  details,
  transaction: _,
  ...entry
}: Entry & { actor?: string }): Json {
  const { actor, ...event } = entry;
  return event as unknown as Json;
}

function plainEvent(all: Event): Json {
  const { frozen, open, command, instant, actor, details, ...event } = all;
  return plain(event);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** Formats a value for a person. */
export function format(value: unknown): string {
  return stringifyJson((value ?? null) as Json);
}
