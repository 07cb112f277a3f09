/** How the reading of a stream ended. */
export type StreamEnd =
  /** All of it was read, whether or not the caller still wanted it. */
  | { readonly how: "read" }
  /** The provider, or the connection, cut it short. */
  | { readonly how: "failed"; readonly error: unknown }
  /** The caller gave up, and it was not read further. */
  | { readonly how: "abandoned"; readonly reason: unknown };

/** How a stream is read, whatever it consists of. */
export interface ReadingOptions {
  /**
   * Called once, when no more follows, before the caller learns of the end. If it rejects, the
   * caller's stream fails with its error.
   */
  ended(end: StreamEnd): void | Promise<void>;
  /** What happens if the caller gives up: `bound` stops reading, `drain` reads to the end. */
  readonly abandoned?: "bound" | "drain" | undefined;
  /** Bytes that are read ahead of the caller; the provider waits beyond them. Default 8 MiB. */
  readonly ahead?: number | undefined;
  /** Milliseconds after which a caller who does not read has given up. Default 60,000. */
  readonly patience?: number | undefined;
  /** The caller's: aborting gives up. Not to be given to the request if the stream is drained. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReadAheadOptions<In, Out> extends ReadingOptions {
  /** What the caller gets for a piece; undefined: the end, which gives what is left. */
  pass(piece: In | undefined): readonly Out[];
  /** Bytes that a piece takes while it waits for the caller. */
  size(piece: Out): number;
}

export interface ReadAhead<Out> {
  /** What the caller gets. */
  readonly stream: ReadableStream<Out>;
  /** When `ended` is done. Never rejects. */
  readonly done: Promise<void>;
}

const MIB = 2 ** 20;

/** The caller of a stream has stopped reading it. */
export class StreamStalledError extends Error {
  override readonly name = "StreamStalledError";
  constructor(patience: number) {
    super(`nothing was read from the stream for ${patience} ms`);
  }
}

/**
 * Passes a stream on, and reads it ahead of the caller, so that its end arrives whether or not the
 * caller reads so far.
 */
export function readAhead<In, Out>(
  body: ReadableStream<In>,
  options: ReadAheadOptions<In, Out>,
): ReadAhead<Out> {
  const { abandoned = "bound", ahead = 8 * MIB, patience = 60_000, signal } = options;
  const source = body.getReader();
  let controller: ReadableStreamDefaultController<Out>;
  /** Set once the caller has given up. */
  let given: { readonly reason: unknown } | undefined;
  let ended = false;
  let wake: () => void = () => undefined;

  function abandon(reason: unknown): void {
    if (given || ended) return;
    given = { reason };
    wake();
    // A read under way ends with it. The provider learns that nobody reads.
    if (abandoned === "bound") source.cancel(reason).catch(() => undefined);
  }

  /** As `abandon`, for a caller who did not cancel the stream, so that it fails for him. */
  function abort(reason: unknown): void {
    if (given || ended) return;
    controller.error(reason);
    abandon(reason);
  }

  /** Waits until the caller has taken enough, or has given up. */
  async function room(): Promise<void> {
    if (given || (controller.desiredSize ?? 0) > 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = resolve;
    const timer = setTimeout(() => abort(new StreamStalledError(patience)), patience);
    await promise;
    clearTimeout(timer);
  }

  async function readAll(): Promise<StreamEnd> {
    try {
      for (;;) {
        await room();
        const { done, value } = await source.read();
        if (given && abandoned === "bound") return { how: "abandoned", reason: given.reason };
        for (const piece of options.pass(done ? undefined : value)) {
          if (!given) controller.enqueue(piece);
        }
        if (done) return { how: "read" };
      }
    } catch (error) {
      if (given && abandoned === "bound") return { how: "abandoned", reason: given.reason };
      source.cancel(error).catch(() => undefined);
      return { how: "failed", error };
    }
  }

  async function run(): Promise<void> {
    const end = await readAll();
    try {
      await options.ended(end);
      ended = true;
      if (given) return;
      if (end.how === "failed") controller.error(end.error);
      else controller.close();
    } catch (error) {
      ended = true;
      if (!given) controller.error(error);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  const onAbort = () => abort(signal?.reason);
  const stream = new ReadableStream<Out>(
    {
      start(its) {
        controller = its;
      },
      pull: () => wake(),
      cancel: abandon,
    },
    { highWaterMark: Math.max(ahead, 1), size: options.size },
  );
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort);
  return { stream, done: run() };
}
