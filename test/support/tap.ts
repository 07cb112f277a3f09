import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import type postgres from "postgres";
import { type FinalResults, Parser, type Result } from "tap-parser";

const folder = join(import.meta.dirname, "..", "pgtap");

/** A file of `test/pgtap`. */
export interface TapFile {
  /** Its last name, e.g. `settle.sql`: no two rooms have one of the same. */
  readonly name: string;
  /** Below `test/pgtap`. */
  readonly path: string;
  readonly text: string;
}

/** The pgTAP tests of all rooms, or the helpers that they call (`_*.sql`), by path. */
export function tapFiles(kind: "tests" | "helpers" = "tests"): TapFile[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter(
      (path) => path.endsWith(".sql") && basename(path).startsWith("_") === (kind !== "tests"),
    )
    .sort()
    .map((path) => ({
      name: basename(path),
      path,
      text: readFileSync(join(folder, path), "utf8"),
    }));
}

/** One assertion of a pgTAP file. */
export interface TapPoint {
  readonly id: number;
  readonly name: string;
  /** Whether it passed, or is expected to fail (`todo`). */
  readonly ok: boolean;
  readonly skipped: boolean;
  /** Why it failed. */
  readonly diagnosis: string;
}

/** The result of a pgTAP file. */
export interface TapRun {
  readonly points: readonly TapPoint[];
  /** Why the run is void: an error, no plan, or another number of tests than planned. */
  readonly trouble: string | undefined;
}

/** The SQL of pgTAP, from the tar archive in pglite-pgtap; any server can load it. */
export function pgtapSql(): string {
  const packageFile = createRequire(import.meta.url).resolve("@electric-sql/pglite-pgtap");
  const tar = gunzipSync(readFileSync(join(dirname(packageFile), "pgtap.tar.gz")));
  const text = (from: number, length: number) =>
    tar.toString("utf8", from, from + length).replace(/\0.*$/s, "");
  // Each file has a header of 512 bytes (name first, size in octal at 124), then blocks of 512 bytes.
  for (let at = 0; at + 512 <= tar.length; ) {
    const size = Number.parseInt(text(at + 124, 12) || "0", 8);
    if (text(at, 100).endsWith("/extension/pgtap.sql")) return text(at + 512, size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error("@electric-sql/pglite-pgtap has no pgtap.sql");
}

/** Runs a pgTAP file with `public` and `tap` in the search path. */
export async function runTap(sql: postgres.Sql, text: string): Promise<TapRun> {
  const connection = await sql.reserve();
  const output: string[] = [];
  let error: unknown;
  try {
    await connection.unsafe("set search_path = public, tap");
    // Row by row, so that the rows before an error are read as well.
    await connection
      .unsafe(text)
      .simple()
      .forEach((row) => {
        output.push(...Object.values(row).filter((value) => typeof value === "string"));
      });
  } catch (caught) {
    error = caught;
    await connection.unsafe("rollback");
  } finally {
    connection.release();
  }
  return { ...parse(output.join("\n")), ...(error ? { trouble: describe(error) } : {}) };
}

function parse(output: string): TapRun {
  const points: TapPoint[] = [];
  const comments = new Map<number, string>();
  let results: FinalResults | undefined;
  const parser = new Parser();
  parser.on("assert", ({ id, name, ok, todo, skip }: Result) => {
    points.push({ id, name, ok: ok || Boolean(todo), skipped: Boolean(skip), diagnosis: "" });
  });
  parser.on("comment", (comment: string) => {
    const { id } = points.at(-1) ?? { id: 0 };
    comments.set(id, (comments.get(id) ?? "") + comment);
  });
  parser.on("complete", (all: FinalResults) => {
    results = all;
  });
  parser.end(`${output}\n`);
  return {
    points: points.map((point) => ({ ...point, diagnosis: comments.get(point.id) ?? "" })),
    trouble:
      points.length > 0 && results?.plan.end === points.length
        ? undefined
        : `planned ${results?.plan.end ?? "nothing"}, but ran ${points.length}\n${output}`,
  };
}

function describe(error: unknown): string {
  const { message, detail, where } = error as postgres.PostgresError;
  return [message, detail, where].filter(Boolean).join("\n");
}
