import { wcswidth } from "simple-wcswidth";
import { visible } from "./safe-text.ts";

/** The columns of a terminal that a text takes; it has nothing in it that is not printable. */
export const widthOf = wcswidth;

/** Fills up with blanks, or cuts off with an ellipsis: what takes exactly so many columns. */
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

/** A name that takes so many columns of a table at most: one that wraps could show false lines. */
export function shortened(name: string, width: number): string {
  const shown = visible(name);
  return wcswidth(shown) > width ? fitted(shown, width) : name;
}
