import type { Queryable } from "../wire/index.ts";

/** A query of a wrapper, in the forms that drivers take. */
export interface Query {
  /** With placeholders `$1`, `$2` … */
  readonly text: string;
  /** Strings and nulls. */
  readonly values: (string | null)[];
  /** The text between the placeholders, for drivers with a template tag. */
  readonly strings: TemplateStringsArray;
}

/** Rows as objects, bare or as the `rows` of a result. */
export type QueryResult = readonly object[] | { readonly rows: readonly object[] };

/**
 * Makes what the methods run on, of any driver, query builder or transaction:
 *
 * ```ts
 * ledger.with(queryable(({ text, values }) => trx.executeQuery(CompiledQuery.raw(text, values))));
 * ledger.with(queryable(({ strings, values }) => tx.execute(sql(strings, ...values))));
 * ledger.with(queryable(({ text, values }) => tx.$queryRawUnsafe(text, ...values)));
 * ```
 *
 * (Kysely, Drizzle and Prisma.) Each row comes as one text, so that no parser of the driver can
 * round an amount.
 */
export function queryable(run: (query: Query) => PromiseLike<QueryResult>): Queryable {
  return {
    unsafe: (query, values) => ({
      raw: () => execute(run, `select r::text as record from (${query}) as r`, values),
    }),
  };
}

/** What {@link fromPg} needs of a `Client`, `Pool` or `PoolClient` of `pg`. */
export interface PgClient {
  query(config: PgQuery): PromiseLike<{ readonly rows: readonly unknown[] }>;
}

interface PgQuery {
  text: string;
  values: (string | null)[];
  rowMode: "array";
  types: { getTypeParser(): (text: string) => string };
}

/** What a `Pool` has, too. */
interface PgPool {
  readonly options?: { readonly max?: number };
  connect(): Promise<PgPoolClient>;
}

interface PgPoolClient extends PgClient {
  readonly processID?: number | null;
  on(event: "error", listener: () => void): unknown;
  removeListener(event: "error", listener: () => void): unknown;
  release(error?: unknown): void;
}

// Values stay the text that the server sent, whatever parsers the program has set.
const asText = { getTypeParser: () => (text: string) => text };

/** Makes what the methods run on, of a `Client`, `Pool` or `PoolClient` of `pg`. */
export function fromPg(client: PgClient): Queryable {
  return {
    // How many connections there are, as in a pool of postgres.js.
    ...(isPool(client) && { options: client.options }),
    unsafe(text, values) {
      const config: PgQuery = { text, values, rowMode: "array", types: asText };
      // As in postgres.js: null until a connection has the query.
      const sent = {
        state: null as (Pick<PgPoolClient, "processID"> & { pid?: number | null }) | null,
        async raw() {
          try {
            const result = isPool(client)
              ? await queryPool(client, config, (pid) => {
                  sent.state = { pid };
                })
              : await queryClient();
            return result.rows as (string | null)[][];
          } catch (error) {
            throw isTerminated(error) ? Object.assign(error, { code: "CONNECTION_CLOSED" }) : error;
          }
        },
      };
      function queryClient() {
        sent.state = {};
        return client.query(config);
      }
      return sent;
    },
  };
}

function isPool(client: object): client is PgPool {
  return "totalCount" in client && "connect" in client;
}

/** Does what `Pool.query` does, and reports when there is a connection. */
async function queryPool(
  pool: PgPool,
  config: PgQuery,
  onConnection: (pid: number | null) => void,
): Promise<{ readonly rows: readonly unknown[] }> {
  const client = await pool.connect();
  onConnection(client.processID ?? null);
  // The query fails with this error, too; without a listener the program would end.
  const ignore = () => undefined;
  client.on("error", ignore);
  try {
    const result = await client.query(config);
    client.release();
    return result;
  } catch (error) {
    client.release(error);
    throw error;
  } finally {
    client.removeListener("error", ignore);
  }
}

/** `pg` has no code for a connection that broke. */
function isTerminated(error: unknown): error is Error {
  return error instanceof Error && error.message.startsWith("Connection terminated");
}

async function execute(
  run: (query: Query) => PromiseLike<QueryResult>,
  text: string,
  values: (string | null)[],
): Promise<(string | null)[][]> {
  const parts = text.split(/\$\d+/);
  const strings = Object.assign(parts, { raw: parts });
  try {
    const result = await run({ text, values, strings });
    const rows = "rows" in result ? result.rows : result;
    return rows.map((row) => readRecord((row as { readonly record: string }).record));
  } catch (error) {
    throw unwrap(error);
  }
}

/** Finds the driver's error, which a query builder may have wrapped; Prisma puts it in `meta`. */
function unwrap(error: unknown): unknown {
  let found: Wrapped | undefined;
  for (let inner = error as Wrapped | undefined; typeof inner === "object" && inner; ) {
    if (typeof inner.code === "string") found = inner;
    inner = inner.cause ?? inner.meta?.driverAdapterError;
  }
  if (!found || found instanceof Error) return found ?? error;
  return Object.assign(new Error(found.message, { cause: error }), found);
}

interface Wrapped {
  readonly code?: unknown;
  readonly message?: string;
  readonly cause?: Wrapped;
  readonly meta?: { readonly driverAdapterError?: Wrapped };
}

/**
 * The columns of a row that was cast to text: `(a,,"b ""c""")`. Nothing between two commas is null;
 * in quotes, a quote and a backslash are doubled.
 */
function readRecord(record: string): (string | null)[] {
  const columns = `,${record.slice(1, -1)}`.matchAll(COLUMN);
  return Array.from(columns, ([, quoted, plain]) =>
    quoted === undefined ? plain || null : quoted.replace(/(["\\])\1/g, "$1"),
  );
}

const COLUMN = /,(?:"([^"\\]*(?:(?:""|\\\\)[^"\\]*)*)"|([^,"]*))/g;
