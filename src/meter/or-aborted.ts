/** An answer that is read to its end, for a caller who may not wait for that. */
export async function orAborted<T>(
  settled: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return settled;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([settled, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    settled.catch(() => undefined);
  }
}
