// Clients that send calls, one after the other, until they are stopped.
import { setImmediate } from "node:timers/promises";
import type postgres from "postgres";
import { createLedger } from "../../../src/client/ledger.ts";
import type { Json } from "../../../src/json/index.ts";
import { createRandom } from "../../../src/trace/index.ts";
import { CLIENT_CALLS, createDraw, type Source, SQL_CALLS } from "./calls.ts";
import type { Answer, Call, Recorder, Via } from "./history.ts";
import { connectSql, sendSql, sendThrough } from "./send.ts";

/** Clients, and what they connect to. */
export interface Crowd {
  readonly recorder: Recorder;
  readonly wallets: readonly string[];
  /** The prefix of the clients' names. */
  readonly name: string;
  readonly seed: number;
  /** Addresses: SQL clients take them in turn, the TypeScript client takes the first. */
  readonly urls: readonly string[];
  /** How many SQL clients. */
  readonly bySql: number;
  /** How many callers share the TypeScript client. */
  readonly callers: number;
  /** How many seconds the TypeScript client retries. */
  readonly retryFor?: number;
  /** Whether SQL clients have no time-outs. */
  readonly patient?: boolean;
}

export interface Load {
  /** Resolves when each client has its last answer, or has been cut off from it. */
  stop(how?: "cut off"): Promise<void>;
}

/** Settings of the SQL connections, in turn: two of three have a time-out that strikes now and then. */
const IMPATIENT = [{}, { statement_timeout: "40" }, { lock_timeout: "15" }];

/** Starts a crowd. */
export function startLoad(crowd: Crowd): Load {
  const { urls, bySql, callers, seed, name, wallets, recorder, retryFor = 20 } = crowd;
  let stopped = false;
  const clients: postgres.Sql[] = [];
  const ledger = createLedger(urls[0] ?? "", { retryFor, connections: 3 });

  const sourceOf = (i: number): Source => {
    return { random: createRandom(seed * 1000 + i), wallets, name: `${name}.${i}` };
  };
  const sqlClients = Array.from({ length: bySql }, (_, i) => {
    const settings = crowd.patient ? {} : IMPATIENT[i % IMPATIENT.length];
    const sql = connectSql(urls[i % urls.length] ?? "", settings);
    clients.push(sql);
    const send = (call: Call) => sendSql(sql, call);
    const source = { ...sourceOf(i), byUsage: true };
    return runClient({ ...source, recorder, names: SQL_CALLS, via: "sql", send });
  });
  const ledgerCallers = Array.from({ length: callers }, (_, i) => {
    const send = (call: Call) => sendThrough(ledger, call);
    const source = { ...sourceOf(bySql + i), byUsage: true };
    return runClient({ ...source, recorder, names: CLIENT_CALLS, via: "client", send });
  });

  async function runClient(client: Client): Promise<void> {
    const step = createSteps(client);
    while (!stopped) await step();
  }
  return {
    async stop(how) {
      stopped = true;
      // Behind a proxy without a server, the driver would try to connect for ever.
      if (how) await Promise.all(clients.map((sql) => sql.end({ timeout: 0 })));
      await Promise.all([...sqlClients, ...ledgerCallers]);
      await Promise.all(clients.map((sql) => sql.end({ timeout: 0 })));
      await ledger.close();
    },
  };
}

/** A client, and how it sends calls. */
export interface Client extends Source {
  readonly recorder: Recorder;
  /** The functions that it calls. */
  readonly names: readonly string[];
  readonly via: Via;
  readonly send: (call: Call) => Promise<Answer | undefined>;
}

/** A client's next step: a new call, an unanswered one again, or one that was sent before. */
export function createSteps(client: Client): () => Promise<void> {
  const { random, recorder, via, send } = client;
  const draw = createDraw(client, client.names);
  const open: Call[] = [];

  const choose = (): Call => {
    if (random.chance(0.5)) {
      const unanswered = open.shift();
      if (unanswered) return unanswered;
    }
    const before = recorder.calls.at(-random.integer(1, 40));
    const known =
      before &&
      client.names.includes(before.call) &&
      (client.byUsage || before.args.usage === undefined);
    return known && random.chance(0.06) ? before : draw();
  };
  return async () => {
    const call = choose();
    const answered = recorder.note(call, via);
    const answer = await send(call);
    if (answer) answered(answer);
    if (!answer || "failed" in answer || isBusy(answer)) open.push(call);
    // A refused connection is reported at once: let other clients run.
    await setImmediate();
  };
}

/** Whether a command was refused because another session had its wallet. */
function isBusy(answer: Answer): boolean {
  const receipts = "receipts" in answer ? answer.receipts : [];
  return receipts.some((receipt) => (receipt as { refused?: Json } | null)?.refused === "LGBSY");
}

/**
 * Reads balances in a loop, and returns those that no wallet may have at any time. Looks as well
 * whether a batch over several wallets waits for another session.
 */
export async function readUntil(
  stopped: () => boolean,
  url: string,
  wallets: readonly string[],
): Promise<{ readonly reads: number; readonly wrong: readonly string[] }> {
  const sql = connectSql(url);
  const wrong: string[] = [];
  let reads = 0;
  for (; !stopped(); reads++) {
    const [row] = await sql<{ balance: string; sound: boolean }[]>`
      select b::text as balance,
          reserved >= 0 and spent >= 0 and (available < -overdraft_limit) is not true as sound
        from baseledger.balance(${wallets[reads % wallets.length] ?? ""}) as b`.catch(
      (error: Error) => [{ balance: error.message, sound: false }],
    );
    if (!row?.sound) wrong.push(`a balance that cannot be: ${row?.balance}`);
    wrong.push(...(await findWaiting(sql)));
  }
  await sql.end({ timeout: 0 });
  return { reads, wrong };
}

/** The batches over several wallets that wait for rows which another session has locked. */
async function findWaiting(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ query: string }[]>`
    select query from pg_stat_activity
      where wait_event_type = 'Lock'
        and wait_event in ('transactionid', 'tuple')
        and query like '%baseledger.post\_many(%'
        and pid <> pg_backend_pid()`;
  return rows.map(({ query }) => `waits for another session: ${query}`);
}

/** Sweeps in a loop, as a worker does; returns how many reservations it has expired. */
export async function sweepUntil(stopped: () => boolean, url: string): Promise<number> {
  const sql = connectSql(url);
  let expired = 0;
  while (!stopped()) {
    const answer = await sendSql(sql, { call: "expire_due", args: { limit: 1000 } });
    if (answer && "receipts" in answer) expired += Number(answer.receipts[0]);
  }
  await sql.end({ timeout: 0 });
  return expired;
}
