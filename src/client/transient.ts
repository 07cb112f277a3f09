/**
 * What an error says of the query that failed with it:
 *
 * - `unsent`: there was no connection to send it on;
 * - `undone`: the server has rolled it back, and asks for another try;
 * - `lost`: the connection broke, so the server may have carried it out, or may yet;
 * - `final`: another try would fail as well.
 */
export type Trouble = "unsent" | "undone" | "lost" | "final";

// Names of Node and of the drivers, and SQLSTATEs. 57P03: starting up or shutting down, 53300: too
// many connections; both are said before a query can be sent.
const UNSENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT|57P03|53300|08001|08004)$/;
// Serialization failure, deadlock.
const UNDONE = /^(40001|40P01)$/;
// 57P01, 57P02: the server or its administrator ends the connection; 57P05: idle for too long.
const LOST =
  /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|CONNECTION_CLOSED|57P0[125]|08...)$/;

/** Classes an error by its code. */
export function troubleOf(error: unknown): Trouble {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (typeof code !== "string") return "final";
  if (UNSENT.test(code)) return "unsent";
  if (UNDONE.test(code)) return "undone";
  return LOST.test(code) ? "lost" : "final";
}
