/**
 * Whether an error is what has become of another query. When a connection breaks between an error
 * and the end of its answer, postgres.js (3.4.9) keeps the error, and fails the first query of the
 * next connection with it, which it then does not send.
 */
export function isLeftover(error: unknown, sent: readonly (string | null)[]): boolean {
  const { severity, parameters } = (error ?? {}) as Readonly<Record<string, unknown>>;
  // The driver notes with an error whose it is. (Those of a connection, FATAL ones among them, may
  // have the name of a query before as well, and are everybody's.)
  if (severity !== "ERROR" || !Array.isArray(parameters)) return false;
  return parameters.length !== sent.length || parameters.some((value, i) => value !== sent[i]);
}

/** What to say instead: the connection has broken. */
export function leftoverError(cause: unknown): Error {
  const error = new Error("the connection broke before this was sent", { cause });
  return Object.assign(error, { code: "CONNECTION_CLOSED" });
}
