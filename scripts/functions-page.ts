// Makes docs/functions.md, the reference of the SQL functions, from the catalogue of a database and
// from the examples of functions-page.sql, which are run in it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import {
  type ArgumentInfo,
  alternativeOf,
  type Catalog,
  defaultOf,
  describeArgument,
  describeFunction,
  type FunctionInfo,
  findCommonArguments,
  findOperations,
  readCatalog,
  type TypeInfo,
  withoutMarkers,
} from "../src/codegen/index.ts";
import { answerOf, statements } from "../test/support/psql.ts";
import { until } from "../test/support/until.ts";

const SCHEMA = "baseledger";
/** Who calls functions; an example runs as the first of them that may. */
const ROLES = ["agent", "operator", "auditor", "worker"].map((name) => `${SCHEMA}_${name}`);
/** Stands for each time in the examples, so that the page is the same each time. */
const TIME = "2026-03-01 12:00:00+00";

/** What functions-page.sql has of a function. */
interface Example {
  readonly name: string;
  readonly section: string;
  readonly sql: string;
}

/** The page. It runs the examples in the database, which has to be new. */
export async function renderFunctions(url: string): Promise<string> {
  const sql = connect(url);
  try {
    const catalog = await readCatalog(sql, SCHEMA);
    const [setUp, ...examples] = readExamples();
    requireAll(catalog, examples);
    for (const statement of statements(setUp?.sql ?? "")) await sql.unsafe(statement);
    await until("a reservation is past its deadline", () => hasDue(sql));
    const parts = [renderHead(setUp?.sql ?? ""), renderIndex(catalog, examples)];
    for (const [section, members] of Map.groupBy(examples, (example) => example.section)) {
      parts.push(`## ${section}`);
      for (const example of members) parts.push(await renderFunction(sql, catalog, example));
    }
    parts.push(renderTypes(catalog));
    return `${parts.join("\n\n")}\n`;
  } finally {
    await sql.end();
  }
}

function connect(url: string): postgres.Sql {
  const text = { to: 25, serialize: String, parse: (value: string) => value };
  const types = {
    time: { ...text, from: [1184], parse: () => TIME },
    json: { ...text, from: [114, 3802] },
  };
  return postgres(url, { max: 1, onnotice: () => undefined, types }) as unknown as postgres.Sql;
}

function readExamples(): Example[] {
  const file = join(import.meta.dirname, "functions-page.sql");
  const sections = readFileSync(file, "utf8").split(/^-- ## /m);
  return sections.flatMap((text) => {
    const [section = "", ...parts] = text.split(/^-- ### /m);
    return parts.map((part) => {
      const end = part.indexOf("\n");
      return { section: section.trim(), name: part.slice(0, end), sql: part.slice(end).trim() };
    });
  });
}

function requireAll({ functions }: Catalog, examples: readonly Example[]): void {
  const shown = examples.map(({ name }) => name);
  const known = functions.map(({ name }) => name);
  const wrong = [
    ...known.filter((name) => !shown.includes(name)).map((name) => `${name} is missing`),
    ...shown.filter((name) => !known.includes(name)).map((name) => `${name} is no function`),
  ];
  if (wrong.length > 0) throw new Error(`functions-page.sql: ${wrong.join(", ")}`);
}

async function hasDue(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql`select baseledger.next_due() <= clock_timestamp() as due`;
  return row?.due;
}

function renderHead(setUp: string): string {
  return `# Functions

Every function of the schema \`${SCHEMA}\`. \`npm run generate\` makes this page from the comments and
grants in the database, and from examples that it runs; a test compares it.

- **Arguments** may be named, \`baseledger.balance(p_wallet_id => 'acme')\`; one that has a default may be
  left out. The wrappers in TypeScript call them \`walletId\` and so on.
- **Amounts** are \`bigint\` counts of the wallet's smallest step. With the default scale of 9, a dollar
  is 1,000,000,000.
- **Refusals** are errors with an SQLSTATE that begins with \`LG\`. They change nothing and leave the
  idempotency key free; [db/ERRORS.md](../db/ERRORS.md) says what each means and what to do.
- **Roles** are granted to the login roles of your services; none of them can log in.

Each example below begins with what this has left, and is rolled back. \`call-3\` is past its deadline by
then. Every time is printed as ${TIME}.

${fence("sql", setUp)}`;
}

function renderIndex(catalog: Catalog, examples: readonly Example[]): string {
  const rows = examples.map(({ name }) => {
    const fn = find(catalog, name);
    const marks = ROLES.map((role) => (fn.roles.includes(role) ? "x" : ""));
    return [`[\`${name}\`](#${name})`, summaryOf(fn), ...marks];
  });
  return table(["function", "does", ...ROLES.map((role) => role.replace(/^.*_/, ""))], rows);
}

/** The first sentence, up to a colon or semicolon, without what is in parentheses. */
function summaryOf(fn: FunctionInfo): string {
  const [first = ""] = sentencesOf(fn);
  return first.replace(/ \([^)]* [^)]*\)/g, "").replace(/[:;].*|\.$/, "");
}

