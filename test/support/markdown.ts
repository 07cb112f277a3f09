import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The repository's folder. */
export const ROOT = join(import.meta.dirname, "..", "..");

/** A fenced block of a Markdown file. */
export interface Block {
  /** The word after the fence, such as `sql`. */
  readonly language: string;
  readonly text: string;
  /** The line of the file where the text begins. */
  readonly line: number;
}

/** Reads a file of the repository. */
export function readRepositoryFile(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** The fenced blocks of a Markdown text, in their order. */
export function readBlocks(markdown: string): Block[] {
  const fences = markdown.matchAll(/^```(\w*)\n(.*?)^```$/gms);
  return [...fences].map(({ 1: language = "", 2: text = "", index }) => ({
    language,
    text,
    line: markdown.slice(0, index).split("\n").length + 1,
  }));
}
