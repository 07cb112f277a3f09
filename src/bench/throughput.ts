import { batches } from "./batches.ts";
import type { Bench } from "./bench.ts";
import { clients } from "./client.ts";
import {
  type Figure,
  figureOf,
  type Latencies,
  latenciesOf,
  mean,
  measure,
  type Operation,
  type Sample,
  warmUp,
} from "./measure.ts";
import { comparators, naive } from "./naive.ts";
import { CLIENTS } from "./server.ts";
import { singles } from "./single-calls.ts";
import { createPicker, type Distribution, type Family, type Workload } from "./workload.ts";

/** The result of a workload. */
export interface WorkloadResult
  extends Pick<Workload, "name" | "family" | "wallets" | "clients" | "line"> {
  /** Operations a second of the naive statement, right before and after. */
  readonly naive: Figure;
  /** Operations a second. */
  readonly rate: Figure;
  /** The rate divided by that of the naive statement. */
  readonly ratio: Figure;
  readonly latency: Latencies;
}

const WORKLOADS: readonly Workload[] = [...singles, ...batches, ...clients, ...comparators];

/** A measurement, and the rate of the naive statement around it. */
interface Measured {
  readonly naive: number;
  readonly sample: Sample;
}

/** The workloads that a bench measures. */
function workloadsOf({ parts, quick }: Pick<Bench, "parts" | "quick">): Workload[] {
  const asked: readonly string[] = parts;
  return WORKLOADS.filter(({ family, isGoal }) => asked.includes(family) && (isGoal || !quick));
}

/** How many measurements that takes. */
export function throughputSteps(bench: Pick<Bench, "parts" | "quick" | "rounds">): number {
  const all = workloadsOf(bench);
  return bench.rounds * (all.length + groupsOf(all).length + all.length);
}

/**
 * Measures each workload between two measurements of the naive statement over the same wallets
 * (A B A C A …), in rounds: when the machine is slower for a minute, it is slower for both.
 */
export async function measureThroughput(bench: Bench): Promise<WorkloadResult[]> {
  const all = workloadsOf(bench);
  const measured = new Map<Workload, Measured[]>(all.map((workload) => [workload, []]));
  const groups = groupsOf(all).map(({ wallets, workloads }) => ({
    baseline: operationsOf(bench, { ...BASELINE, wallets }),
    workloads: workloads.map((workload) => ({
      workload,
      operations: operationsOf(bench, workload),
    })),
  }));
  for (const { baseline, workloads } of groups) {
    await warmUp(baseline);
    for (const { operations } of workloads) await warmUp(operations);
  }
  for (let round = 1; round <= bench.rounds; round += 1) {
    for (const { baseline, workloads } of groups) {
      let before = await step(bench, round, BASELINE.name, baseline);
      for (const { workload, operations } of workloads) {
        const sample = await step(bench, round, workload.name, operations, before);
        const after = await step(bench, round, BASELINE.name, baseline);
        measured.get(workload)?.push({ naive: mean([before.rate, after.rate]), sample });
        before = after;
      }
    }
  }
  return all.map((workload) => summarize(workload, measured.get(workload) ?? []));
}

const BASELINE: Workload = {
  name: "naive",
  family: "comparators",
  wallets: "hot",
  clients: CLIENTS,
  create: naive,
};

function groupsOf(
  all: readonly Workload[],
): { readonly wallets: Distribution; readonly workloads: readonly Workload[] }[] {
  const groups = Map.groupBy(all, ({ wallets }) => wallets);
  return [...groups].map(([wallets, workloads]) => ({ wallets, workloads }));
}

/** The operations of a workload's clients, each with what it remembers. */
export function operationsOf(bench: Bench, workload: Workload, of = databaseOf): Operation[] {
  const { nextCall, random, wallets: spread, zipfWallets: zipf } = bench;
  const ground = { database: of(bench, workload.family), nextCall };
  const pick = createPicker(workload.wallets, { spread, zipf }, random);
  return Array.from({ length: workload.clients }, (_, client) =>
    workload.create(ground, pick, client),
  );
}

function databaseOf({ byStatement, throughClient }: Bench, family: Family) {
  return family === "client" ? throughClient : byStatement;
}

async function step(
  { progress, rounds, seconds }: Bench,
  round: number,
  name: string,
  operations: readonly Operation[],
  baseline?: Sample,
): Promise<Sample> {
  progress.begin(`round ${round} of ${rounds}: ${name}`);
  const sample = await measure(operations, seconds);
  const ratio = baseline ? `, ${(sample.rate / baseline.rate).toFixed(2)} × naive` : "";
  progress.end(`${Math.round(sample.rate)}/s${ratio}`);
  return sample;
}

function summarize(
  { name, family, wallets, clients: at, line }: Workload,
  measured: readonly Measured[],
): WorkloadResult {
  return {
    name,
    family,
    wallets,
    clients: at,
    ...(line !== undefined && { line }),
    naive: figureOf(measured.map(({ naive: rate }) => rate)),
    rate: figureOf(measured.map(({ sample }) => sample.rate)),
    ratio: figureOf(measured.map(({ naive: rate, sample }) => sample.rate / rate)),
    latency: latenciesOf(measured.map(({ sample }) => sample)),
  };
}
