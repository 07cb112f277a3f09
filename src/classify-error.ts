/**
 * What an error says of the command that failed with it:
 *
 * - `unsent`: there was no connection to send it on;
 * - `undone`: the server has certainly not done it, and another try may succeed;
 * - `unknown`: the connection broke, so the server may have done it, or may still do it;
 * - `final`: another try would fail as well.
 */
export type ErrorClass = "unsent" | "undone" | "unknown" | "final";

// Names of Node and of the drivers, and SQLSTATEs. 57P03: starting up or shutting down, 53300: too
// many connections; both are said before a query can be sent.
const UNSENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT|57P03|53300|08001|08004)$/;
// Serialization failure, deadlock.
const UNDONE = /^(40001|40P01)$/;
// 57P01, 57P02: the server or its administrator ends the connection; 57P05: idle for too long.
const UNKNOWN =
  /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|CONNECTION_CLOSED|57P0[125]|08...)$/;

/** Classifies an error by its code: the one place that knows what an error means. */
export function classifyError(error: unknown): ErrorClass {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (typeof code !== "string") return "final";
  if (UNSENT.test(code)) return "unsent";
  if (UNDONE.test(code)) return "undone";
  return UNKNOWN.test(code) ? "unknown" : "final";
}
