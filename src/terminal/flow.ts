import { joined, type SafeText, terminalText } from "./safe-text.ts";
import { widthOf } from "./width.ts";

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
