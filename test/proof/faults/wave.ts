// A wave: a crowd of clients on new wallets, something that happens meanwhile, and then the check.
import { setTimeout as pause } from "node:timers/promises";
import { createRandom } from "../../../src/trace/index.ts";
import { EvidentError, type Outcome } from "../part.ts";
import { type Circumstances, check } from "./check.ts";
import { createHistory, type History, type Sent } from "./history.ts";
import { type Entry, readHeads, readJournal } from "./journal.ts";
import { type Crowd, type Load, readUntil, startLoad, sweepUntil } from "./load.ts";
import { format } from "./replay.ts";
import { connectSql, sendSql } from "./send.ts";
import { isBusy, sendingsOf } from "./sendings.ts";
import type { Stage } from "./stage.ts";
import { waitUntil } from "./wait.ts";

/** A wave that is running. */
export interface Wave {
  readonly stage: Stage;
  readonly history: History;
  readonly wallets: readonly string[];
  /** Adds calls that others have recorded. */
  add(sent: readonly Sent[]): void;
  /** Checks the wave on another server than it began on. */
  endAt(stage: Stage): void;
  /** Waits until clients have had so many more answers. */
  answers(more: number): Promise<void>;
}

export interface WaveOptions extends Omit<Crowd, "recorder" | "wallets" | "urls"> {
  readonly sweepers: number;
  /** How many loops read balances meanwhile, on a server that stays up. */
  readonly readers?: number;
  /** What clients connect to; by default the server. */
  readonly urls?: readonly string[];
  /** Names of the wallets, which are drawn equally often; by default one of three is hot. */
  readonly names?: readonly string[];
  /** Starts the crowd; by default that of load.ts. */
  readonly start?: (crowd: Crowd) => Load;
  /** Derives calls from the journal that are not in the history, as only the journal has their keys. */
  readonly complete?: (entries: readonly Entry[]) => Completion;
  readonly circumstances?: Circumstances;
}

/** What completes a history. */
export interface Completion {
  readonly sent: readonly Sent[];
  readonly wrong: readonly string[];
}

/** The result of a wave. */
export interface WaveResult {
  readonly wrong: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** The arguments of the check: the wallets, all that was sent to them, and their journals. */
  readonly checked: Parameters<typeof check>;
  /** The last event of each wallet. */
  readonly heads: ReadonlyMap<string, string>;
}

/** What was found in a wave, as a part reports it; undefined if nothing was. */
export function failureOf(
  name: string,
  { wrong, checked }: Pick<WaveResult, "wrong" | "checked">,
): Required<Pick<Outcome, "failure" | "evidence">> | undefined {
  const [first] = wrong;
  if (first === undefined) return undefined;
  const [, sent, entries] = checked;
  const evidence = { ...sentEvidence(sent), journal: inLines(entries) };
  return { failure: `${name}: ${first}`, evidence: { "all of it": wrong.join("\n"), ...evidence } };
}

const WALLETS = ["hot", "warm", "cold"];
/** The first wallet is hot: one call in two goes there. */
const DRAWN = [0, 0, 1, 2];
const FUNDS = 400;
/** How long a server may take to list its activity, which may explain a failure. */
const ANSWERS_WITHIN_MS = 10_000;

/** Plays a wave, and checks it with the journal, the model and `verify`. */
export async function playWave(
  stage: Stage,
  options: WaveOptions,
  act: (wave: Wave) => Promise<void>,
): Promise<WaveResult> {
  const { name, seed, urls = [stage.url] } = options;
  const history = createHistory();
  const others: Sent[] = [];
  const wallets = (options.names ?? WALLETS).map((wallet) => `${name}-${wallet}`);
  await openWallets(stage, history, wallets, seed);
  const drawn = options.names ? wallets : DRAWN.map((i) => wallets[i] ?? "");

  let over = false;
  let end = stage;
  const { start = startLoad } = options;
  const load = start({ ...options, recorder: history, wallets: drawn, urls });
  const sweepers = Array.from({ length: options.sweepers }, () =>
    sweepUntil(() => over, stage.url),
  );
  const readers = Array.from({ length: options.readers ?? 0 }, () =>
    readUntil(() => over, stage.url, wallets),
  );
  const wave: Wave = {
    stage,
    history,
    wallets: drawn,
    add: (sent) => others.push(...sent),
    endAt: (other) => {
      end = other;
    },
    async answers(more) {
      const before = history.answers;
      await waitUntil(`there are ${more} more answers`, () => history.answers >= before + more);
    },
  };
  try {
    await act(wave);
  } catch (error) {
    over = true;
    const activity = await readActivity(end);
    await load.stop("cut off");
    const sent = sentEvidence([...history.calls, ...others]);
    throw new EvidentError(error, { "what the server did": activity, ...sent });
  }
  over = true;
  await load.stop();
  const swept = (await Promise.all(sweepers)).reduce((sum, each) => sum + each, 0);
  const read = await Promise.all(readers);
  const result = await checkWave(end, wallets, [...history.calls, ...others], options);
  const reads = read.reduce((sum, each) => sum + each.reads, 0);
  return {
    ...result,
    wrong: [...read.flatMap(({ wrong }) => wrong), ...result.wrong],
    counts: { ...result.counts, sweptByLoops: swept, ...(readers.length > 0 && { reads }) },
  };
}

