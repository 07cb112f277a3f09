// The tap of a stream: what passes, what it reads, and what happens when a reader does not want it all.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type StreamEnd, StreamStalledError, type TapOptions, tap } from "../../src/meter/sse.ts";

const encoder = new TextEncoder();
const EVENTS = ['{"text":"wörld 🌍"}', '{"text":"more"}', '{"usage":7}', "[DONE]"];
const isUsage = (data: string) => data.includes("usage");

/** Events with all that the format allows: names, ids, comments, data over lines, a mark at the start. */
function written(newline: string): string {
  const lines = [
    "\uFEFF: a comment",
    "",
    "event: first",
    `data: ${EVENTS[0]}`,
    "",
    "id: 1",
    `data:${EVENTS[1]}`,
    "",
    ": still here",
    "",
    'data: {"usage":',
    "data: 7}",
    "",
    "data: [DONE]",
    "",
    "",
  ];
  return lines.join(newline);
}

/** The same without the event that has usage. */
function withoutUsage(newline: string): string {
  const whole = written(newline);
  return whole.replace(`data: {"usage":${newline}data: 7}${newline}${newline}`, "");
}

interface Tapping {
  readonly chunks: readonly Uint8Array[];
  readonly options?: Partial<TapOptions>;
}

/** Taps a stream of these chunks, with what its callbacks got. */
function tapped({ chunks, options = {} }: Tapping) {
  const seen: string[] = [];
  const ends: StreamEnd[] = [];
  const source = provider(chunks);
  const result = tap(source.stream, {
    event: (data) => {
      seen.push(data.replace("\n", ""));
      return !(options.hides && isUsage(data));
    },
    ended: (end) => void ends.push(end),
    ...options,
  });
  return { ...result, seen, ends, source };
}

/** A stream that makes each chunk when it is asked to, and says how far it got. */
function provider(chunks: readonly Uint8Array[], last: "close" | "fail" | "hang" = "close") {
  const state = { sent: 0, cancelled: undefined as unknown };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[state.sent];
        if (chunk) {
          state.sent += 1;
          controller.enqueue(chunk);
        } else if (last === "close") controller.close();
        else if (last === "fail") controller.error(new Error("reset"));
      },
      cancel(reason) {
        state.cancelled = reason;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, state };
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return (await bytesOf(stream)).toString("utf8");
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

function cut(text: string, size: number): Uint8Array[] {
  const bytes = encoder.encode(text);
  const chunks = [];
  for (let from = 0; from < bytes.length; from += size)
    chunks.push(bytes.subarray(from, from + size));
  return chunks;
}

function cutAt(text: string, places: readonly number[]): Uint8Array[] {
  const bytes = encoder.encode(text);
  const at = [0, ...places.map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((to, i) => bytes.subarray(at[i], to));
}

describe.each([
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
])("lines that end with %s", (_, newline) => {
  test("are read and passed on unchanged, wherever they are cut in two", async () => {
    const text = written(newline);
    for (let at = 0; at <= encoder.encode(text).length; at++) {
      const { stream, seen, ends } = tapped({ chunks: cutAt(text, [at]) });
      expect(await textOf(stream)).toBe(text);
      expect(seen).toEqual(EVENTS);
      expect(ends).toEqual([{ how: "read" }]);
    }
  });

  test("lose the event that is taken out, and nothing else, wherever they are cut", async () => {
    const text = written(newline);
    const places = fc.array(fc.nat(1_000), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(places, async (at) => {
        const { stream, seen } = tapped({ chunks: cutAt(text, at), options: { hides: true } });
        expect(await textOf(stream)).toBe(withoutUsage(newline));
        expect(seen).toEqual(EVENTS);
      }),
      { examples: [[Array.from({ length: 1_000 }, (_, i) => i)]] },
    );
  });
});

test("any bytes pass unchanged", async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 20 }));
  const near = fc.array(
    fc.constantFrom("data: ", "\r", "\n", ":", "{}", "\uFEFF", "é").map((s) => encoder.encode(s)),
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(chunks, near), fc.boolean(), async (parts, hides) => {
      const { stream } = tapped({ chunks: parts, options: { hides } });
      expect(await bytesOf(stream)).toEqual(Buffer.concat(parts));
    }),
  );
});