async function renderFunction(
  sql: postgres.Sql,
  catalog: Catalog,
  example: Example,
): Promise<string> {
  const fn = find(catalog, example.name);
  const sentences = sentencesOf(fn);
  const errors = sentences.filter((sentence) => /^(Refused with|Raises) /.test(sentence));
  const retry = sentences.filter((sentence) => /^(A retry|Idempotent|The key is)/.test(sentence));
  const text = sentences.filter((sentence) => ![...errors, ...retry].includes(sentence));
  if (fn.onlyReads) retry.push("Changes nothing, so it may be repeated at any time.");
  const facts = [
    ["Returns", returned(catalog, fn)],
    ["Retry", retry.join(" ")],
    ["Errors", linkErrors(errors.join(" ").replace(/^Refused with /, ""))],
    [
      "Roles",
      rolesOf(fn)
        .map((role) => `\`${role}\``)
        .join(", "),
    ],
  ].filter(([, fact]) => fact);
  return [
    `### ${fn.name}`,
    text.join(" "),
    fence("sql", signature(catalog, fn)),
    ...renderArguments(catalog, fn),
    facts.map(([name, fact]) => `- **${name}:** ${fact}`).join("\n"),
    ...(await runExample(sql, fn, example.sql)),
  ].join("\n\n");
}

function linkErrors(text: string): string {
  return text.replace(/\bLG[A-Z]{3}\b/g, "[$&](../db/ERRORS.md)");
}

function rolesOf({ roles }: FunctionInfo): readonly string[] {
  return [...roles].sort((a, b) => ROLES.indexOf(a) - ROLES.indexOf(b));
}

function signature(catalog: Catalog, fn: FunctionInfo): string {
  const args = fn.arguments.map((argument) => {
    const value = defaultOf(argument);
    const byDefault = value === null ? "" : ` default ${value}`;
    return `${argument.name} ${typeName(catalog, argument.type)}${byDefault}`;
  });
  const list = args.length > 1 ? `\n  ${args.join(",\n  ")}\n` : args.join("");
  const set = fn.returnsSet ? "setof " : "";
  return `${SCHEMA}.${fn.name}(${list}) returns ${set}${typeName(catalog, fn.returns)}`;
}

function renderArguments(catalog: Catalog, fn: FunctionInfo): string[] {
  if (fn.arguments.length === 0) return [];
  const rows = fn.arguments.map((argument) => {
    const { meaning, byDefault } = describeArgument(catalog, fn, argument, inSql);
    if (!meaning) throw new Error(`${fn.name}: no comment describes ${argument.name}`);
    return [`\`${argument.name}\``, [meaning, byDefault].filter(Boolean).join(" ")];
  });
  return [table(["argument", "meaning"], rows), ...renderOperations(catalog, fn)];
}

