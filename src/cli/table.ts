import { Table } from "console-table-printer";
import { joined, ours, type Shown, terminalText } from "./shown.ts";
import { widthOf } from "./width.ts";

/** A column of a table; numbers stand flush right. */
export interface Column {
  readonly name: string;
  readonly title?: Shown | string;
  readonly alignment: "left" | "right";
}

/** A row of a table: its cells by the names of their columns. */
export type Row = Readonly<Record<string, Shown | string>>;

/** A table that is drawn page by page. */
export interface PagedTable {
  /** The next rows, the first ones under their titles. A column that is too narrow grows. */
  page(rows: readonly Row[]): Shown;
  end(): Shown;
}

const RULE = { left: "", mid: "─", right: "", other: "─" };
const STYLE = {
  headerTop: RULE,
  headerBottom: RULE,
  tableBottom: RULE,
  vertical: "",
  rowSeparator: RULE,
};
const LINES_OF_HEAD = 3;

/** Lays out rows under their columns: rules above and below, no colours, no boxes. */
export function renderTable(columns: readonly Column[], rows: readonly Row[]): Shown {
  const table = pagedTable(columns);
  return joined([table.page(rows), table.end()]);
}

/** As {@link renderTable}, for rows that are not all there at once. */
export function pagedTable(columns: readonly Column[]): PagedTable {
  const titles = columns.map(({ name, title }) => terminalText(title ?? name));
  const widths = titles.map(widthOf);
  let begun = false;
  const rule = (): string => "─".repeat(widths.reduce((sum, width) => sum + width + 2, 0));
  return {
    page: (rows) => {
      const cells = rows.map((row) => columns.map(({ name }) => terminalText(row[name] ?? "")));
      for (const row of cells) {
        row.forEach((cell, i) => {
          widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
        });
      }
      const lines = draw(columns, titles, widths, cells);
      const head = begun ? [] : [rule(), lines[1] ?? "", rule()];
      begun = true;
      return ours([...head, ...lines.slice(LINES_OF_HEAD, -1)].join("\n"));
    },
    end: () => ours(rule()),
  };
}

function draw(
  columns: readonly Column[],
  titles: readonly string[],
  widths: readonly number[],
  cells: readonly (readonly string[])[],
): string[] {
  const table = new Table({
    shouldDisableColors: true,
    style: STYLE,
    columns: columns.map(({ alignment }, i) => ({
      name: String(i),
      title: titles[i] ?? "",
      alignment,
      minLen: widths[i] ?? 0,
    })),
  });
  table.addRows(cells.map((row) => Object.fromEntries(row.entries())));
  const lines = table.render().split("\n");
  return lines.map((line) => line.trimEnd());
}
