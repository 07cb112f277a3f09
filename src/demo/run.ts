import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { balance, credit, openWallet } from "../generated/index.ts";
import { type CallUsage, importSeed } from "../prices/index.ts";
import { createRandom, type TracedCall } from "../trace/index.ts";
import type { Usage } from "../wire/index.ts";
import { startWorker, type Worker, type WorkerLogger } from "../worker/index.ts";
import { runAgents } from "./agents.ts";
import { expectedEvents } from "./audit.ts";
import { type Audit, auditAll } from "./audit-all.ts";
import type { Connections } from "./connections.ts";
import { type Counters, type Customer, createCustomer, sumCounters } from "./counters.ts";
import { type Credit, creditOf, forecast } from "./forecast.ts";
import { ALERT_AT, limitsOf, setLimits, unattendedBudget, unattendedCall } from "./limits.ts";
import { type PlannedCall, type PlanOptions, planCalls } from "./plan.ts";
import type { DemoProgress, RunState } from "./progress.ts";
import { type ReceivedAlert, type Receiver, startReceiver } from "./receiver.ts";
import { RUNAWAY_CALLS, type Runaway, runawayId, runRunaway } from "./runaway.ts";

/** The options of a run. */
export interface RunOptions extends PlanOptions {
  readonly connections: Connections;
  readonly trace: readonly TracedCall[];
  /** The file that the trace came from. */
  readonly traceFile: string | undefined;
  readonly seed: number;
  readonly agents: number;
  readonly credit: Credit;
  readonly progress: DemoProgress;
  /** Of the expiry job. */
  readonly logger: WorkerLogger;
}

/** The result of a run. */
export interface DemoResult extends Audit {
  /** Whether the ledger is sound: nothing in `discrepancies`, and nothing in `problems`. */
  readonly sound: boolean;
  readonly seed: number;
  /** The file, or null when the trace was generated. */
  readonly trace: string | null;
  readonly agents: number;
  /** From the first command to the last, the wait for the last deadline included. */
  readonly seconds: number;
  readonly total: Counters;
  readonly runaway: Runaway;
  /** What a receiver on this machine got. */
  readonly alerts: readonly ReceivedAlert[];
}

const LOOK_EVERY_MS = 250;
const LOOK_FOR_EXPIRY_EVERY_MS = 50;
// The last reservation of a dead agent lives for 3 s, and the expiry job wakes once a second.
const EXPIRY_WITHIN_MS = 15_000;
/** The worker looks for alerts once a second. */
const ALERT_WITHIN_MS = 15_000;

/** Opens the wallets, runs the agents, waits for the last deadline, and audits it all. */
export async function runDemo(options: RunOptions): Promise<DemoResult> {
  const { connections, progress, trace, seed, traceFile, agents } = options;
  const plan = planCalls(trace, options, createRandom(seed));
  const { customers, job, worker } = await prepare(options, plan);
  // The one that has the most funds for what it plans.
  const victim = customers.at(-1) as Customer;
  const began = performance.now();
  let seconds: number;
  let lived: Lived | undefined;
  const receiver = await startReceiver(connections.operator, victim.walletId);
  try {
    try {
      await watch(options, customers, async () => {
        lived = await live(options, plan, customers, { victim, usage: job.uses, receiver });
      });
      seconds = Math.round(performance.now() - began) / 1000;
    } finally {
      progress.stop();
      await worker.stop();
    }
    const { alerts, problems, runaway } = lived as unknown as Lived;
    const audit = await auditAll(options, customers, usageSent(plan, job));
    const allProblems = [...problems, ...audit.problems];
    return {
      sound: audit.discrepancies.length === 0 && allProblems.length === 0,
      ...{ seed, trace: traceFile ?? null, agents, seconds },
      ...audit,
      total: sumCounters(audit.customers),
      ...{ runaway, alerts, problems: allProblems },
    };
  } finally {
    await receiver.stop();
  }
}

/** The usage that agents send for each reservation. */
function usageSent(plan: readonly PlannedCall[], job: CallUsage): Map<string, CallUsage> {
  const repeated = { reserves: job.uses, uses: job.uses };
  return new Map([
    ...plan.map((call) => [call.id, call] as const),
    ...Array.from({ length: RUNAWAY_CALLS }, (_, n) => [runawayId(n + 1), repeated] as const),
  ]);
}

/** What agents and audit need. */
interface Prepared {
  readonly customers: readonly Customer[];
  /** What the unattended job does, again and again. */
  readonly job: CallUsage;
}

