import { wcswidth } from "simple-wcswidth";
import { joined, type SafeText, terminalText, visible } from "./safe-text.ts";

/** The columns of a terminal that a printable text takes. */
export const widthOf = wcswidth;

/** Fills a text up with blanks or cuts it off with an ellipsis, to exactly so many columns. */
export function fitted(text: string, width: number): string {
  const missing = width - wcswidth(text);
  return missing >= 0 ? text + " ".repeat(missing) : fitted(`${cut(text, width - 1)}…`, width);
}

function cut(text: string, width: number): string {
  let kept = "";
  let columns = 0;
  for (const character of text) {
    columns += wcswidth(character);
    if (columns > width) break;
    kept += character;
  }
  return kept;
}

/** Cuts a name off for a table: one that wraps could look like another line. */
export function shortened(name: string, width: number): string {
  const shown = visible(name);
  return wcswidth(shown) > width ? fitted(shown, width) : name;
}

/** A part of a line, which stays on one line. */
export interface Part {
  readonly width: number;
  readonly shown: SafeText;
}

/** A part that is shown as it is, or as `shown`, with colours. */
export function part(plain: SafeText | string, shown: SafeText = joined([plain])): Part {
  return { width: widthOf(terminalText(plain)), shown };
}

/** Arranges parts in as many lines as they need. */
export function flow(parts: readonly Part[], gap: string, columns: number): SafeText[] {
  const lines: { width: number; shown: SafeText }[] = [];
  for (const { shown, width } of parts) {
    const line = lines.at(-1);
    const longer = (line?.width ?? 0) + gap.length + width;
    if (line && longer <= columns) {
      line.width = longer;
      line.shown = joined([line.shown, shown], gap);
    } else {
      lines.push({ width, shown });
    }
  }
  return lines.map(({ shown }) => shown);
}
