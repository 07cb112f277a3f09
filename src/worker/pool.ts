import pg from "pg";
import { messageOf, type WorkerLogger } from "./logger.ts";

const CONNECTIONS = 3;

/**
 * Connections for graphile-worker. A pool of its own making stops listening for errors before it
 * closes its connections (0.18.0): one that the server ends just then would end the process. This
 * one listens for as long as there is anything to be heard.
 *
 * It also takes a connection back twice: graphile-worker gives that of its LISTEN back when the
 * runner ends, and once more when it breaks before the LISTEN is answered (0.18.0); pg would throw
 * where nobody catches it.
 */
export function createPool(url: string, logger: WorkerLogger): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
  pool.on("error", (error) => logger.warn(`a connection was lost: ${messageOf(error)}`));
  // Whoever has it in use hears of it by what it asked for.
  pool.on("connect", (client) => client.on("error", () => undefined));
  const connect = pool.connect.bind(pool);
  const connectOnce = (given: Connected) =>
    connect((error, client, release) => given(error, client, client && onlyOnce(release)));
  pool.connect = ((given?: Connected) =>
    given ? connectOnce(given) : connect()) as typeof pool.connect;
  return pool;
}

type Release = (destroy?: Error | boolean) => void;
type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: Release | undefined,
) => void;

function onlyOnce(release: Release): Release {
  let isReleased = false;
  return (destroy) => {
    if (!isReleased) release(destroy);
    isReleased = true;
  };
}