/** What the commands of a batch may have. */
function renderOperations(catalog: Catalog, fn: FunctionInfo): string[] {
  const operations = fn.arguments.flatMap((argument) => findOperations(catalog, fn, argument));
  if (operations.length === 0) return [];
  const common = fn.arguments.flatMap((argument) => findCommonArguments(catalog, fn, argument));
  const rows = operations.map((operation) => {
    const all = [...common, ...operation.arguments];
    const alternative = (argument: ArgumentInfo) => alternativeOf(catalog, operation.fn, argument);
    const alternatives = all.map(alternative);
    const isOptional = (argument: ArgumentInfo) => argument.default !== null;
    const fields = (some: readonly ArgumentInfo[]) =>
      some.map((each) =>
        [fieldName(each), fieldName(alternative(each))].filter(Boolean).join(" or "),
      );
    const optional = all.filter((each) => isOptional(each) && !alternatives.includes(each));
    return [
      `[\`${operation.fn.name}\`](#${operation.fn.name})`,
      fields(all.filter((each) => !isOptional(each))).join(", "),
      fields(optional).join(", "),
    ];
  });
  return [table(["`op`", "fields", "optional fields"], rows)];
}

function fieldName(argument: ArgumentInfo | undefined): string {
  return argument ? `\`${argument.name.replace(/^p_/, "")}\`` : "";
}

function returned(catalog: Catalog, fn: FunctionInfo): string {
  const type = typeOf(catalog, fn.returns);
  const name = type.kind === "composite" ? linkToType(type) : `\`${typeName(catalog, type.oid)}\``;
  return fn.returnsSet ? `rows of ${name}` : name;
}

/** The statements of an example with what psql would print for each. */
async function runExample(sql: postgres.Sql, fn: FunctionInfo, example: string): Promise<string[]> {
  const role = ROLES.find((name) => fn.roles.includes(name));
  if (!role) throw new Error(`no role may execute ${fn.name}`);
  const blocks: string[] = [`As \`${role}\`:`];
  const connection = await sql.reserve();
  try {
    await connection.unsafe(`begin; set local role ${role}`);
    for (const statement of statements(`${example}\n`)) {
      await connection.unsafe("savepoint statement");
      const { text, code } = await answerOf(connection, statement);
      if (code) await connection.unsafe("rollback to statement");
      blocks.push(fence("sql", `${statement};`), fence("text", text.trimEnd()));
    }
  } finally {
    await connection.unsafe("rollback");
    connection.release();
  }
  return blocks;
}

/** The types that functions return, and the enums of their columns. */
function renderTypes(catalog: Catalog): string {
  const composites = catalog.functions
    .map((fn) => typeOf(catalog, fn.returns))
    .filter((type) => type.kind === "composite");
  const enums = composites
    .flatMap(({ columns }) => columns.map((column) => typeOf(catalog, column.type)))
    .filter((type) => type.kind === "enum");
  const types = [...new Set([...composites, ...enums])].sort((a, b) => (a.name < b.name ? -1 : 1));
  return ["## Types", ...types.map((type) => renderType(catalog, type))].join("\n\n");
}

function renderType(catalog: Catalog, type: TypeInfo): string {
  const rows = type.columns.map((column) => {
    const of = typeOf(catalog, column.type);
    const name = of.kind === "enum" ? linkToType(of) : typeName(catalog, column.type);
    return [`\`${column.name}\``, name, withoutMarkers(column.comment)];
  });
  const content =
    type.kind === "enum"
      ? `${type.labels.map((label) => `\`${label}\``).join(", ")}.`
      : table(["column", "type", "meaning"], rows);
  return [`### Type ${type.name}`, withoutMarkers(type.comment), content].join("\n\n");
}

function linkToType({ name }: TypeInfo): string {
  return `[\`${name}\`](#type-${name})`;
}

function find({ functions }: Catalog, name: string): FunctionInfo {
  return functions.find((fn) => fn.name === name) as FunctionInfo;
}

function typeOf({ types }: Catalog, oid: number): TypeInfo {
  return types.get(oid) as TypeInfo;
}

function typeName(catalog: Catalog, oid: number): string {
  return typeOf(catalog, oid).sql.replace("timestamp with time zone", "timestamptz");
}

function sentencesOf(fn: FunctionInfo): string[] {
  return describeFunction(fn, inSql).split(/(?<=\.)\s+(?=[A-Z`])/);
}

function inSql(field: string): string {
  return `p_${field}`;
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [names, names.map(() => "---"), ...rows];
  return lines
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
}
