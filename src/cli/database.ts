import { type Command, Option } from "commander";
import postgres from "postgres";
import { openEmbedded, startPostgres } from "../embedded/index.ts";
import { cannotConnect, UnreachableError, UsageError } from "./failure.ts";
import { ping } from "./views.ts";

/** The options that say which database a command works on. */
export interface DatabaseOptions {
  readonly url?: string;
}

/** Adds the options of {@link DatabaseOptions} to a command. */
export function addDatabaseOptions(
  command: Command,
  otherwise = "the embedded server of this directory",
): Command {
  return command
    .addOption(
      new Option(
        "--url <url>",
        "the database; else that of DATABASE_URL, or of PGHOST, PGDATABASE and so on, or else " +
          otherwise,
      ).default(process.env.DATABASE_URL || addressOfEnvironment(), "from the environment"),
    )
    .hook("preAction", checkUrl);
}

/**
 * The address that stands for libpq's variables if they name a server or a database: both drivers
 * read what an address leaves out from PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, so that
 * no character of a password can break it. They read PGSSLMODE differently, so it is in the address.
 */
function addressOfEnvironment(env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (!env.PGHOST && !env.PGDATABASE) return undefined;
  const mode = env.PGSSLMODE ? `?${new URLSearchParams({ sslmode: env.PGSSLMODE })}` : "";
  return `postgres:///${mode}`;
}

/** The secret of a key that the session is to have: not an option, which all could see in ps. */
function keyOfEnvironment({ BASELEDGER_KEY }: NodeJS.ProcessEnv = process.env): object {
  return BASELEDGER_KEY ? { "baseledger.key": BASELEDGER_KEY } : {};
}

/** Adds `--url` to a command that fills a database: the environment must not name that one. */
export function addOwnDatabaseOptions(command: Command, otherwise: string): Command {
  return command
    .option("--url <url>", `work in this database; else ${otherwise}, whatever DATABASE_URL says`)
    .hook("preAction", checkUrl);
}

// A value that is not an address must not lead to another database, such as that of this machine:
// a shell variable that is not set, or a name without the scheme.
function checkUrl(_: Command, command: Command): void {
  const { url } = command.opts() as DatabaseOptions;
  const given = command.getOptionValueSource("url") === "cli";
  if (url === undefined || /^postgres(ql)?:\/\//.test(url) || (url === "" && !given)) return;
  const name = given ? "--url" : "DATABASE_URL";
  throw new UsageError(`${name} is not an address like postgres://user@host/database`);
}

/** Whether the database is the embedded server, and not one the caller named. */
export function isEmbedded({ url }: DatabaseOptions): boolean {
  return !url;
}

/** A database to work on until it is stopped. */
export interface OpenedDatabase {
  readonly url: string;
  stop(): Promise<void>;
}

/** Whether an embedded server keeps its data, or is a new one. */
export interface EmbeddedOptions {
  readonly persistent: boolean;
}

/** Opens the named database, or an embedded server: one that keeps its data, or a new one. */
export async function open(
  { url }: DatabaseOptions,
  embedded: EmbeddedOptions = { persistent: true },
): Promise<OpenedDatabase> {
  if (url) {
    return { url, stop: async () => undefined };
  }
  try {
    return embedded.persistent ? await openEmbedded() : await startPostgres();
  } catch (error) {
    throw new UnreachableError((error as Error).message, { cause: error });
  }
}

/** Runs `use` with a connection, and closes everything after it. */
export async function withConnection<T>(
  options: DatabaseOptions,
  use: (sql: postgres.Sql, url: string) => Promise<T>,
  embedded?: EmbeddedOptions,
): Promise<T> {
  const database = await open(options, embedded);
  try {
    const sql = await connect(database.url);
    try {
      return await use(sql, database.url);
    } finally {
      await sql.end({ timeout: 1 });
    }
  } finally {
    await database.stop();
  }
}

/** Connects and checks the connection: errors before it are of the class "unreachable". */
async function connect(url: string): Promise<postgres.Sql> {
  try {
    const sql = postgres(url, {
      max: 1,
      connect_timeout: 10,
      fetch_types: false,
      onnotice: () => undefined,
      connection: { application_name: "baseledger", ...keyOfEnvironment() },
    });
    await ping(sql).catch(async (error: unknown) => {
      await sql.end({ timeout: 0 });
      throw error;
    });
    return sql;
  } catch (error) {
    throw new UnreachableError(cannotConnect(error), { cause: error });
  }
}
