// Checks that a history has left in the journal what it must, and nothing else.
import { isDeepStrictEqual } from "node:util";
import type { Sent } from "./history.ts";
import type { Entry } from "./journal.ts";
import {
  canBePlaced,
  format,
  isRequested,
  type Replayed,
  replay,
  type Sendings,
} from "./replay.ts";
import {
  isBusy,
  isReceiptOf,
  nameOf,
  type Sending,
  type Share,
  sendingsOf,
  sharesOf,
} from "./sendings.ts";

/** The result of a check. */
export interface Findings {
  /** What is wrong, for a person. */
  readonly wrong: readonly string[];
  /** Refused calls, by wallet, that the model confirmed at some point of the journal. */
  readonly placed: number;
}

/** What differs from history to history. */
export interface Circumstances {
  /** Whether a command may fail with this code, besides those that always may. */
  readonly mayFail?: (code: string, sent: Sent) => boolean;
  /** Whether the clock jumped: the model cannot know what it read. */
  readonly clockJumps?: boolean;
}

/**
 * Compares the journals of wallets with all that was sent to them: each granted command is there
 * once, with its receipt; each unanswered one at most once; there is nothing else; the order is that
 * of real time; the model gives the same answers, refusals included.
 */
export function check(
  wallets: readonly string[],
  sent: readonly Sent[],
  entries: readonly Entry[],
  { mayFail = () => false, clockJumps = false }: Circumstances = {},
): Findings {
  const sendings = Map.groupBy(sent.flatMap(sendingsOf), (each) =>
    nameOf(each.wallet_id, each.command),
  );
  const entriesOf = Map.groupBy(entries, ({ wallet_id }) => wallet_id);
  const replays = new Map(
    (clockJumps ? [] : wallets).map(
      (id) => [id, replay(id, entriesOf.get(id) ?? [], sendings)] as const,
    ),
  );
  const refusals = clockJumps ? [] : sent.flatMap(sharesOf).filter(isRefused);
  const wrong = [
    ...checkCommands(sendings, entries),
    ...checkTransfers(entries),
    ...sent.flatMap(checkBusy),
    ...checkTransactions(sent, entries),
    ...checkFailures(sent, mayFail),
    ...[...replays.values()].flatMap((each) => [...checkOrder(each), ...each.wrong]),
  ];
  // A model that differs already cannot place refusals.
  if (wrong.length > 0) return { wrong, placed: 0 };
  const misplaced = refusals.filter((each) => !hasPlace(each, replays));
  const unplaced = misplaced.map(
    ({ wallet_id, sent: each }) =>
      `no point of the journal of ${wallet_id} has this answer: ${format(each)}`,
  );
  return { wrong: unplaced, placed: refusals.length };
}

/** Whether a wallet refused and wrote nothing, so that the place in its journal must be found. */
function isRefused({ sendings }: Share): boolean {
  // The model knows no other sessions: see checkBusy.
  if (sendings.some(isBusy)) return false;
  const answers = sendings.map(({ answer }) => answer);
  const wrote = answers.some((each) => each && "receipt" in each && !each.receipt.replayed);
  return !wrote && answers.some((each) => each && "refused" in each);
}

function hasPlace(share: Share, replays: ReadonlyMap<string, Replayed>): boolean {
  const replayed = replays.get(share.wallet_id);
  return replayed !== undefined && canBePlaced(share, replayed);
}

/** A wallet is busy for all commands of a batch over several wallets, or for none. */
function checkBusy(sent: Sent): string[] {
  const isWrong = ({ wallet_id, sendings }: Share) => {
    const busy = sendings.filter(isBusy);
    const isNamed = ({ answer }: Sending) =>
      isDeepStrictEqual(answer, { refused: "LGBSY", detail: { wallet_id } });
    return busy.length > 0 && (busy.length < sendings.length || !busy.every(isNamed));
  };
  const wrong = sharesOf(sent).filter((share) =>
    sent.call === "post_many" ? isWrong(share) : share.sendings.some(isBusy),
  );
  return wrong.map(({ wallet_id }) => `${wallet_id} is busy only in part: ${format(sent)}`);
}

