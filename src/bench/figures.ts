import type { Measure } from "./goals.ts";
import type { BenchResult } from "./results.ts";
import type { Figure } from "./statistics.ts";

/** What the goals are held against, of all that was measured. */
export function figuresOf({
  workloads,
  sweeps,
  verify,
  growth,
  disk,
}: Pick<BenchResult, "workloads" | "sweeps" | "verify" | "growth" | "disk">): Partial<
  Record<Measure, Figure>
> {
  const workload = (wanted: string) => workloads.find(({ name }) => name === wanted);
  const hotCallers = workload("client, 200 callers, hot");
  const weight = disk.find(({ keys }) => keys === "short")?.bytesAnEvent;
  const found: Record<Measure, Figure | undefined> = {
    singles: workload("single calls, spread")?.ratio,
    batches: workload("batches of 100, spread")?.ratio,
    hotBatches: workload("batches of 100, hot")?.ratio,
    hotCallers: hotCallers?.ratio,
    hotCallersP99: hotCallers?.latency.p99,
    sweep: sweeps[0]?.rate,
    verify: verify?.rate,
    // Of the workload that suffers most.
    growth: growth.map(({ cost }) => cost).sort((a, b) => b.median - a.median)[0],
    bytes: weight === undefined ? undefined : { median: weight, least: weight, most: weight },
  };
  return Object.fromEntries(Object.entries(found).filter(([, figure]) => figure !== undefined));
}
