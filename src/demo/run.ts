import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  balance,
  credit,
  type Discrepancy,
  limits,
  openWallet,
  statement,
  verify,
} from "../generated/index.ts";
import { createRandom, type TracedCall } from "../trace/index.ts";
import { startWorker, type WorkerLogger } from "../worker/index.ts";
import { runAgents } from "./agents.ts";
import { auditCustomer, type CustomerAudit, type CustomerResult, expectedEvents } from "./audit.ts";
import type { Connections } from "./connections.ts";
import { type Counters, type Customer, createCustomer, sumCounters } from "./counters.ts";
import { ALERT_AT, limitsOf, setLimits, unattendedBudget } from "./limits.ts";
import { type Credit, creditOf, type PlannedCall, type PlanOptions, planCalls } from "./plan.ts";
import type { DemoProgress, RunState } from "./progress.ts";
import { type ReceivedAlert, type Receiver, startReceiver } from "./receiver.ts";
import { RUNAWAY_CALLS, type Runaway, runRunaway } from "./runaway.ts";

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
export interface DemoResult {
  /** Whether the ledger is sound: nothing in `discrepancies`, and nothing in `problems`. */
  readonly sound: boolean;
  readonly seed: number;
  /** The file, or null when the trace was generated. */
  readonly trace: string | null;
  readonly agents: number;
  /** From the first command to the last, the wait for the last deadline included. */
  readonly seconds: number;
  readonly customers: readonly CustomerResult[];
  readonly total: Counters;
  readonly runaway: Runaway;
  /** What a receiver on this machine got. */
  readonly alerts: readonly ReceivedAlert[];
  /** How many counters of limits were compared with the journal. */
  readonly counters: number;
  /** What `verify` found. */
  readonly discrepancies: readonly Discrepancy[];
  /** What the check in TypeScript found. */
  readonly problems: readonly string[];
}

const LOOK_EVERY_MS = 250;
const LOOK_FOR_EXPIRY_EVERY_MS = 50;
// The last reservation of a dead agent lives for 3 s, and the expiry job wakes once a second.
const EXPIRY_WITHIN_MS = 15_000;
/** The worker looks for alerts once a second. */
const ALERT_WITHIN_MS = 15_000;
/** More combinations than a wallet of the demo has. */
const MOST_COUNTERS = 100_000;

/** Opens the wallets, runs the agents, waits for the last deadline, and audits it all. */
export async function runDemo(options: RunOptions): Promise<DemoResult> {
  const { connections, progress, trace, seed } = options;
  const plan = planCalls(trace, options, createRandom(seed));
  const customers = await openWallets(options, plan);
  // The one that has the most funds for what it plans.
  const victim = customers.at(-1) as Customer;
  const receiver = await startReceiver(connections.operator, victim.walletId);
  try {
    const worker = await startWorker({ url: connections.workerUrl, logger: options.logger });
    const began = performance.now();
    let lived: Lived | undefined;
    let seconds: number;
    try {
      await watch(options, customers, async () => {
        lived = await live(options, plan, customers, victim, receiver);
      });
      seconds = Math.round(performance.now() - began) / 1000;
    } finally {
      progress.stop();
      await worker.stop();
    }
    return await audit(options, customers, seconds, lived as Lived);
  } finally {
    await receiver.stop();
  }
}

/** What a run has shown beside the customers' numbers. */
interface Lived {
  readonly runaway: Runaway;
  readonly alerts: readonly ReceivedAlert[];
  readonly problems: readonly string[];
}

async function openWallets(
  { connections: { operator }, customers, credit: given }: RunOptions,
  plan: readonly PlannedCall[],
): Promise<Customer[]> {
  // Unique, so that no two runs use the same wallets.
  const run = `demo-${randomBytes(4).toString("hex")}`;
  return Promise.all(
    creditOf(given, plan, customers).map(async (planned, index) => {
      const amount = planned + unattendedBudget(planned);
      const name = `customer-${index + 1}`;
      const calls = plan.filter(({ customer }) => customer === index);
      const customer = createCustomer(`${run}/${name}`, name, limitsOf(calls, planned));
      const { walletId } = customer;
      await openWallet(operator, { walletId });
      await credit(operator, { walletId, amount, idempotencyKey: "first-credit" });
      customer.sent.credited = amount;
      await setLimits(operator, customer);
      return customer;
    }),
  );
}

async function live(
  { connections, agents }: RunOptions,
  plan: readonly PlannedCall[],
  customers: readonly Customer[],
  victim: Customer,
  receiver: Receiver,
): Promise<Lived> {
  const [runaway] = await Promise.all([
    runRunaway(victim, connections),
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

async function audit(
  { connections, progress, seed, traceFile, agents }: RunOptions,
  all: readonly Customer[],
  seconds: number,
  { alerts, problems: lived, runaway }: Lived,
): Promise<DemoResult> {
  const { auditor, operator, workerLogin } = connections;
  progress.step("Verifying the journal and its hash chain …");
  const verified = all.map(({ walletId }) => verify(auditor, { walletId }));
  const discrepancies = (await Promise.all(verified)).flat();
  progress.step("Checking balances against what the agents sent, limits against the journal …");
  let counters = 0;
  const auditOne = async (customer: Customer): Promise<CustomerAudit> => {
    const { walletId } = customer;
    const found = await balance(operator, { walletId });
    const uses = await limits(operator, { walletId, limit: MOST_COUNTERS });
    counters += uses.filter(({ labelValues }) => labelValues !== null).length;
    const lines = await statement(auditor, { walletId });
    return auditCustomer(customer, found, lines, uses, workerLogin);
  };
  const audits = await Promise.all(all.map(auditOne));
  const customers = audits.map(({ result }) => result);
  const problems = [...lived, ...audits.flatMap((one) => one.problems)];
  return {
    sound: discrepancies.length === 0 && problems.length === 0,
    seed,
    trace: traceFile ?? null,
    agents,
    seconds,
    customers,
    total: sumCounters(customers),
    runaway,
    alerts,
    counters,
    discrepancies,
    problems,
  };
}
