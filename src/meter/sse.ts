import { readEvents } from "./events.ts";
import { type ReadAhead, type ReadingOptions, readAhead } from "./read-ahead.ts";

export { type StreamEnd, StreamStalledError } from "./read-ahead.ts";

export interface TapOptions extends ReadingOptions {
  /** Gets the data of each event; false takes the event out of what the caller sees. */
  event(data: string): boolean;
  /** Whether events can be taken out: then each is passed on when it is there as a whole. */
  readonly hides?: boolean | undefined;
  /** The longest event that is read, in bytes. Default 64 MiB. */
  readonly longest?: number | undefined;
}

export type Tapped = ReadAhead<Uint8Array>;

const MIB = 2 ** 20;

/**
 * Passes a stream of server-sent events on and reads its events. It reads ahead of the caller, so that usage
 * arrives whether or not the caller reads to the end.
 */
export function tap(body: ReadableStream<Uint8Array>, options: TapOptions): Tapped {
  const { hides = false, longest = 64 * MIB } = options;
  const events = readEvents({ event: options.event, hides, longest });
  return readAhead<Uint8Array, Uint8Array>(body, {
    ...options,
    pass(bytes) {
      const passed = bytes === undefined ? events.end() : events.push(bytes);
      return passed.length > 0 ? [passed] : [];
    },
    size: ({ byteLength }) => byteLength,
  });
}
