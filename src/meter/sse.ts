import { readEvents } from "./events.ts";

/** How the reading of a stream ended. */
export type StreamEnd =
  /** All of it was read, whether or not the caller still wanted it. */
  | { readonly how: "read" }
  /** The provider, or the connection, cut it short. */
  | { readonly how: "failed"; readonly error: unknown }
  /** The caller gave up, and it was not read further. */
  | { readonly how: "abandoned"; readonly reason: unknown };

export interface TapOptions {
  /** Told the data of each event; false takes the event out of what the caller sees. */
  event(data: string): boolean;
  /**
   * Called once, when no more events follow, before the caller learns of the end. If it rejects, the
   * caller's stream fails with its error.
   */
  ended(end: StreamEnd): void | Promise<void>;
  /** Whether events can be taken out: then each is passed on when it is there as a whole. */
  readonly hides?: boolean | undefined;
  /** What happens if the caller gives up: `bound` stops reading, `drain` reads to the end. */
  readonly abandoned?: "bound" | "drain" | undefined;
  /** Bytes that are read ahead of the caller; the provider waits beyond them. Default 8 MiB. */
  readonly ahead?: number | undefined;
  /** The longest event that is read, in bytes. Default 64 MiB. */
  readonly longest?: number | undefined;
  /** Milliseconds after which a caller who does not read has given up. Default 60,000. */
  readonly patience?: number | undefined;
  /** The caller's: aborting gives up. Not to be given to the request if the stream is drained. */
  readonly signal?: AbortSignal | undefined;
}

export interface Tapped {
  /** What the caller gets. */
  readonly stream: ReadableStream<Uint8Array>;
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
 * Passes a stream of server-sent events on and reads its events. It reads ahead of the caller, so that usage
 * arrives whether or not the caller reads to the end.
 */
export function tap(body: ReadableStream<Uint8Array>, options: TapOptions): Tapped {
  const { hides = false, abandoned = "bound", signal } = options;
  const { ahead = 8 * MIB, longest = 64 * MIB, patience = 60_000 } = options;
  const events = readEvents({ event: options.event, hides, longest });
  const source = body.getReader();
  let controller: ReadableStreamDefaultController<Uint8Array>;
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

  /** As `abandon`, for a caller who did not cancel the stream and so has to be told. */
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
        const passed = done ? events.end() : events.push(value);
        if (!given && passed.length > 0) controller.enqueue(passed);
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
  const stream = new ReadableStream<Uint8Array>(
    {
      start(its) {
        controller = its;
      },
      pull: () => wake(),
      cancel: abandon,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: Math.max(ahead, 1) }),
  );
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort);
  return { stream, done: run() };
}
