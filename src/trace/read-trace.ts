import { createReadStream } from "node:fs";
import type { CsvError, Info } from "csv-parse";

/** One call of a model, as a trace records it. */
export interface TracedCall {
  /** Milliseconds since 1970, by the clock of the trace. */
  readonly at: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** A file that is not a trace, or a row that is not a call; the message says where and why. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

const COLUMNS = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] as const;
type Row = Readonly<Record<(typeof COLUMNS)[number], string>>;

// Far above any model's context; what is larger is a mistake in the file.
const MOST_TOKENS = 1_000_000_000;

/**
 * Reads a trace of calls, `TIMESTAMP,ContextTokens,GeneratedTokens`, one call at a time.
 *
 * Any file size, either line ending, a byte order mark and blank lines are fine, and so are
 * further columns. Anything else throws a {@link TraceError} that names the line.
 */
export async function* readTrace(path: string): AsyncGenerator<TracedCall> {
  const { parse } = await import("csv-parse");
  const file = createReadStream(path);
  const rows = parse({
    bom: true,
    columns: (header: string[]) => checkedHeader(path, header),
    info: true,
    skip_empty_lines: true,
    trim: true,
  });
  file.on("error", (error) => rows.destroy(error));
  let calls = 0;
  try {
    for await (const { record, info } of file.pipe(rows) as AsyncIterable<ParsedRow>) {
      calls += 1;
      yield toCall(record, `${path}, line ${info.lines}`);
    }
  } catch (error) {
    throw asTraceError(path, error);
  } finally {
    file.destroy();
  }
  if (calls === 0) {
    throw new TraceError(`${path}: no calls in it; expected rows of ${COLUMNS.join(",")}`);
  }
}

/** Reads a trace into memory: the first `most` calls of it. */
export async function loadTrace(
  path: string,
  most = Number.POSITIVE_INFINITY,
): Promise<TracedCall[]> {
  const calls: TracedCall[] = [];
  for await (const call of readTrace(path)) {
    calls.push(call);
    if (calls.length === most) break;
  }
  return calls;
}

/** The most output tokens that a call of a trace has, and at least one. */
export function longestAnswer(trace: readonly TracedCall[]): number {
  return trace.reduce((most, { outputTokens }) => Math.max(most, outputTokens), 1);
}

interface ParsedRow {
  readonly record: Row;
  readonly info: Info;
}

function checkedHeader(path: string, header: string[]): string[] {
  const missing = COLUMNS.filter((column) => !header.includes(column));
  if (missing.length > 0) {
    throw new TraceError(
      `${path}, line 1: expected the header ${COLUMNS.join(",")}, ` +
        `but ${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing`,
    );
  }
  return header;
}

function toCall(row: Row, place: string): TracedCall {
  return {
    at: parseTime(row.TIMESTAMP, place),
    inputTokens: parseTokens("ContextTokens", row.ContextTokens, place),
    outputTokens: parseTokens("GeneratedTokens", row.GeneratedTokens, place),
  };
}

function parseTime(text: string, place: string): number {
  const shape = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})?$/;
  const [, day, time, fraction, zone] = shape.exec(text) ?? [];
  // A time without a zone is read as UTC: only the distances between calls matter.
  const at = Date.parse(`${day}T${time}${zone ?? "Z"}`);
  if (Number.isNaN(at)) {
    throw new TraceError(
      `${place}: TIMESTAMP "${text}" is not a time like 2023-11-16 18:15:46.6805900`,
    );
  }
  return at + Number(fraction ?? 0) * 1000;
}

function parseTokens(column: string, text: string, place: string): number {
  const tokens = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(tokens <= MOST_TOKENS)) {
    throw new TraceError(`${place}: ${column} "${text}" is not a number of tokens`);
  }
  return tokens;
}

function asTraceError(path: string, error: unknown): TraceError {
  if (error instanceof TraceError) {
    return error;
  }
  const { code, message, lines } = error as CsvError & { readonly lines?: number };
  if (code?.startsWith("CSV_")) {
    return new TraceError(`${path}, line ${lines}: ${message}`, { cause: error });
  }
  return new TraceError(`${path}: ${message}`, { cause: error });
}
