import { Table } from "console-table-printer";

/** A column of a table; numbers stand flush right. */
export interface Column {
  readonly name: string;
  readonly title?: string;
  readonly alignment: "left" | "right";
}

const RULE = { left: "", mid: "─", right: "", other: "─" };

/** Lays out rows under their columns: rules above and below, no colours, no boxes. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly Readonly<Record<string, string>>[],
): string {
  const table = new Table({
    shouldDisableColors: true,
    style: {
      headerTop: RULE,
      headerBottom: RULE,
      tableBottom: RULE,
      vertical: "",
      rowSeparator: RULE,
    },
    columns: [...columns],
  });
  table.addRows([...rows]);
  return trim(table.render());
}

// The rules are drawn as wide as with the borders that we leave out.
function trim(text: string): string {
  const lines = text.split("\n").map((line) => line.trimEnd());
  const width = Math.max(...lines.filter((line) => !line.startsWith("─")).map((l) => l.length));
  return lines.map((line) => line.slice(0, width + 1)).join("\n");
}
