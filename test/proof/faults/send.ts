// Sends calls, by SQL or through the TypeScript client, and returns the answers in one form.
import postgres from "postgres";
import type { Ledger } from "../../../src/client/ledger.ts";
import { belongsToEarlierQuery } from "../../../src/client/statement.ts";
import { classifyError } from "../../../src/errors/classify.ts";
import { LedgerError, UnavailableError } from "../../../src/errors/index.ts";
import { type Json, parseJson, stringifyJson } from "../../../src/json/index.ts";
import { withoutHoles } from "../../../src/wire/holes.ts";
import { plain } from "../plain.ts";
import type { Answer, Call } from "./history.ts";

/** The types of arguments other than text. */
const TYPES: Readonly<Record<string, string>> = {
  amount: "bigint",
  at_least: "bigint",
  overdraft_limit: "bigint",
  limit: "integer",
  final: "boolean",
  metadata: "jsonb",
  usage: "jsonb",
  commands: "jsonb",
};

let sendings = 0;

/** Opens one connection, as a service would. */
export function connectSql(url: string, settings: Record<string, string> = {}): postgres.Sql {
  const options = {
    max: 1,
    fetch_types: false,
    // postgres 3.4.9 never answers what is sent on a connection between its error and its end.
    max_pipeline: 0,
    backoff: () => 0.02,
    onnotice: () => undefined,
    connection: { application_name: "proof", TimeZone: "UTC", ...settings },
  };
  return postgres(url, options);
}

/** Sends a call by SQL. Undefined if the connection broke, and the outcome is unknown. */
export async function sendSql(
  sql: postgres.Sql,
  { call, args }: Call,
): Promise<Answer | undefined> {
  const given = Object.entries(args);
  const list = given.map(([name], i) => {
    const value = name === "ttl" ? `make_interval(secs => $${i + 1}::text::float8)` : `$${i + 1}`;
    return `p_${name} => ${name === "ttl" ? value : `${value}::text::${TYPES[name] ?? "text"}`}`;
  });
  const values = given.map(([, value]) =>
    typeof value === "string" || value === null ? value : stringifyJson(value as Json),
  );
  // belongsToEarlierQuery recognises an error of an earlier query by its parameters, so no two calls may have the
  // same ones.
  const sending = `$${values.push(String(sendings++))}::text is not null`;
  const query =
    `select to_jsonb(r)::text as row from baseledger.${call}(${list.join(", ")}) as r ` +
    `where ${sending}`;
  try {
    const rows = await sql.unsafe<{ row: string }[]>(query, values, { prepare: true });
    return { receipts: withoutHoles(rows).map(({ row }) => plain(parseJson(row))) };
  } catch (error) {
    return belongsToEarlierQuery(error, values) ? undefined : answerOf(error);
  }
}

/** Sends a call through the TypeScript client; `onError` receives the error that the caller gets. */
export async function sendThrough(
  ledger: Ledger,
  { call, args }: Call,
  onError: (error: unknown) => void = () => undefined,
): Promise<Answer | undefined> {
  const method = ledger[camel(call) as "reserve"] as (args: object) => Promise<object>;
  // Usage stands in the place of an amount, which is null in SQL.
  const given = Object.entries(args)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [
      camel(name),
      TYPES[name] === "bigint" ? BigInt(value as number) : value,
    ]);
  try {
    return { receipts: [toPlain(await method(Object.fromEntries(given)))] };
  } catch (error) {
    onError(error);
    return answerOf(error);
  }
}

function answerOf(error: unknown): Answer | undefined {
  if (error instanceof LedgerError) return { refused: error.code, detail: toPlain(error.detail) };
  if (error instanceof UnavailableError) return { failed: error.name };
  const { code, detail } = error as { readonly code?: string; readonly detail?: string };
  if (code?.startsWith("LG")) return { refused: code, detail: plain(parseJson(detail ?? "null")) };
  const kind = classifyError(error);
  // A code of five characters is the server's, which has rolled the call back.
  const isRolledBack = kind === "final" && /^[0-9A-Z]{5}$/.test(code ?? "");
  return isRolledBack || kind === "unsent" || kind === "undone"
    ? { failed: code ?? "" }
    : undefined;
}

/** A result of the TypeScript client in plain form; its times have no microseconds. */
function toPlain(value: unknown): Json {
  if (value instanceof Date) return BigInt(value.getTime()) * 1000n;
  if (typeof value !== "object" || value === null) return plain(value);
  const entries = Object.entries(value).map(([name, item]) => [snake(name), toPlain(item)]);
  return Object.fromEntries(entries);
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
