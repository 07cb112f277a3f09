import type { Bench } from "./bench.ts";
import { clients, naiveCallers } from "./client.ts";
import { type Load, openLoad } from "./loads.ts";
import {
  type Cpu,
  cpuOf,
  type Figure,
  figureOf,
  type Latencies,
  latenciesOf,
  mean,
  type Sample,
} from "./measure.ts";
import { naive } from "./naive.ts";
import { wireWorkloads } from "./wire-workloads.ts";
import type { Workload } from "./workload.ts";

/** The result of a workload. */
export interface WorkloadResult extends Pick<Workload, "name" | "family" | "wallets" | "clients"> {
  /** Operations a second of the naive statement, right before and after. */
  readonly naive: Figure;
  /** Operations a second. */
  readonly rate: Figure;
  /** The rate divided by that of the naive statement. */
  readonly ratio: Figure;
  readonly latency: Latencies;
  readonly naiveLatency: Latencies;
  readonly cpu: Cpu;
  readonly naiveCpu: Cpu;
}

const WORKLOADS: readonly Workload[] = [...wireWorkloads, ...clients];

/** A measurement, and those of its baseline right before and after. */
interface Measured {
  readonly naive: readonly [Sample, Sample];
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
 * (A B A C A …), in rounds: when the machine is slower for a minute, it is slower for both. The
 * naive statement is sent in the same way: by the load generator, or by as many callers.
 */
export async function measureThroughput(bench: Bench): Promise<WorkloadResult[]> {
  const all = workloadsOf(bench);
  const measured = new Map<Workload, Measured[]>(all.map((workload) => [workload, []]));
  const groups: {
    readonly baseline: Load;
    readonly workloads: readonly (readonly [Workload, Load])[];
  }[] = [];
  for (const { baseline, workloads } of groupsOf(all)) {
    const loads: [Workload, Load][] = [];
    for (const workload of workloads) loads.push([workload, await openLoad(bench, workload)]);
    groups.push({ baseline: await openLoad(bench, baseline), workloads: loads });
  }
  for (let round = 1; round <= bench.rounds; round += 1) {
    for (const { baseline, workloads } of groups) {
      let before = await step(bench, round, "naive", baseline);
      for (const [workload, load] of workloads) {
        const sample = await step(bench, round, workload.name, load, before);
        const after = await step(bench, round, "naive", baseline);
        measured.get(workload)?.push({ naive: [before, after], sample });
        before = after;
      }
    }
  }
  return all.map((workload) => summarize(workload, measured.get(workload) ?? []));
}

/** Workloads with the same baseline; that of the first is used for all of them. */
function groupsOf(
  all: readonly Workload[],
): { readonly baseline: Workload; readonly workloads: readonly Workload[] }[] {
  const groups = Map.groupBy(all, (workload) => baselineOf(workload).name);
  return [...groups.values()].flatMap((workloads) => {
    const [first] = workloads;
    return first ? [{ baseline: baselineOf(first), workloads }] : [];
  });
}

function baselineOf({ family, wallets, clients: callers }: Workload): Workload {
  return family === "client" ? naiveCallers(wallets, callers) : naive(wallets);
}

async function step(
  { progress, rounds, seconds }: Bench,
  round: number,
  name: string,
  load: Load,
  baseline?: Sample,
): Promise<Sample> {
  progress.begin(`round ${round} of ${rounds}: ${name}`);
  const sample = await load.measure(seconds);
  const ratio = baseline ? `, ${(sample.rate / baseline.rate).toFixed(2)} × naive` : "";
  progress.end(`${Math.round(sample.rate)}/s${ratio}`);
  return sample;
}

function summarize(
  { name, family, wallets, clients: at }: Workload,
  measured: readonly Measured[],
): WorkloadResult {
  const samples = measured.map(({ sample }) => sample);
  const baselines = measured.flatMap(({ naive: around }) => around);
  const naiveRates = measured.map(({ naive: around }) => mean(around.map(({ rate }) => rate)));
  return {
    name,
    family,
    wallets,
    clients: at,
    naive: figureOf(naiveRates),
    rate: figureOf(samples.map(({ rate }) => rate)),
    ratio: figureOf(samples.map(({ rate }, round) => rate / (naiveRates[round] ?? Number.NaN))),
    latency: latenciesOf(samples),
    naiveLatency: latenciesOf(baselines),
    cpu: cpuOf(samples),
    naiveCpu: cpuOf(baselines),
  };
}
