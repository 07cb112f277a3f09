import { wcswidth } from "simple-wcswidth";
import { visible } from "./safe-text.ts";

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
