/*
 * Measures the ledger beside what people write today; docs/performance.md shows the results. Each
 * kind of measurement has a file: single-calls, batches and naive make workloads of SQL, which the
 * load generator sends (generator, generator-process, wire), and client those of callers; throughput
 * measures them. sweep, mixed, growth, verify and disk measure by themselves.
 */
export { type BenchOptions, PARTS, type Part } from "./bench.ts";
export { GOALS, type Outcome } from "./goals.ts";
export { createBenchProgress } from "./progress.ts";
export { printBench } from "./report.ts";
export { type BenchResult, runBench } from "./run.ts";
export { type Call, callsOf } from "./workload.ts";