async function openWallets(
  stage: Stage,
  history: History,
  wallets: readonly string[],
  seed: number,
): Promise<void> {
  const random = createRandom(seed);
  const sql = connectSql(stage.url);
  for (const wallet_id of wallets) {
    const terms = random.chance(0.5) ? { overdraft_limit: random.integer(0, 300) } : {};
    const calls = [
      { call: "open_wallet", args: { wallet_id, ...terms } },
      { call: "credit", args: { wallet_id, amount: FUNDS, idempotency_key: "funds" } },
    ];
    for (const call of calls) {
      const answered = history.note(call, "sql");
      const answer = await sendSql(sql, call);
      if (!answer || !("receipts" in answer)) throw new Error(`not opened: ${format(answer)}`);
      answered(answer);
    }
  }
  await sql.end();
}

async function checkWave(
  stage: Stage,
  wallets: readonly string[],
  noted: readonly Sent[],
  { complete = () => ({ sent: [], wrong: [] }), circumstances = {} }: WaveOptions,
) {
  await untilQuiet(stage);
  const entries = await readJournal(stage.admin, wallets);
  const heads = await readHeads(stage.admin, wallets);
  const completion = complete(entries);
  const checked = [wallets, [...noted, ...completion.sent], entries, circumstances] as const;
  const { wrong, placed } = check(...checked);
  const unsound = await verify(stage, wallets);
  return {
    wrong: [...completion.wrong, ...wrong, ...unsound],
    counts: { ...count(noted), events: entries.length, placed },
    checked: [...checked] as WaveResult["checked"],
    heads,
  };
}

/** What `verify` finds in some wallets, or in all. */
export async function verify(stage: Stage, wallets: readonly (string | null)[]): Promise<string[]> {
  const found: string[] = [];
  for (const wallet of wallets) {
    const rows = await stage.admin`select * from baseledger.verify(${wallet}::text)`;
    found.push(...rows.map((row) => `verify: ${JSON.stringify(row)}`));
  }
  return found;
}

function sentEvidence(sent: readonly Sent[]) {
  return { "calls and answers": inLines(sent) };
}

function inLines(values: readonly unknown[]): string {
  return values.map(format).join("\n");
}

/** Lists the activity of a server, if it answers. */
async function readActivity({ server }: Stage): Promise<string> {
  const sql = connectSql(server.url, { statement_timeout: "5000" });
  const reading = sql`
    select pid, state, wait_event_type, wait_event, pg_blocking_pids(pid) as blocked_by,
        clock_timestamp() - xact_start as age, usename, application_name, left(query, 200) as query
      from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`;
  const silent = pause(ANSWERS_WITHIN_MS, ["it does not answer"], { ref: false });
  const rows = await Promise.race([reading, silent]).catch((error: Error) => [error.message]);
  await sql.end({ timeout: 0 });
  return rows.map((row) => JSON.stringify(row)).join("\n");
}

/** Waits until no reservation is far past its deadline. */
export async function untilSwept({ admin }: Stage): Promise<void> {
  await waitUntil("the workers have swept what is due", async () => {
    const [row] = await admin`
      select from baseledger.wallets where next_deadline < clock_timestamp() - interval '2 s' limit 1`;
    return row === undefined;
  });
}

/** Waits until no session is active; one may still work after it has lost its client. */
async function untilQuiet({ admin }: Stage): Promise<void> {
  await waitUntil("no session is active", async () => {
    const busy = await admin`
      select from pg_stat_activity
        where application_name in ('proof', 'baseledger')
          and state <> 'idle' and pid <> pg_backend_pid()
        limit 1`.catch(() => [undefined]);
    return busy.length === 0;
  });
}

function count(sent: readonly Sent[]): Record<string, number> {
  const granted = sent.filter(({ answer }) => answer && "receipts" in answer).length;
  const refused = sent.filter(({ answer }) => answer && "refused" in answer).length;
  const failed = sent.filter(({ answer }) => answer && "failed" in answer).length;
  const unanswered = sent.length - granted - refused - failed;
  const many = sent.filter(({ call }) => call === "post_many");
  const busy = many.flatMap(sendingsOf).filter(isBusy).length;
  const counts = { calls: sent.length, granted, refused, failed, unanswered };
  return { ...counts, ofTheseByPostMany: many.length, busyCommands: busy };
}
