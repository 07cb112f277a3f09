// What a history must have left in the journal, and nothing else.
import type { Sent } from "./history.ts";
import type { Entry } from "./journal.ts";
import { canBePlaced, isAsked, type Replayed, replay, say, type Uses } from "./replay.ts";
import { nameOf, tellsOf, type Use, usesOf } from "./sendings.ts";

/** What does not hold, told for a person; and how much was looked at. */
export interface Findings {
  readonly wrong: readonly string[];
  /** Refusals that were found to be right at their place. */
  readonly placed: number;
}

/** What is not the same for every history. */
export interface Circumstances {
  /** Whether a command may fail with this code, beside those that need no reason. */
  readonly mayFail?: (code: string, sent: Sent) => boolean;
  /** Whether the clock was tampered with: the model does not know what it said. */
  readonly clockJumps?: boolean;
}

/**
 * Holds the journals of wallets against all that was sent to them: each command that was granted is
 * there once, with its receipt; each without an answer at most once; nothing else is; the order is
 * that of real time; the model says the same, refusals included.
 */
export function check(
  wallets: readonly string[],
  sent: readonly Sent[],
  entries: readonly Entry[],
  { mayFail = () => false, clockJumps = false }: Circumstances = {},
): Findings {
  const uses = Map.groupBy(sent.flatMap(usesOf), (use) => nameOf(use.wallet_id, use.command));
  const entriesOf = Map.groupBy(entries, ({ wallet_id }) => wallet_id);
  const replays = new Map(
    (clockJumps ? [] : wallets).map(
      (id) => [id, replay(id, entriesOf.get(id) ?? [], uses)] as const,
    ),
  );
  const refusals = clockJumps ? [] : sent.filter(hasRefusal);
  const wrong = [
    ...checkCommands(uses, entries),
    ...checkTransfers(entries),
    ...checkFailures(sent, mayFail),
    ...[...replays.values()].flatMap((each) => [...checkOrder(each), ...each.wrong]),
  ];
  // Where the model has lost its way, it has no place for a refusal.
  if (wrong.length > 0) return { wrong, placed: 0 };
  const misplaced = refusals.filter((each) => !isRight(each, replays));
  const unfit = misplaced.map((each) => `nowhere could be answered so: ${say(each)}`);
  return { wrong: unfit, placed: refusals.length };
}

/** Whether something was refused, and all of that call still has to be placed. */
function hasRefusal(sent: Sent): boolean {
  const told = usesOf(sent).map((use) => use.told);
  const wrote = told.some((each) => each && "receipt" in each && !each.receipt.replayed);
  return !wrote && told.some((each) => each && "refused" in each);
}

function isRight(sent: Sent, replays: ReadonlyMap<string, Replayed>): boolean {
  const replayed = replays.get((sent.args.wallet_id ?? sent.args.from) as string);
  return replayed !== undefined && canBePlaced(sent, replayed);
}

function checkCommands(uses: Uses, entries: readonly Entry[]): string[] {
  const asked = Map.groupBy(entries.filter(isAsked), (each) => nameOf(each.wallet_id, each));
  const missing = [...uses].flatMap(([name, sendings]) => {
    const [entry, ...more] = asked.get(name) ?? [];
    const doubled = more.length > 0 ? [`${name} is there ${1 + more.length} times`] : [];
    return [...doubled, ...checkCommand(name, sendings, entry)];
  });
  const invented = [...asked.keys()].filter((name) => !uses.has(name));
  return [...missing, ...invented.map((name) => `nobody has sent ${name}`)];
}

function checkCommand(name: string, sendings: readonly Use[], entry: Entry | undefined): string[] {
  const granted = sendings.filter(({ told }) => told && "receipt" in told);
  const unanswered = sendings.some(({ told }) => told === undefined);
  if (!entry) return granted.length > 0 ? [`lost: ${name} was told ${say(granted[0]?.told)}`] : [];
  if (granted.length === 0 && !unanswered) {
    return [`${name} was never granted, and is there: ${say(entry)}`];
  }
  const differing = granted.find((use) => !tellsOf(use, entry));
  if (differing) return [`${name} was told ${say(differing.told)}, and is ${say(entry)}`];
  const first = granted.filter(({ told }) => told && "receipt" in told && !told.receipt.replayed);
  return first.length > 1 ? [`${name} was granted anew ${first.length} times`] : [];
}

/**
 * A command fails only for a reason outside of the ledger: given up (57014, 55P03), no room
 * (53100, 53300), no server (57P03, and what Node and the client call it).
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
  return all.filter((sent) => !hasReason(sent)).map((each) => `failed by itself: ${say(each)}`);
}

/** What has left one wallet has come to the other, once. */
function checkTransfers(entries: readonly Entry[]): string[] {
  const out = entries.filter(({ event }) => event === "transferred_out");
  const arrived = entries.filter(({ event }) => event === "transferred_in");
  const came = new Map(
    arrived.map(({ details, amount }) => [`${details?.from} ${details?.from_seq}`, amount]),
  );
  const lost = out.filter(
    ({ wallet_id, seq, amount }) => came.get(`${wallet_id} ${seq}`) !== amount,
  );
  const wrong = lost.map((entry) => `a transfer has not arrived: ${say(entry)}`);
  if (arrived.length !== out.length)
    wrong.push(`${out.length} transfers, ${arrived.length} arrived`);
  return wrong;
}

/** A command that was answered before another was sent comes before it. */
function checkOrder({ folds }: Replayed): string[] {
  let answered = folds.at(-1)?.until ?? 0n;
  for (let i = folds.length - 2; i >= 0; i--) {
    const each = folds[i];
    if (each && each.from > answered) {
      return [`sent after one behind it was answered: ${say(each.entries)}`];
    }
    if (each && each.until < answered) answered = each.until;
  }
  return [];
}