test("the last event counts without the empty line behind it", async () => {
  for (const tail of ["", "\n", "\r"]) {
    const chunks = cut(`data: 1\n\ndata: {"usage":7}${tail}`, 3);
    const { stream, seen } = tapped({ chunks, options: { hides: true } });
    expect(await textOf(stream)).toBe("data: 1\n\n");
    expect(seen).toEqual(["1", '{"usage":7}']);
  }
});

test("a comment passes before an event follows", async () => {
  const { stream } = provider([encoder.encode(": wait\n\n")], "hang");
  const tapping = tap(stream, { event: () => true, ended: () => undefined, hides: true });
  const { value } = await tapping.stream.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe(": wait\n\n");
});

test("an event too long to read passes, and no more is read", async () => {
  const text = `data: 1\n\ndata: ${"x".repeat(5_000)}\n\ndata: {"usage":7}\n\n`;
  for (const hides of [true, false]) {
    const { stream, seen } = tapped({ chunks: cut(text, 10), options: { hides, longest: 1_000 } });
    expect(await textOf(stream)).toBe(text);
    expect(seen).toEqual(["1"]);
  }
});

test("a long stream of short events is never too long", async () => {
  const text = "data: 1\n\n".repeat(1_000);
  const { stream, seen } = tapped({ chunks: cut(text, 7), options: { hides: true, longest: 50 } });
  expect(await textOf(stream)).toBe(text);
  expect(seen).toHaveLength(1_000);
});

describe("the end", () => {
  test("is passed on when it has been dealt with", async () => {
    const order: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const { stream } = tapped({
      chunks: cut(written("\n"), 50),
      options: { ended: () => promise.then(() => void order.push("dealt with")) },
    });
    const read = textOf(stream).then(() => void order.push("read"));
    resolve();
    await read;
    expect(order).toEqual(["dealt with", "read"]);
  });

  test("fails the stream if it cannot be dealt with", async () => {
    const ended = () => Promise.reject(new Error("no ledger"));
    const { stream, done } = tapped({ chunks: cut(written("\n"), 50), options: { ended } });
    await expect(textOf(stream)).rejects.toThrow("no ledger");
    await done;
  });

  test("is a failure where the connection broke", async () => {
    const ends: StreamEnd[] = [];
    const { stream } = provider(cut("data: 1\n\nda", 4), "fail");
    const tapping = tap(stream, { event: () => true, ended: (end) => void ends.push(end) });
    await expect(textOf(tapping.stream)).rejects.toThrow("reset");
    expect(ends).toEqual([{ how: "failed", error: new Error("reset") }]);
  });

  test("is a failure where an event cannot be read, and the provider stops", async () => {
    const event = () => {
      throw new Error("strange");
    };
    const { stream, ends, source, done } = tapped({
      chunks: cut(written("\n"), 20),
      options: { event },
    });
    await expect(textOf(stream)).rejects.toThrow("strange");
    await done;
    expect(ends).toEqual([{ how: "failed", error: new Error("strange") }]);
    expect(source.state.cancelled).toEqual(new Error("strange"));
  });
});

