import { percentile } from "./statistics.ts";

/** Does a unit of work, and returns how many operations that was. */
export type Operation = () => Promise<number>;

/** How long an operation took, in milliseconds, by percentile. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** What clients got done at once. */
export interface Sample {
  /** Operations a second. */
  readonly rate: number;
  readonly latency: Latency;
}

/**
 * Lets clients repeat their operations for a while, each the next when the one before is answered.
 * What is under way at the end is waited for, and counted with the time that it took.
 */
export async function measure(clients: readonly Operation[], seconds: number): Promise<Sample> {
  const times: number[] = [];
  let operations = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  const work = async (operate: Operation): Promise<void> => {
    for (let from = performance.now(); from < end; ) {
      // Not `+=` on the awaited value: others add while it is awaited.
      const done = await operate();
      operations += done;
      const now = performance.now();
      times.push(now - from);
      from = now;
    }
  };
  await Promise.all(clients.map(work));
  const elapsed = (performance.now() - start) / 1000;
  return { rate: operations / elapsed, latency: latencyOf(times) };
}

/** Connects, plans and compiles before anything is measured: each client goes a few times. */
export async function warmUp(clients: readonly Operation[]): Promise<void> {
  // PostgreSQL plans a prepared statement for its values five times before it keeps one plan.
  for (let time = 0; time < 6; time += 1) await Promise.all(clients.map((operate) => operate()));
}

function latencyOf(times: readonly number[]): Latency {
  const sorted = Float64Array.from(times).sort();
  const [p50 = Number.NaN, p95 = Number.NaN, p99 = Number.NaN] = [0.5, 0.95, 0.99].map((share) =>
    percentile(sorted, share),
  );
  return { p50, p95, p99 };
}
