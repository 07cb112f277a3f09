import { joined, type Shown, terminalText } from "./shown.ts";
import { widthOf } from "./width.ts";

/** A part of a line, which is not broken. */
export interface Part {
  readonly width: number;
  readonly shown: Shown;
}

/** A part that is shown as it is, or in other colours. */
export function part(plain: Shown | string, shown = joined([plain])): Part {
  return { width: widthOf(terminalText(plain)), shown };
}

/** Puts parts into as many lines as it takes to lose none. */
export function flow(parts: readonly Part[], gap: string, columns: number): Shown[] {
  const lines: { width: number; shown: Shown }[] = [];
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