describe("a reader who stops reading", () => {
  const chunks = cut(written("\n").repeat(20), 100);

  test("has the rest read ahead", async () => {
    const { seen, ends, done } = tapped({ chunks });
    await done;
    expect(seen).toHaveLength(80);
    expect(ends).toEqual([{ how: "read" }]);
  });

  test("makes the provider wait when enough was read ahead, and gets all if it goes on", async () => {
    const { stream, source, ends } = tapped({ chunks, options: { ahead: 500 } });
    const reader = stream.getReader();
    const first = await reader.read();
    await settled(() => source.state.sent);
    expect(source.state.sent).toBeLessThan(8);
    expect(ends).toEqual([]);
    let size = first.value?.length ?? 0;
    for (let part = await reader.read(); !part.done; part = await reader.read())
      size += part.value.length;
    expect(size).toBe(Buffer.concat(chunks).length);
    expect(ends).toEqual([{ how: "read" }]);
  });

  test("has given up after a while", async () => {
    const options = { ahead: 500, patience: 5 };
    const { stream, ends, source, done } = tapped({ chunks, options });
    await done;
    expect(ends).toEqual([{ how: "abandoned", reason: new StreamStalledError(5) }]);
    expect(source.state.cancelled).toBeInstanceOf(StreamStalledError);
    await expect(textOf(stream)).rejects.toBeInstanceOf(StreamStalledError);
  });

  test("has given up after a while, and the rest is drained", async () => {
    const options = { ahead: 500, patience: 5, abandoned: "drain" } as const;
    const { ends, seen, source, done } = tapped({ chunks, options });
    await done;
    expect(ends).toEqual([{ how: "read" }]);
    expect([seen.length, source.state.cancelled]).toEqual([80, undefined]);
  });
});

describe("a reader who cancels", () => {
  const chunks = cut(written("\n").repeat(20), 100);
  const options = { ahead: 300 };

  test("stops the provider, and what was read counts", async () => {
    const { stream, seen, ends, source, done } = tapped({ chunks, options });
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel("enough");
    await done;
    expect(ends).toEqual([{ how: "abandoned", reason: "enough" }]);
    expect(source.state.cancelled).toBe("enough");
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.length).toBeLessThan(80);
  });

  test("leaves the rest to be drained, and does not wait for it", async () => {
    const { stream, seen, ends, source, done } = tapped({
      chunks,
      options: { ...options, abandoned: "drain" },
    });
    await stream.cancel("enough");
    expect(ends).toEqual([]);
    await done;
    expect(ends).toEqual([{ how: "read" }]);
    expect([seen.length, source.state.cancelled]).toEqual([80, undefined]);
  });

  test("does so while the provider says nothing", async () => {
    const ends: StreamEnd[] = [];
    const { stream, state } = provider([encoder.encode("data: 1\n\n")], "hang");
    const tapping = tap(stream, { event: () => true, ended: (end) => void ends.push(end) });
    const reader = tapping.stream.getReader();
    await reader.read();
    await reader.cancel("enough");
    await tapping.done;
    expect(ends).toEqual([{ how: "abandoned", reason: "enough" }]);
    expect(state.cancelled).toBe("enough");
  });
});

describe("a caller who aborts", () => {
  const abort = new Error("aborted");

  test.each(["bound", "drain"] as const)("learns of it at once, with %s", async (abandoned) => {
    const control = new AbortController();
    const chunks = cut(written("\n").repeat(20), 100);
    const { stream, ends, done } = tapped({
      chunks,
      options: { abandoned, signal: control.signal, ahead: 300 },
    });
    const reader = stream.getReader();
    await reader.read();
    control.abort(abort);
    await expect(reader.read()).rejects.toBe(abort);
    await done;
    expect(ends).toEqual([
      abandoned === "drain" ? { how: "read" } : { how: "abandoned", reason: abort },
    ]);
  });

  test("has given up before it began", async () => {
    const { stream, ends, done } = tapped({
      chunks: cut(written("\n"), 10),
      options: { signal: AbortSignal.abort(abort) },
    });
    await expect(textOf(stream)).rejects.toBe(abort);
    await done;
    expect(ends).toEqual([{ how: "abandoned", reason: abort }]);
  });
});

/** When a figure no longer changes: many turns of the event loop. */
async function settled(figure: () => number): Promise<void> {
  for (let same = 0, last = figure(); same < 20; ) {
    await new Promise((resolve) => setImmediate(resolve));
    same = figure() === last ? same + 1 : 0;
    last = figure();
  }
}
