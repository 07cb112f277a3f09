import {
  formatNumber,
  joined,
  printLine,
  printTable,
  type SafeText,
  styled,
} from "../terminal/index.ts";
import type { DiskResult } from "./disk.ts";
import type { Outcome } from "./goals.ts";
import type { GrowthResult } from "./growth.ts";
import type { Cpu, Figure } from "./measure.ts";
import type { MixedResult } from "./mixed.ts";
import type { BenchResult } from "./run.ts";
import type { SweepResult } from "./sweep.ts";
import type { WorkloadResult } from "./throughput.ts";

/** Prints what was measured, and the goals last. */
export function printBench(result: BenchResult): void {
  section("Operations a second, beside the naive statement", result.workloads.map(workloadRow));
  section("CPU time of an operation, in microseconds", result.workloads.map(cpuRow));
  section("Sweep", result.sweeps.map(sweepRow));
  section("200 callers of the client, 5 % of whom die, beside others", result.mixed.map(mixedRow));
  section("Cost of a command by the events in the ledger", result.growth.map(growthRow));
  if (result.verify) {
    const { events, rate } = result.verify;
    printLine("");
    printLine(`verify of ${formatNumber(events)} events: ${formatNumber(rate.median)} a second`);
  }
  for (const disk of result.disk) printLine(describeDisk(disk));
  section("Goals", result.goals.map(goalRow));
  printLine(summaryOf(result));
}

type Row = Readonly<Record<string, string>>;
const TEXT = ["workload", "beside", "sweep", "goal of", "outcome"];

function section(title: string, rows: readonly Row[]): void {
  const [first] = rows;
  if (!first) return;
  printLine("");
  printLine(styled("bold", title));
  printTable(
    rows,
    Object.keys(first).filter((name) => !TEXT.includes(name)),
  );
}

function workloadRow({ name, naive, rate, ratio, latency }: WorkloadResult): Row {
  return {
    workload: name,
    "naive/s": formatNumber(naive.median),
    "ops/s": formatNumber(rate.median),
    "× naive": ratio.median.toFixed(2),
    "least–most": range(ratio, 2),
    "p50 ms": latency.p50.median.toFixed(1),
    p95: latency.p95.median.toFixed(1),
    p99: latency.p99.median.toFixed(1),
  };
}

function cpuRow({ name, cpu, naiveCpu }: WorkloadResult): Row {
  const server = ({ server: used }: Cpu) => (used ? formatNumber(used.median) : "–");
  return {
    workload: name,
    server: server(cpu),
    "naive's": server(naiveCpu),
    client: formatNumber(cpu.client.median, 1),
    "its naive's": formatNumber(naiveCpu.client.median, 1),
  };
}

function sweepRow({ name, reservations, rate, ratio }: SweepResult): Row {
  return {
    sweep: name,
    reservations: formatNumber(reservations),
    "a second": formatNumber(rate.median),
    "least–most": range(rate),
    "× naive": ratio.median.toFixed(2),
  };
}

function mixedRow({ beside, rate, ratio, latency, swept }: MixedResult): Row {
  return {
    beside,
    "ops/s": formatNumber(rate.median),
    "× alone": ratio.median.toFixed(2),
    "least–most": range(ratio, 2),
    "p50 ms": latency.p50.median.toFixed(1),
    p95: latency.p95.median.toFixed(1),
    p99: latency.p99.median.toFixed(1),
    swept: formatNumber(swept),
  };
}

function growthRow({ name, sizes, cost }: GrowthResult): Row {
  const rates = sizes.map(({ events, rate }) => [
    `/s at ${formatNumber(events)}`,
    formatNumber(rate.median),
  ]);
  return {
    workload: name,
    ...Object.fromEntries(rates),
    cost: `${cost.median.toFixed(2)} ×`,
    "least–most": range(cost, 2),
  };
}

function describeDisk({ keys, events, bytesAnEvent, otherBytes }: DiskResult): string {
  const length = keys === "short" ? "keys of some 12 characters" : "the client's own keys of 22";
  return (
    `an event on disk, ${length}: ${formatNumber(bytesAnEvent)} bytes, indexes included ` +
    `(${formatNumber(events)} events; wallets and open reservations: ` +
    `${(otherBytes / 1_000_000).toFixed(1)} MB)`
  );
}

function goalRow({ measure, bound, unit, measured, met }: Outcome): Row {
  const limit =
    "atLeast" in bound ? `≥ ${formatNumber(bound.atLeast)}` : `≤ ${formatNumber(bound.atMost)}`;
  const digits = (measured?.median ?? 0) < 100 ? 2 : 0;
  return {
    "goal of": measure,
    goal: `${limit} ${unit}`,
    measured: measured ? formatNumber(measured.median, digits) : "–",
    "least–most": measured ? range(measured, digits) : "–",
    outcome: outcome(met),
  };
}

function outcome(met: boolean | null): string {
  if (met === null) return "not measured";
  return met ? "met" : "missed";
}

function summaryOf({
  machine,
  trace,
  rounds,
  secondsEach,
  generator,
  workloads,
  discrepancies,
  seconds,
}: BenchResult): SafeText {
  const hasServerCpu = workloads.every(({ cpu }) => cpu.server !== null);
  const found =
    discrepancies === 0 ? "sound" : `NOT SOUND: ${formatNumber(discrepancies)} discrepancies`;
  return joined([
    "",
    `${rounds} rounds of ${secondsEach} s each; calls ${trace ? `of ${trace}` : "generated"}`,
    `${machine.processors} × ${machine.model}, ${machine.memoryGiB} GiB, ${machine.system}; ` +
      `PostgreSQL ${machine.postgres}, fsync on; Node ${machine.node}; client on the same machine`,
    `SQL sent by a program of its own over the wire protocol, ${generator.connections} connections`,
    ...(hasServerCpu ? [] : ["CPU time of the server: not shown, as this system has no /proc"]),
    `verify of everything that was written: ${found}; ${formatNumber(seconds)} s in all`,
  ]);
}

function range({ least, most }: Figure, digits = 0): string {
  return `${formatNumber(least, digits)}–${formatNumber(most, digits)}`;
}
