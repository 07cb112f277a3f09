import { createReadStream } from "node:fs";
import type { CsvError, Info } from "csv-parse";
import type { TracedCall } from "./traced-call.ts";

/** A call of a file. */
export interface LoggedCall extends TracedCall {
  /** Where it stands in the file. */
  readonly line: number;
}

/** A file that is not a trace, or a row that is not a call; the message says where and why. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

const EXPECTED = "TIMESTAMP,ContextTokens,GeneratedTokens";
const TIME = "TIMESTAMP";
/** Columns for kinds of usage that must have a number in each row. */
const TOKENS: Readonly<Record<string, string>> = {
  ContextTokens: "input",
  GeneratedTokens: "output",
};
/** A column that is named so is usage. */
const USAGE = /^[a-z][a-z0-9_]{0,62}$/;
const NAMES = ["model", "variant"];

type Row = Readonly<Record<string, string>>;

// Far above any model's context; what is larger is a mistake in the file.
const MOST = 1_000_000_000;

/**
 * Reads a trace of calls, `TIMESTAMP,ContextTokens,GeneratedTokens`, one call at a time. Beside these
 * two or in place of them, each column whose name is in lower case is usage: `model`, `variant`, or
 * a kind such as `input` or `cache_read`, which is empty where a call has none of it.
 *
 * Any file size, either line ending, a byte order mark and blank lines are fine, and so are
 * columns with other names. Anything else throws a {@link TraceError} that names line and column.
 */
export async function* readTrace(path: string): AsyncGenerator<LoggedCall> {
  const { parse } = await import("csv-parse");
  const file = createReadStream(path);
  let columns: string[] = [];
  const rows = parse({
    bom: true,
    columns: (header: string[]) => {
      checkHeader(header, `${path}, line 1`);
      columns = header.filter((column) => kindOf(column) !== undefined);
      return header;
    },
    info: true,
    skip_empty_lines: true,
    trim: true,
  });
  file.on("error", (error) => rows.destroy(error));
  let calls = 0;
  try {
    for await (const { record, info } of file.pipe(rows) as AsyncIterable<ParsedRow>) {
      calls += 1;
      yield toCall(record, columns, path, info.lines);
    }
  } catch (error) {
    throw asTraceError(path, error);
  } finally {
    file.destroy();
  }
  if (calls === 0) {
    throw new TraceError(`${path}: no calls in it; expected rows of ${EXPECTED}`);
  }
}

/** Reads a trace into memory: the first `most` calls of it. */
export async function loadTrace(
  path: string,
  most = Number.POSITIVE_INFINITY,
): Promise<LoggedCall[]> {
  const calls: LoggedCall[] = [];
  for await (const call of readTrace(path)) {
    calls.push(call);
    if (calls.length === most) break;
  }
  return calls;
}

interface ParsedRow {
  readonly record: Row;
  readonly info: Info;
}

/** The kind of usage that a column has; undefined if it has none. */
function kindOf(column: string): string | undefined {
  if (NAMES.includes(column)) return undefined;
  return TOKENS[column] ?? (USAGE.test(column) ? column : undefined);
}

function checkHeader(header: readonly string[], place: string): void {
  const kinds = header.map((column) => kindOf(column) ?? column);
  const twice = header.find((_, index) => kinds.indexOf(kinds[index] ?? "") !== index);
  if (twice !== undefined) {
    const first = header[kinds.indexOf(kindOf(twice) ?? twice)];
    throw new TraceError(`${place}: the columns ${first} and ${twice} are the same`);
  }
  const missing = missingColumns(header, kinds);
  if (missing.length > 0) {
    throw new TraceError(
      `${place}: expected the header ${EXPECTED}, or columns of usage such as input, but ` +
        `${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing`,
    );
  }
}

/** One of the two columns of tokens alone is a mistake; usage may be of any kind. */
function missingColumns(header: readonly string[], kinds: readonly string[]): string[] {
  const needed = Object.entries(TOKENS);
  const isComplete =
    header.some((column) => USAGE.test(column) && kindOf(column)) &&
    !needed.some(([column]) => header.includes(column));
  const missing = isComplete ? [] : needed.filter(([, kind]) => !kinds.includes(kind));
  return [...(header.includes(TIME) ? [] : [TIME]), ...missing.map(([column]) => column)];
}

function toCall(row: Row, columns: readonly string[], path: string, line: number): LoggedCall {
  const place = `${path}, line ${line}`;
  const at = parseTime(row[TIME] ?? "", place);
  const counts = columns
    .filter((column) => column in TOKENS || row[column] !== "")
    .map((column) => [kindOf(column), parseCount(column, row[column] ?? "", place)] as const);
  if (counts.length === 0) throw new TraceError(`${place}: no usage in this row`);
  return { at, line, usage: { ...namesOf(row, place), ...Object.fromEntries(counts) } };
}

function namesOf(row: Row, place: string): { model?: string; variant?: string } {
  const { model, variant } = row;
  if (model && !/^[^/]+\/./.test(model)) {
    throw new TraceError(`${place}: model "${model}" is not provider/model, like openai/gpt-5`);
  }
  return { ...(model && { model }), ...(variant && { variant }) };
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

function parseCount(column: string, text: string, place: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(count <= MOST)) {
    const what = column in TOKENS ? "a number of tokens" : "a count, and usage is named like that";
    throw new TraceError(`${place}: ${column} "${text}" is not ${what}`);
  }
  return count;
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
