import pg from "pg";
import { messageOf, type WorkerLogger } from "./logger.ts";

const CONNECTIONS = 3;

/**
 * Connections for graphile-worker. A pool of its own making stops listening for errors before it
 * closes its connections (0.18.0): one that the server ends just then would end the process. This
 * one listens for as long as there is anything to be heard.
 */
export function createPool(url: string, logger: WorkerLogger): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
  pool.on("error", (error) => logger.warn(`a connection was lost: ${messageOf(error)}`));
  // Whoever has it in use hears of it by what it asked for.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}
