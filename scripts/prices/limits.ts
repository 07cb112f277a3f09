import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";

/** What a model takes and gives at most, in tokens. */
export interface Limits {
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
}

/** Reads the limits that the package does not have: `model,context_window,max_output,source`. */
export function readLimits(path: string): Map<string, Limits> {
  const rows: Record<string, string>[] = parse(readFileSync(path, "utf8"), { columns: true });
  return new Map(
    rows.map((row) => [
      row.model ?? "",
      { contextWindow: tokens(row.context_window), maxOutput: tokens(row.max_output) },
    ]),
  );
}

function tokens(text = ""): number | null {
  if (text !== "" && !/^\d+$/.test(text)) throw new Error(`${text} is not a number of tokens`);
  return text === "" ? null : Number(text);
}
