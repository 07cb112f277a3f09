/** Does a unit of work, and returns how many operations that was. */
export type Operation = () => Promise<number>;

/** How long an operation took, in milliseconds, by percentile. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** What clients did at once. */
export interface Run {
  readonly operations: number;
  /** Operations a second. */
  readonly rate: number;
  readonly latency: Latency;
  /** Microseconds of CPU time that the program of the clients used, an operation. */
  readonly clientCpu: number;
}

/** The same with what the server used; null where the system does not say. */
export interface Sample extends Run {
  readonly serverCpu: number | null;
}

/**
 * Lets clients repeat their operations for a while, each the next when the one before is answered.
 * What is under way at the end is waited for, and counted with the time that it took.
 */
export async function measure(clients: readonly Operation[], seconds: number): Promise<Run> {
  const times: number[] = [];
  let operations = 0;
  const cpu = process.cpuUsage();
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
  return summarizeRun({ operations, times, start, cpu });
}

/** Rate, latency and CPU time of a run that ends now, from its start by the clock and in CPU time. */
export function summarizeRun({
  operations,
  times,
  start,
  cpu,
}: {
  readonly operations: number;
  readonly times: readonly number[];
  readonly start: number;
  readonly cpu: NodeJS.CpuUsage;
}): Run {
  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    operations,
    rate: operations / elapsed,
    latency: latencyOf(times),
    clientCpu: (user + system) / operations,
  };
}

/** PostgreSQL plans a prepared statement for its values five times before it keeps one plan. */
export const WARM_UPS = 6;

/** Connects, plans and compiles before anything is measured: each client operates a few times. */
export async function warmUp(clients: readonly Operation[]): Promise<void> {
  for (let time = 0; time < WARM_UPS; time += 1)
    await Promise.all(clients.map((operate) => operate()));
}

function latencyOf(times: readonly number[]): Latency {
  const sorted = Float64Array.from(times).sort();
  const [p50 = Number.NaN, p95 = Number.NaN, p99 = Number.NaN] = [0.5, 0.95, 0.99].map((share) =>
    percentile(sorted, share),
  );
  return { p50, p95, p99 };
}

/** The least value that `share` of all are not above (nearest rank); values in ascending order. */
function percentile(ascending: ArrayLike<number>, share: number): number {
  const rank = Math.max(Math.ceil(share * ascending.length), 1);
  return ascending[rank - 1] ?? Number.NaN;
}

/** What repetitions of one measurement gave. */
export interface Figure {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Latencies in milliseconds, by percentile. */
export interface Latencies {
  readonly p50: Figure;
  readonly p95: Figure;
  readonly p99: Figure;
}

/** CPU time in microseconds an operation, of the server's processes and of the clients' program. */
export interface Cpu {
  readonly server: Figure | null;
  readonly client: Figure;
}

/** Median and range of at least one value. */
export function figureOf(values: readonly number[]): Figure {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** The CPU time over repetitions. */
export function cpuOf(samples: readonly Sample[]): Cpu {
  const server = samples.flatMap(({ serverCpu }) => (serverCpu === null ? [] : [serverCpu]));
  return {
    server: server.length > 0 ? figureOf(server) : null,
    client: figureOf(samples.map(({ clientCpu }) => clientCpu)),
  };
}

/** The range of each percentile over repetitions. */
export function latenciesOf(samples: readonly Run[]): Latencies {
  const of = (percentile: keyof Latencies) =>
    figureOf(samples.map(({ latency }) => latency[percentile]));
  return { p50: of("p50"), p95: of("p95"), p99: of("p99") };
}

/** The middle value; between the two middle ones where their number is even. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return mean([sorted[Math.floor(middle)] ?? Number.NaN, sorted[Math.ceil(middle)] ?? Number.NaN]);
}

/** The arithmetic mean. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
