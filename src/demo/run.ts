import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  balance,
  credit,
  type Discrepancy,
  openWallet,
  statement,
  verify,
} from "../generated/index.ts";
import { createRandom, type NanoDollars, type Price, type TracedCall } from "../trace/index.ts";
import { startWorker, type WorkerLogger } from "../worker/index.ts";
import { runAgents } from "./agents.ts";
import { checkCustomer } from "./check.ts";
import type { Connections } from "./connections.ts";
import { createDelivery } from "./delivery.ts";
import { readJournal } from "./journal.ts";
import { type Credit, creditOf, type PlannedCall, type PlanOptions, planCalls } from "./plan.ts";
import type { CustomerSnapshot, Progress, Snapshot } from "./progress.ts";
import { type CustomerOutcome, type DemoResult, outcomeOf, totalOf } from "./result.ts";
import { emptyTally, expectedEvents, type Tally } from "./tally.ts";

/** What a run is made of. */
export interface RunOptions {
  readonly connections: Connections;
  readonly trace: readonly TracedCall[];
  /** The file that the trace came from. */
  readonly traceFile: string | undefined;
  readonly seed: number;
  readonly price: Price;
  readonly customers: number;
  readonly agents: number;
  readonly credit: Credit;
  /** How many times faster than the trace's clock. */
  readonly speed: number;
  readonly progress: Progress;
  /** Hears of trouble that the expiry job has. */
  readonly logger: WorkerLogger;
}

const LOOK_EVERY_MS = 250;
const LOOK_FOR_EXPIRY_EVERY_MS = 50;
// The last of the dying holds for 3 s, and the expiry job wakes once a second.
const EXPIRY_WITHIN_MS = 15_000;

/** Opens the wallets, runs the agents, waits for the last deadline, and audits it all. */
export async function runDemo(options: RunOptions): Promise<DemoResult> {
  const { connections, progress } = options;
  const plan = planCalls(options.trace, planOptions(options), createRandom(options.seed));
  const tallies = await openWallets(options, plan);
  const worker = await startWorker({ url: connections.workerUrl, logger: options.logger });
  const began = performance.now();
  let seconds: number;
  try {
    await watch(options, tallies, live(options, plan, tallies));
    seconds = Math.round(performance.now() - began) / 1000;
  } finally {
    progress.stop();
    await worker.stop();
  }
  return audit(options, tallies, seconds);
}

function planOptions({ price, customers, speed, trace }: RunOptions): PlanOptions {
  // What agents ask the model for at most: enough for every answer in the trace.
  const maxOutput = trace.reduce((most, call) => Math.max(most, call.outputTokens), 1);
  return { price, customers, speed, maxOutput };
}

async function openWallets(
  { connections, customers, credit: given }: RunOptions,
  plan: readonly PlannedCall[],
): Promise<Tally[]> {
  // A name of its own for each run, so that it never meets another's wallets.
  const run = `demo-${randomBytes(4).toString("hex")}`;
  const funds = creditOf(given, plan, customers);
  const open = async (amount: NanoDollars, index: number): Promise<Tally> => {
    const name = `customer-${index + 1}`;
    const tally = emptyTally(`${run}/${name}`, name);
    const { walletId } = tally;
    await openWallet(connections.operator, { walletId });
    await credit(connections.operator, { walletId, amount, idempotencyKey: "first-credit" });
    tally.credited = amount;
    return tally;
  };
  return Promise.all(funds.map(open));
}

async function live(
  { connections, agents }: RunOptions,
  plan: readonly PlannedCall[],
  tallies: readonly Tally[],
): Promise<void> {
  await runAgents({ plan, tallies, deliver: createDelivery(connections) }, agents);
  await untilExpired(connections, tallies);
}

async function watch(
  { connections, progress, trace }: RunOptions,
  tallies: readonly Tally[],
  running: Promise<void>,
): Promise<void> {
  const names = tallies.map(({ name }) => name);
  progress.start(trace.length, names);
  const ended = running.then(() => true);
  for (let over = false; !over; ) {
    over = await Promise.race([ended, delay(LOOK_EVERY_MS, false)]);
    progress.update(await look(connections, tallies));
  }
}

async function look({ operator }: Connections, tallies: readonly Tally[]): Promise<Snapshot> {
  const customers: CustomerSnapshot[] = await Promise.all(
    tallies.map(async ({ walletId, name }) => ({
      name,
      ...(await balance(operator, { walletId })),
    })),
  );
  const sum = (of: (tally: Tally) => number): number =>
    tallies.reduce((all, tally) => all + of(tally), 0);
  return {
    calls: sum((tally) => tally.granted + tally.refused),
    granted: sum((tally) => tally.granted),
    refused: sum((tally) => tally.refused),
    retried: sum((tally) => tally.lostAnswers),
    customers,
  };
}

async function untilExpired({ operator }: Connections, tallies: readonly Tally[]): Promise<void> {
  const giveUp = performance.now() + EXPIRY_WITHIN_MS;
  for (const tally of tallies) {
    // What does not come in time is found, and named, by the check.
    while (performance.now() < giveUp) {
      const { seq } = await balance(operator, { walletId: tally.walletId });
      if (seq >= expectedEvents(tally)) break;
      await delay(LOOK_FOR_EXPIRY_EVERY_MS);
    }
  }
}

async function audit(
  options: RunOptions,
  tallies: readonly Tally[],
  seconds: number,
): Promise<DemoResult> {
  const { connections, progress } = options;
  progress.step("Verifying the journal and its hash chain …");
  const discrepancies = await verifyWallets(connections, tallies);
  progress.step("Checking every balance against what the agents know they sent …");
  const audits = await Promise.all(tallies.map((tally) => auditCustomer(connections, tally)));
  const customers = audits.map(({ outcome }) => outcome);
  const problems = audits.flatMap((one) => one.problems);
  return {
    sound: discrepancies.length === 0 && problems.length === 0,
    seed: options.seed,
    trace: options.traceFile ?? null,
    agents: options.agents,
    seconds,
    customers,
    total: totalOf(customers),
    discrepancies,
    problems,
  };
}

async function verifyWallets(
  { auditor }: Connections,
  tallies: readonly Tally[],
): Promise<Discrepancy[]> {
  const found = await Promise.all(tallies.map(({ walletId }) => verify(auditor, { walletId })));
  return found.flat();
}

async function auditCustomer(
  { auditor, operator, workerLogin }: Connections,
  tally: Tally,
): Promise<{ readonly outcome: CustomerOutcome; readonly problems: string[] }> {
  const { walletId } = tally;
  const found = await balance(operator, { walletId });
  const journal = readJournal(await statement(auditor, { walletId }), workerLogin);
  return {
    outcome: outcomeOf(tally, found, journal),
    problems: checkCustomer(tally, found, journal),
  };
}
