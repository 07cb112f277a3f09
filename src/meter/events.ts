import { createParser } from "eventsource-parser";

const LF = 10;
const CR = 13;

/** Cuts a stream of server-sent events into the bytes of each event. */
export interface Events {
  /** Takes bytes in, and gives back those that can be passed on. */
  push(bytes: Uint8Array): Uint8Array;
  /** The end of the stream: gives back what is left. */
  end(): Uint8Array;
}

export interface EventsOptions {
  /** Gets the data of each event; false takes the event out of the stream. */
  event(data: string): boolean;
  /** Whether events can be taken out. If not, bytes are passed on at once. */
  readonly hides: boolean;
  /** Longer events, in bytes, are passed on but not read, and nothing after them is. */
  readonly longest: number;
}

/**
 * The parser takes text, and does not say which bytes an event was. So it gets one line at a time, and an
 * event is the bytes since the one before.
 */
export function readEvents({ event, hides, longest }: EventsOptions): Events {
  /** The line that has not ended. */
  let line: Uint8Array[] = [];
  /** Bytes of the event that has not ended, without that line. */
  let held: Uint8Array[] = [];
  let size = 0;
  let reading = true;
  let dispatched: boolean | undefined;
  const parser = createParser({
    onEvent: ({ data }) => {
      dispatched = event(data);
    },
  });
  // A mark at the start of the stream is the parser's to remove; elsewhere it belongs to the text.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** A line with its end; gives back the event's bytes if it was the last line of one. */
  function endLine(): Uint8Array[] {
    const bytes = line.length === 1 && line[0] ? line[0] : Buffer.concat(line);
    line = [];
    dispatched = undefined;
    parser.feed(decoder.decode(bytes));
    if (hides) held.push(bytes);
    if (bytes[0] !== LF && bytes[0] !== CR) return [];
    size = 0;
    // An empty line after nothing but a comment ends no event.
    return flush(dispatched ?? true);
  }

  function flush(pass: boolean): Uint8Array[] {
    const all = held;
    held = [];
    return pass ? all : [];
  }

  function stop(): Uint8Array[] {
    reading = false;
    parser.reset();
    const all = hides ? [...held, ...line] : [];
    held = [];
    line = [];
    return all;
  }

  return {
    push(bytes) {
      if (!reading) return bytes;
      const out: Uint8Array[] = [];
      let from = 0;
      for (let to = endOfLine(bytes, 0, line); to !== -1; to = endOfLine(bytes, from, line)) {
        if (to > from) line.push(bytes.subarray(from, to));
        out.push(...endLine());
        from = to;
      }
      if (from < bytes.length) line.push(bytes.subarray(from));
      size += bytes.length;
      if (size > longest) out.push(...stop());
      return hides ? Buffer.concat(out) : bytes;
    },
    end() {
      if (!reading) return Buffer.of();
      const out = line.length > 0 ? endLine() : [];
      dispatched = undefined;
      // A stream may end without the empty line that ends its last event.
      parser.feed("\n\n");
      return Buffer.concat([...out, ...flush(dispatched ?? true)]);
    },
  };
}

/**
 * Where the line ends that goes on at `from`, past its end mark; -1 if not in these bytes. A CR at their
 * end may be the first half of a CRLF, so that line ends with the next bytes.
 */
function endOfLine(bytes: Uint8Array, from: number, before: readonly Uint8Array[]): number {
  if (from >= bytes.length) return -1;
  if (before.at(-1)?.at(-1) === CR) return bytes[from] === LF ? from + 1 : from;
  for (let i = from; i < bytes.length; i++) {
    if (bytes[i] === LF) return i + 1;
    if (bytes[i] !== CR) continue;
    if (i + 1 === bytes.length) return -1;
    return bytes[i + 1] === LF ? i + 2 : i + 1;
  }
  return -1;
}
