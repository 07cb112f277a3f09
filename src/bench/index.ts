/*
 * Measures the ledger beside what people write today; docs/performance.md shows the results.
 *
 *   run.ts           runBench: fills databases, runs the parts asked for, judges by goals.ts
 *   throughput.ts    measures workloads, each between two measurements of the naive statement:
 *     single-calls.ts  reserve and settle, a call each
 *     batches.ts       batches through `post`
 *     client.ts        callers of the TypeScript client
 *     naive.ts         the naive statement, and what else people write today
 *   sweep.ts         the expiry of due reservations
 *   mixed.ts         callers while something else runs beside them
 *   growth.ts        how rates depend on the size of the ledger
 *   verify.ts        `verify`
 *   disk.ts          bytes an event
 *
 * SQL is sent by generator.ts: a process of its own (generator-process.ts), which speaks the wire
 * protocol (wire.ts) and draws the parameters of its workloads (wire-workloads.ts). All use load.ts
 * (events in bulk), loads.ts, statements.ts, measure.ts (rates, latencies), server-cpu.ts and
 * server.ts; bench.ts and workload.ts have the types.
 */
export { type BenchOptions, PARTS, type Part } from "./bench.ts";
export { GOALS, type Outcome } from "./goals.ts";
export { createBenchProgress } from "./progress.ts";
export { printBench } from "./report.ts";
export { type BenchResult, runBench } from "./run.ts";
export { type Call, callsOf } from "./workload.ts";