/** Starts the worker while prices are imported, which takes the longest. */
async function prepare(
  options: RunOptions,
  plan: readonly PlannedCall[],
): Promise<Prepared & { readonly worker: Worker }> {
  const { connections, logger } = options;
  const [opened, started] = await Promise.allSettled([
    openWallets(options, plan),
    startWorker({ url: connections.workerUrl, logger }),
  ]);
  if (opened.status === "fulfilled" && started.status === "fulfilled") {
    return { ...opened.value, worker: started.value };
  }
  if (started.status === "fulfilled") await started.value.stop();
  throw opened.status === "rejected" ? opened.reason : (started as PromiseRejectedResult).reason;
}

/** What a run has shown beside the customers' numbers. */
interface Lived {
  readonly runaway: Runaway;
  readonly alerts: readonly ReceivedAlert[];
  readonly problems: readonly string[];
}

async function openWallets(
  { connections: { operator, workerLogin }, customers, credit: given, progress }: RunOptions,
  plan: readonly PlannedCall[],
): Promise<Prepared> {
  // The prices of somebody else's server are theirs.
  if (workerLogin !== undefined) {
    progress.step("Importing list prices …");
    await importSeed(operator);
  }
  const calls = await forecast(operator, plan);
  // Unique, so that no two runs use the same wallets.
  const run = `demo-${randomBytes(4).toString("hex")}`;
  const credits = creditOf(given, calls, customers);
  const opened = credits.map(async (planned, index) => {
    const unattended = unattendedBudget(unattendedCall(calls, planned));
    const amount = planned + unattended;
    const name = `customer-${index + 1}`;
    const own = calls.filter(({ customer }) => customer === index);
    const customer = createCustomer(`${run}/${name}`, name, limitsOf(own, planned, unattended));
    const { walletId } = customer;
    await openWallet(operator, { walletId });
    await credit(operator, { walletId, amount, idempotencyKey: "first-credit" });
    customer.sent.credited = amount;
    await setLimits(operator, customer);
    return customer;
  });
  const job = unattendedCall(calls, credits.at(-1) ?? 0n);
  return { customers: await Promise.all(opened), job };
}

/** The runaway agent: whose funds it takes, and what it uses in each call. */
interface Job {
  readonly victim: Customer;
  readonly usage: Usage;
  readonly receiver: Receiver;
}

async function live(
  { connections, agents }: RunOptions,
  plan: readonly PlannedCall[],
  customers: readonly Customer[],
  { victim, usage, receiver }: Job,
): Promise<Lived> {
  const [runaway] = await Promise.all([
    runRunaway(victim, usage, connections),
    runAgents(plan, customers, connections, agents),
  ]);
  await untilExpired(connections, customers);
  // On somebody else's server another worker may send it, from another machine.
  const isOwn = connections.workerLogin !== undefined;
  const isDue =
    isOwn && runaway.stopped > 0 && runaway.spent * 100n >= runaway.limit * BigInt(ALERT_AT);
  const arrived = isDue ? await receiver.hasReceived(ALERT_WITHIN_MS) : true;
  const problems = [
    ...(runaway.spent > runaway.limit ? ["the runaway agent has passed the limit of its run"] : []),
    ...(arrived ? [] : ["no alert has arrived of the runaway agent"]),
    ...(receiver.alerts.every(({ isSigned }) => isSigned) ? [] : ["an alert is signed wrongly"]),
  ];
  return { runaway, alerts: receiver.alerts, problems };
}

async function watch(
  { connections: { operator }, progress, trace }: RunOptions,
  customers: readonly Customer[],
  run: () => Promise<void>,
): Promise<void> {
  const look = async (): Promise<RunState> => ({
    planned: trace.length + RUNAWAY_CALLS,
    funds: await Promise.all(
      customers.map(async ({ walletId, name }) => {
        return { name, ...(await balance(operator, { walletId })) };
      }),
    ),
    sent: sumCounters(customers.map(({ sent }) => sent)),
  });
  progress.start(await look());
  const ended = run().then(() => true);
  for (let over = false; !over; ) {
    over = await Promise.race([ended, delay(LOOK_EVERY_MS, false)]);
    progress.update(await look());
  }
}

async function untilExpired(
  { operator }: Connections,
  customers: readonly Customer[],
): Promise<void> {
  const giveUp = performance.now() + EXPIRY_WITHIN_MS;
  for (const customer of customers) {
    // The audit reports what does not come in time.
    while (performance.now() < giveUp) {
      const { seq } = await balance(operator, { walletId: customer.walletId });
      if (seq >= expectedEvents(customer)) break;
      await delay(LOOK_FOR_EXPIRY_EVERY_MS);
    }
  }
}
