import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { WorkerLogger } from "./logger.ts";

/** A pooler sends the worker's statements over changing connections; the message says what to do. */
export class PoolerError extends Error {
  override readonly name = "PoolerError";

  constructor() {
    super(
      "the worker needs a direct connection to PostgreSQL: a pooler in transaction mode answers " +
        "at this address (name the server itself, or a pool in session mode)",
    );
  }
}

const WAIT_MS = 5_000;

/**
 * Rejects with {@link PoolerError} behind a pooler that gives each transaction another connection:
 * graphile-worker's prepared statements would reach sessions that do not have them, or have others
 * by the same names.
 */
export async function requireDirect(url: string, logger: WorkerLogger): Promise<void> {
  const [one, other] = [connect(url, logger), connect(url, logger)];
  try {
    await one.connect();
    const first = await backendPid(one);
    // A server sends its process id when a client connects; a pooler sends another number.
    if ((one as WithProcessId).processID === first) return;
    await other.connect();
    // In transaction mode, this takes the server connection that the first one has used.
    await other.query("begin");
    await backendPid(other);
    const second = await Promise.race([backendPid(one), delay(WAIT_MS, null, { ref: false })]);
    if (second !== first) throw new PoolerError();
  } finally {
    await Promise.all([one, other].map((client) => client.end().catch(() => undefined)));
  }
}

interface WithProcessId {
  readonly processID?: number;
}

function connect(url: string, logger: WorkerLogger): pg.Client {
  const client = new pg.Client({ connectionString: url, application_name: "baseledger worker" });
  client.on("error", (error) => logger.warn(`a connection was lost: ${error.message}`));
  return client;
}

async function backendPid(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid;
}
