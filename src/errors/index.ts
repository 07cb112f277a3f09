/*
 * The errors of the ledger: its refusals (codes LG…), those of the client, and what any other error
 * says about the statement that failed with it.
 */

export {
  classifyError,
  type ErrorKind,
  endedSession,
  isReadOnly,
  isStatementLost,
  mayPassInNewSession,
  wasInterrupted,
} from "./classify.ts";
export * from "./client.ts";
export * from "./refusals.ts";
export { isUnpriced } from "./unpriced.ts";
