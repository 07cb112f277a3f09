import { batches } from "./batch.ts";
import type { Bench } from "./bench.ts";
import { clients } from "./client.ts";
import { comparators, naive } from "./comparators.ts";
import { measure, type Operation, type Sample, warmUp } from "./measure.ts";
import type { Latencies, WorkloadResult } from "./results.ts";
import { CLIENTS } from "./server.ts";
import { singles } from "./single.ts";
import { figureOf, mean } from "./statistics.ts";
import { type Distribution, pickerOf } from "./wallets.ts";
import type { Family, Workload } from "./workload.ts";

const WORKLOADS: readonly Workload[] = [...singles, ...batches, ...clients, ...comparators];

/** A measurement, and the rate of the naive statement around it. */
interface Measured {
  readonly naive: number;
  readonly sample: Sample;
}

/** The workloads that a bench measures. */
export function workloadsOf({ parts, quick }: Pick<Bench, "parts" | "quick">): Workload[] {
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
 * (A B A C A …), and all of that in rounds: what the machine does in a minute, it does to both.
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
  const field = { database: of(bench, workload.family), nextCall };
  const pick = pickerOf(workload.wallets, { spread, zipf }, random);
  return Array.from({ length: workload.clients }, (_, client) =>
    workload.create(field, pick, client),
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

/** The spread of each percentile over repetitions. */
export function latenciesOf(samples: readonly Sample[]): Latencies {
  const of = (percentile: keyof Latencies) =>
    figureOf(samples.map(({ latency }) => latency[percentile]));
  return { p50: of("p50"), p95: of("p95"), p99: of("p99") };
}
