import { type Command, Option } from "commander";
import postgres from "postgres";
import { openDatabase } from "../embedded.ts";
import { UnreachableError } from "./failure.ts";

/** The options that say which database a command works on. */
export interface DatabaseOptions {
  readonly url?: string;
}

/** Adds the options of {@link DatabaseOptions} to a command. */
export function addDatabaseOptions(command: Command): Command {
  return command.addOption(
    new Option("--url <url>", "the database; else the embedded server of this directory").env(
      "DATABASE_URL",
    ),
  );
}

/** Whether the database is the embedded server, and not one the caller named. */
export function isEmbedded({ url }: DatabaseOptions): boolean {
  return !url;
}

/** A database to work on, for as long as it is not stopped. */
export interface OpenedDatabase {
  readonly url: string;
  stop(): Promise<void>;
}

/** Opens the named database, or the embedded server: one that keeps its data, or a new one. */
export async function open(
  { url }: DatabaseOptions,
  embedded: { readonly persistent: boolean } = { persistent: true },
): Promise<OpenedDatabase> {
  if (url) {
    return { url, stop: async () => undefined };
  }
  try {
    return await openDatabase(embedded);
  } catch (error) {
    throw new UnreachableError((error as Error).message, { cause: error });
  }
}

/** Connects for one command, and lets go of everything after it. */
export async function withConnection<T>(
  options: DatabaseOptions,
  use: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const database = await open(options);
  try {
    const sql = postgres(database.url, {
      max: 1,
      connect_timeout: 10,
      fetch_types: false,
      onnotice: () => undefined,
      connection: { application_name: "baseledger" },
    });
    try {
      return await use(sql);
    } finally {
      await sql.end({ timeout: 1 });
    }
  } finally {
    await database.stop();
  }
}
