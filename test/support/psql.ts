import type postgres from "postgres";

/** The statements of a script: each ends with a semicolon at the end of a line. */
export function statements(script: string): string[] {
  return script
    .split(/;[ ]*(?:--.*)?\n/)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replace(/^--.*$/gm, "").trim() !== "");
}

/** The output of psql for a script, errors included, as far as the examples need it. */
export async function transcript(sql: postgres.Sql, script: string): Promise<string> {
  const parts: string[] = [];
  for (const statement of statements(script)) {
    parts.push(`${statement};`, (await answerOf(sql, statement)).text);
  }
  return `${parts.join("\n")}\n`;
}

/** The output of psql for a statement, and the SQLSTATE if it failed. */
export async function answerOf(
  sql: postgres.Sql,
  statement: string,
): Promise<{ readonly text: string; readonly code?: string }> {
  try {
    return { text: table((await sql.unsafe(statement).values()) as unknown as Result) };
  } catch (error) {
    const { message, detail, hint, code } = error as postgres.PostgresError;
    return { text: `ERROR:  ${code}: ${message}\nDETAIL:  ${detail}\nHINT:  ${hint}\n`, code };
  }
}

interface Result {
  readonly columns: readonly { readonly name: string; readonly type: number }[];
  map<T>(read: (row: unknown[]) => T): T[];
}

function table(result: Result): string {
  const rightAligned = result.columns.map(({ type }) =>
    [20, 21, 23, 700, 701, 1700].includes(type),
  );
  const rows = result.map((row) => row.map(text));
  const names = result.columns.map(({ name }) => name);
  const widths = names.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => (row[i] as string).length)),
  );
  const lines = [
    names.map((name, i) => ` ${centred(name, widths[i] as number)} `).join("|"),
    widths.map((width) => "-".repeat(width + 2)).join("+"),
    ...rows.map((row) =>
      row
        .map((value, i) => {
          const width = widths[i] as number;
          return ` ${rightAligned[i] ? value.padStart(width) : value.padEnd(width)} `;
        })
        .join("|"),
    ),
  ].map((line) => line.trimEnd());
  return `${lines.join("\n")}\n(${rows.length} row${rows.length === 1 ? "" : "s"})\n`;
}

function text(value: unknown): string {
  if (value === null) return "";
  if (typeof value === "boolean") return value ? "t" : "f";
  if (Array.isArray(value)) return `{${value.map(element).join(",")}}`;
  // As jsonb is printed: with a space behind colons and commas.
  if (typeof value === "object" && !(value instanceof Date)) return spaced(value);
  return String(value);
}

function spaced(value: object): string {
  const fields = Object.entries(value).map(
    ([name, field]) => `${JSON.stringify(name)}: ${JSON.stringify(field)}`,
  );
  return `{${fields.join(", ")}}`;
}

/** An element of an array, quoted where it would be taken for something else. */
function element(value: unknown): string {
  const plain = String(value);
  return /^[^\s{}",\\]+$/.test(plain) ? plain : JSON.stringify(plain);
}

function centred(value: string, width: number): string {
  const left = Math.floor((width - value.length) / 2);
  return `${" ".repeat(left)}${value}`.padEnd(width);
}
