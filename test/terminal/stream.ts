import { PassThrough } from "node:stream";

/** A stream that looks like a terminal or a file, and what was written to it. */
export function createStream({ isTTY }: { readonly isTTY: boolean }): {
  readonly stream: NodeJS.WriteStream;
  readonly written: () => string;
} {
  const stream = Object.assign(new PassThrough(), {
    isTTY,
    columns: 80,
    hasColors: () => isTTY,
    getColorDepth: () => (isTTY ? 24 : 1),
  });
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  return { stream: stream as unknown as NodeJS.WriteStream, written: () => text };
}
