/** What so many workers got done at once. */
export interface Measurement {
  /** Operations a second. */
  readonly rate: number;
  /** How long an operation took, in milliseconds, by percentile. */
  readonly latency: { readonly p50: number; readonly p95: number; readonly p99: number };
}

/** Does its work, and returns how many operations that was. */
export type Operation = () => Promise<number>;

/** Lets workers repeat an operation for a while; each makes its own. */
export async function measure(
  createOperation: () => Operation,
  workers: number,
  seconds: number,
): Promise<Measurement> {
  const times: number[] = [];
  let operations = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  const work = async (): Promise<void> => {
    const operation = createOperation();
    while (performance.now() < end) {
      const from = performance.now();
      // Not `+=` on the awaited value: others add while it is awaited.
      const done = await operation();
      operations += done;
      times.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  const elapsed = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { rate: operations / elapsed, latency: { p50: at(0.5), p95: at(0.95), p99: at(0.99) } };
}

/** The middle one of some values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