/** What a batch over several wallets has granted was committed together. */
function checkTransactions(all: readonly Sent[], entries: readonly Entry[]): string[] {
  const known = new Map(entries.map((entry) => [`${entry.wallet_id} ${entry.seq}`, entry]));
  const transactionsOf = (sent: Sent) =>
    sendingsOf(sent).flatMap(({ wallet_id, answer }) => {
      if (!answer || !("receipt" in answer) || answer.receipt.replayed) return [];
      return known.get(`${wallet_id} ${answer.receipt.seq}`)?.transaction ?? [];
    });
  return all
    .filter((sent) => sent.call === "post_many" && new Set(transactionsOf(sent)).size > 1)
    .map((sent) => `not committed together: ${format(sent)}`);
}

function checkCommands(sendings: Sendings, entries: readonly Entry[]): string[] {
  const requested = Map.groupBy(entries.filter(isRequested), (each) =>
    nameOf(each.wallet_id, each),
  );
  const missing = [...sendings].flatMap(([name, its]) => {
    const [entry, ...more] = requested.get(name) ?? [];
    const doubled = more.length > 0 ? [`${name} is there ${1 + more.length} times`] : [];
    return [...doubled, ...checkCommand(name, its, entry)];
  });
  const invented = [...requested.keys()].filter((name) => !sendings.has(name));
  return [...missing, ...invented.map((name) => `never sent: ${name}`)];
}

function checkCommand(
  name: string,
  sendings: readonly Sending[],
  entry: Entry | undefined,
): string[] {
  const granted = sendings.filter(({ answer }) => answer && "receipt" in answer);
  const unanswered = sendings.some(({ answer }) => answer === undefined);
  if (!entry) {
    return granted.length > 0 ? [`lost: ${name}, answered ${format(granted[0]?.answer)}`] : [];
  }
  if (granted.length === 0 && !unanswered) {
    return [`${name} was never granted, but is in the journal: ${format(entry)}`];
  }
  const differing = granted.find((sending) => !isReceiptOf(sending, entry));
  if (differing) {
    return [`${name} was answered ${format(differing.answer)}, but is ${format(entry)}`];
  }
  const first = granted.filter(
    ({ answer }) => answer && "receipt" in answer && !answer.receipt.replayed,
  );
  return first.length > 1 ? [`${name} was granted ${first.length} times`] : [];
}

/**
 * Codes of commands that fail for a reason outside of the ledger: cancelled (57014, 55P03), out of
 * space or connections (53100, 53300), no server (57P03, and the codes of Node and of the client).
 */
const FAILURE = /^(57014|55P03|53100|53300|57P03|ECONNREFUSED|CONNECT_TIMEOUT|UnavailableError)$/;

function checkFailures(
  all: readonly Sent[],
  mayFail: NonNullable<Circumstances["mayFail"]>,
): string[] {
  const hasReason = (sent: Sent) => {
    const { answer } = sent;
    if (!answer || !("failed" in answer)) return true;
    return FAILURE.test(answer.failed) || mayFail(answer.failed, sent);
  };
  return all
    .filter((sent) => !hasReason(sent))
    .map((each) => `failed for no reason: ${format(each)}`);
}

/** What was transferred out of one wallet has arrived in the other, once. */
function checkTransfers(entries: readonly Entry[]): string[] {
  const out = entries.filter(({ event }) => event === "transferred_out");
  const arrived = entries.filter(({ event }) => event === "transferred_in");
  const came = new Map(
    arrived.map(({ details, amount }) => [`${details?.from} ${details?.from_seq}`, amount]),
  );
  const lost = out.filter(
    ({ wallet_id, seq, amount }) => came.get(`${wallet_id} ${seq}`) !== amount,
  );
  const wrong = lost.map((entry) => `a transfer has not arrived: ${format(entry)}`);
  if (arrived.length !== out.length)
    wrong.push(`${out.length} transfers, ${arrived.length} arrived`);
  return wrong;
}

/** A command that was answered before another was sent comes before it. */
function checkOrder({ executions }: Replayed): string[] {
  let answered = executions.at(-1)?.until ?? 0n;
  for (let i = executions.length - 2; i >= 0; i--) {
    const each = executions[i];
    if (each && each.from > answered) {
      return [`sent after a later event was answered: ${format(each.entries)}`];
    }
    if (each && each.until < answered) answered = each.until;
  }
  return [];
}
