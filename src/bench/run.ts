import { randomInt } from "node:crypto";
import postgres from "postgres";
import { createLedger, type Ledger } from "../client/ledger.ts";
import { startPostgres } from "../embedded.ts";
import { credit, openWallet, verify } from "../generated/baseledger.ts";
import { migrate } from "../migrate.ts";
import { type Measurement, measure, median, type Operation } from "./measure.ts";
import { postBatch, prepareNaive, settleDown, spendNaively } from "./statements.ts";

/** How much is measured. */
export interface BenchOptions {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  readonly wallets: number;
  /** Called after each measurement. */
  readonly onRound?: (round: Round) => void;
}

/** One measurement, and the naive statement right before it. */
export interface Round {
  readonly round: number;
  readonly workload: string;
  readonly naive: number;
  readonly ours: Measurement;
}

/** What came out for a workload: operations a second as multiples of the naive statement's. */
export interface Result {
  readonly workload: string;
  readonly ratio: { readonly median: number; readonly least: number; readonly most: number };
  readonly naive: number;
  readonly rate: number;
  readonly p99: number;
}

/** The outcome of a bench. */
export interface Bench {
  readonly results: readonly Result[];
  readonly discrepancies: number;
}

interface Workload {
  readonly name: string;
  readonly wallet: () => string;
  readonly workers: number;
  readonly createOperation: (wallet: () => string) => Operation;
}

const CONNECTIONS = 8;
const COMMANDS = 100;
const CALLERS = 200;
const CREDIT = 1_000_000_000_000n;
// As on a server that matters: nothing is acknowledged before it is on disk.
const DURABLE = { fsync: "on", synchronous_commit: "on", full_page_writes: "on" };
const SIZED = { shared_buffers: "1GB", max_wal_size: "8GB" };

/** Measures the ledger against the naive statement, interleaved, on a server of its own. */
export async function bench(options: BenchOptions): Promise<Bench> {
  await using server = await startPostgres({ settings: { ...DURABLE, ...SIZED } });
  await migrate(server.url);
  const sql = postgres(server.url, { max: CONNECTIONS, onnotice: () => undefined });
  try {
    await using ledger = createLedger(server.url);
    const wallets = Array.from({ length: options.wallets }, (_, n) => `wallet-${n}`);
    await prepare(sql, wallets);
    const rounds = await run(workloads(sql, ledger, wallets), sql, options);
    return { results: summarize(rounds), discrepancies: (await verify(sql)).length };
  } finally {
    await sql.end();
  }
}

async function prepare(sql: postgres.Sql, wallets: readonly string[]): Promise<void> {
  await prepareNaive(sql, wallets);
  const fill = async (walletId: string): Promise<void> => {
    await openWallet(sql, { walletId });
    await credit(sql, { walletId, amount: CREDIT, idempotencyKey: "seed" });
  };
  await Promise.all(wallets.map(fill));
  await settleDown(sql);
}

function workloads(
  sql: postgres.Sql,
  ledger: Ledger,
  wallets: readonly string[],
): readonly Workload[] {
  const hot = (): string => wallets[0] as string;
  const spread = (): string => wallets[randomInt(wallets.length)] as string;
  const batches = (wallet: () => string): Operation => {
    return async () => postPairs(sql, wallet());
  };
  const callers = (wallet: () => string): Operation => createCaller(ledger, wallet());
  return [
    { name: "batches, spread", wallet: spread, workers: CONNECTIONS, createOperation: batches },
    { name: "batches, hot", wallet: hot, workers: CONNECTIONS, createOperation: batches },
    { name: "client, hot", wallet: hot, workers: CALLERS, createOperation: callers },
  ];
}

let calls = 0;

/** A batch of reservations with their settlements: as many operations as commands. */
async function postPairs(sql: postgres.Sql, walletId: string): Promise<number> {
  const commands = Array.from({ length: COMMANDS / 2 }, () => {
    const call = `call-${calls++}`;
    return [
      { op: "reserve", idempotency_key: call, amount: 100, ttl: 600 },
      { op: "settle", idempotency_key: `${call}-cost`, reservation_id: call, amount: 60 },
    ];
  }).flat();
  const granted = await postBatch(sql, walletId, commands);
  if (granted < commands.length) throw new Error("the bench ran out of credit");
  return granted;
}

/** Reserves, then settles that, then reserves again: one command a time. */
function createCaller(ledger: Ledger, walletId: string): Operation {
  let reservationId: string | undefined;
  return async () => {
    if (reservationId === undefined) {
      ({ reservationId } = await ledger.reserve({ walletId, amount: 100n, ttl: 600 }));
    } else {
      await ledger.settle({ walletId, reservationId, amount: 60n });
      reservationId = undefined;
    }
    return 1;
  };
}

async function run(
  all: readonly Workload[],
  sql: postgres.Sql,
  { rounds, seconds, onRound }: BenchOptions,
): Promise<Round[]> {
  const done: Round[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const { name, wallet, workers, createOperation } of all) {
      const naive = (): Operation => async () => {
        await spendNaively(sql, wallet());
        return 1;
      };
      const base = await measure(naive, CONNECTIONS, seconds);
      const ours = await measure(() => createOperation(wallet), workers, seconds);
      const measured = { round, workload: name, naive: base.rate, ours };
      onRound?.(measured);
      done.push(measured);
    }
  }
  return done;
}

function summarize(rounds: readonly Round[]): Result[] {
  return [...Map.groupBy(rounds, ({ workload }) => workload)].map(([workload, measured]) => {
    const ratios = measured.map(({ naive, ours }) => ours.rate / naive);
    return {
      workload,
      ratio: { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) },
      naive: median(measured.map(({ naive }) => naive)),
      rate: median(measured.map(({ ours }) => ours.rate)),
      p99: median(measured.map(({ ours }) => ours.latency.p99)),
    };
  });
}
