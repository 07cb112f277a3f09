import { stripVTControlCharacters } from "node:util";
import { widthOf } from "./layout.ts";
import { joined, type SafeText, terminalText, trusted } from "./safe-text.ts";

/** A column of a table; numbers are aligned to the right. */
export interface Column {
  readonly name: string;
  readonly title?: SafeText | string;
  readonly alignment: "left" | "right";
}

/** A row of a table: its cells by the names of their columns. */
export type Row = Readonly<Record<string, SafeText | string>>;

/** A table that is rendered page by page. */
export interface PagedTable {
  /** The next rows, the first ones under their titles. A wider cell widens its column from there. */
  page(rows: readonly Row[]): SafeText;
  end(): SafeText;
}

/** Columns of these names; those named in `numbers` are aligned to the right. */
export function columnsOf(names: readonly string[], numbers: readonly string[] = []): Column[] {
  return names.map((name) => ({ name, alignment: numbers.includes(name) ? "right" : "left" }));
}

/** Renders rows under their columns: rules above and below, no colours, no boxes. */
export function renderTable(columns: readonly Column[], rows: readonly Row[]): SafeText {
  const table = pagedTable(columns);
  return joined([table.page(rows), table.end()]);
}

/** Like {@link renderTable}, for rows that come page by page. */
export function pagedTable(columns: readonly Column[]): PagedTable {
  const titles = columns.map(({ name, title }) => terminalText(title ?? name));
  const widths = titles.map(widthOnScreen);
  const rule = (): string => "─".repeat(widths.reduce((sum, width) => sum + width + 2, 0));
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, i) => {
      const blanks = " ".repeat(Math.max((widths[i] ?? 0) - widthOnScreen(cell), 0));
      return columns[i]?.alignment === "right" ? blanks + cell : cell + blanks;
    });
    return ` ${padded.join("  ")}`.trimEnd();
  };
  let begun = false;
  return {
    page: (rows) => {
      const cells = rows.map((row) => columns.map(({ name }) => terminalText(row[name] ?? "")));
      for (const row of cells) {
        row.forEach((cell, i) => {
          widths[i] = Math.max(widths[i] ?? 0, widthOnScreen(cell));
        });
      }
      const head = begun ? [] : [rule(), line(titles), rule()];
      begun = true;
      return trusted([...head, ...cells.map(line)].join("\n"));
    },
    end: () => trusted(rule()),
  };
}

function widthOnScreen(cell: string): number {
  return widthOf(stripVTControlCharacters(cell));
}
