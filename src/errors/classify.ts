/**
 * What an error says of the command that failed with it:
 *
 * - `unsent`: there was no session to send it in, so nothing has happened;
 * - `undone`: the server has certainly rolled it back, and another try may succeed;
 * - `unknown`: the session ended, so the server may have done it, or may still do it;
 * - `final`: another try would fail as well.
 *
 * Why the first three can be told apart: PostgreSQL answers a statement outside of a transaction
 * block with ERROR only if it has rolled it back. FATAL and PANIC end the session, also while the
 * statement waits for a standby, which is after its commit. Before the session was ready, nothing
 * can have been sent, whatever the code.
 */
export type ErrorClass = "unsent" | "undone" | "unknown" | "final";

/** Five digits or capitals: an SQLSTATE. In tables, `...` stands for a whole class. */
type Codes = string;

// There was no session. Node and the drivers:
const NO_CONNECTION: Codes =
  "ECONNREFUSED ENOTFOUND EAI_AGAIN ENOENT EADDRNOTAVAIL EMFILE ENFILE CONNECT_TIMEOUT";
// 53300 too many connections, 57P03 starting or stopping, 08001 and 08004 no connection: PostgreSQL
// and poolers say these before a statement can be sent.
const NO_SESSION: Codes = "53300 57P03 08001 08004";

// Before the session was ready, these are what waiting does not cure: the login (28), the database
// (3D000), the right to connect to it (42501).
const NOT_LET_IN: Codes = "28... 3D000 42501";

// The connection broke. Node and the drivers:
const BROKEN: Codes =
  "ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH ENETDOWN " +
  "CONNECTION_CLOSED CONNECTION_DESTROYED";
// 08 connection, 57P01 and 57P02 the server or its administrator ends the session, 57P04 the database
// was dropped, 57P05 idle for too long, 25P03 and 25P04 a transaction for too long, 40003 not known.
const SESSION_ENDED: Codes = "08... 57P01 57P02 57P04 57P05 25P03 25P04 40003";

// Rolled back, and waiting helps: 40 serialization failure, deadlock, conflict with recovery; 55P03
// lock_timeout, 55006 in use; 57014 statement_timeout or cancelled; 53 out of memory, disk, limits;
// 72 snapshot too old; 25006 the server takes no writes: a standby, or the primary of before a
// fail-over.
const COMES_BACK: Codes = "40... 55P03 55006 57014 53... 72000 25006";
// Rolled back, and a new session may cure it: 26000, 42P05 and 08P01 prepared statements that a
// pooler has left with another session; 0A000 "cached plan must not change result type", 42804,
// 42846, 42704 and XX000 "cache lookup failed": types and functions changed by an upgrade under way.
// 58000 and 58030: the operating system, or a pooler.
const MAY_COME_BACK: Codes = "26000 42P05 08P01 0A000 42804 42846 42704 XX000 58000 58030";
// The same from inside a function; else it means that the ledger is not installed: 3F000 schema,
// 42883 function, 42P01 table, 42703 column.
const MAY_COME_BACK_INSIDE: Codes = "3F000 42883 42P01 42703";

const isNoConnection = matcher(NO_CONNECTION);
const isNoSession = matcher(NO_SESSION);
const isNotLetIn = matcher(NOT_LET_IN);
const isBroken = matcher(BROKEN);
const isSessionEnded = matcher(SESSION_ENDED);
const comesBack = matcher(COMES_BACK);
const mayComeBackAnywhere = matcher(MAY_COME_BACK);
const mayComeBackInside = matcher(MAY_COME_BACK_INSIDE);
const isSqlState = matcher(".....");

/**
 * Classifies an error by its code and severity: the one place that knows what an error means.
 *
 * @param wasSent - false if it is certain that the statement was not sent, as the driver was still
 *   connecting
 */
export function classifyError(error: unknown, wasSent = true): ErrorClass {
  const { code, severity } = describe(error);
  if (isNoConnection(code) || isNoSession(code)) return "unsent";
  if (!wasSent) return classifyStart(code, severity);
  const isFatal = severity === "FATAL" || severity === "PANIC";
  if (isFatal && isNotLetIn(code)) return "final";
  if (isFatal || isBroken(code)) return "unknown";
  // From here on the server has said ERROR, or what it has said is not known.
  if (severity === "ERROR" && mayComeBack(error)) return "undone";
  if (isSessionEnded(code)) return "unknown";
  return comesBack(code) || mayComeBack(error) ? "undone" : "final";
}

/** What ended the start of a session. An error without severity is of Node, or of the driver. */
function classifyStart(code: string, severity: string): ErrorClass {
  if (isNotLetIn(code)) return "final";
  const isSaid = severity !== "" && isSqlState(code);
  return isSaid || isBroken(code) || isSessionEnded(code) ? "unsent" : "final";
}

/**
 * Whether an `undone` error is worth a few tries only, each in a new session: it may be passing (an
 * upgrade under way), or there for good.
 */
export function mayComeBack(error: unknown): boolean {
  const { code, where } = describe(error);
  return mayComeBackAnywhere(code) || (where !== "" && mayComeBackInside(code));
}

/** Whether it was given up while it waited or worked: `lock_timeout`, `statement_timeout`, cancelled. */
export function isHeldUp(error: unknown): boolean {
  const { code } = describe(error);
  return code === "55P03" || code === "57014";
}

/**
 * Whether the session takes no writes, so that another server has them by now, or soon: neither
 * this session nor any other that was opened before must be used again, not even to read.
 */
export function isReadOnly(error: unknown): boolean {
  return describe(error).code === "25006";
}

/**
 * Whether the session does not have a statement that was prepared, or has another of this name:
 * there is a pooler in between that gives each transaction any session.
 */
export function isUnprepared(error: unknown): boolean {
  const { code, severity } = describe(error);
  return code === "26000" || code === "42P05" || (code === "08P01" && severity === "ERROR");
}

/** Whether the server has ended the session by itself, and said so: it works on nothing any more. */
export function isLastWord(error: unknown): boolean {
  const { code, severity } = describe(error);
  const isFatal = severity === "FATAL" || severity === "PANIC";
  // A pooler says 08 of a session that goes on behind it.
  return isFatal && !code.startsWith("08");
}

interface Described {
  readonly code: string;
  /** Empty if nothing was said by a server. */
  readonly severity: string;
  /** Where in the ledger's functions it happened. */
  readonly where: string;
}

function describe(error: unknown): Described {
  const given = (error ?? {}) as Readonly<Record<string, unknown>>;
  // `severity_local` is what a pooler gives, and may be translated.
  const { code, severity = given.severity_local, where } = given;
  return { code: text(code), severity: text(severity), where: text(where) };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function matcher(codes: Codes): (code: string) => boolean {
  const pattern = new RegExp(`^(${codes.split(" ").join("|")})$`);
  return (code) => pattern.test(code);
}
