import pg from "pg";
import { messageOf, type WorkerLogger } from "./logger.ts";

/**
 * Connections for graphile-worker. A pool that graphile-worker creates stops handling errors before
 * it closes its connections (0.18.0): one that the server ends just then would end the process. This
 * one always handles them.
 *
 * It also allows a connection to be released twice: graphile-worker releases that of its LISTEN when
 * the runner ends, and again when it breaks before the LISTEN is answered (0.18.0); pg would throw,
 * and nothing would catch that.
 */
export function createPool(url: string, logger: WorkerLogger, connections = 3): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  pool.on("error", (error) => logger.warn(`a connection was lost: ${messageOf(error)}`));
  // The query that is under way on it reports the error.
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
