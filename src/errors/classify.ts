/**
 * What an error says about the statement that failed with it:
 *
 * - `unsent`: no session was ready to send it in, so nothing was done;
 * - `undone`: the server has certainly rolled it back, and another try may succeed;
 * - `unknown`: the session ended, so the server may have done it, or may still do it;
 * - `final`: another try would fail as well.
 *
 * The first three can be distinguished because PostgreSQL answers a statement outside of a
 * transaction block with ERROR only if it has rolled it back. FATAL and PANIC end the session, also
 * while the statement waits for a standby, which is after its commit. Before a session is ready,
 * nothing can have been sent, whatever the code.
 */
export type ErrorKind = "unsent" | "undone" | "unknown" | "final";

/** Five digits or capitals: an SQLSTATE. In tables, `...` stands for a whole class. */
type Codes = string;

// No session. Codes of Node and the drivers:
const NO_CONNECTION: Codes =
  "ECONNREFUSED ENOTFOUND EAI_AGAIN ENOENT EADDRNOTAVAIL EMFILE ENFILE CONNECT_TIMEOUT";
// 53300 too many connections, 57P03 starting or stopping, 08001 and 08004 no connection: PostgreSQL
// and poolers send these before a statement can be sent.
const NO_SESSION: Codes = "53300 57P03 08001 08004";

// Before the session is ready, waiting does not help against these: login refused (28), no such
// database (3D000), no right to connect to it (42501).
const LOGIN_REFUSED: Codes = "28... 3D000 42501";

// The connection broke. Codes of Node and the drivers:
const BROKEN: Codes =
  "ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH ENETDOWN " +
  "CONNECTION_CLOSED CONNECTION_DESTROYED";
// 08 connection, 57P01 and 57P02 the server or its administrator ends the session, 57P04 the database
// was dropped, 57P05 idle for too long, 25P03 and 25P04 a transaction too long, 40003 unknown.
const SESSION_ENDED: Codes = "08... 57P01 57P02 57P04 57P05 25P03 25P04 40003";

// Rolled back, and waiting helps: 40 serialization failure, deadlock, conflict with recovery; 55P03
// lock_timeout, 55006 in use; 57014 statement_timeout or cancelled; 53 out of memory, disk, limits;
// 72 snapshot too old; 25006 the server takes no writes: a standby, or the old primary after a
// fail-over.
const PASSING: Codes = "40... 55P03 55006 57014 53... 72000 25006";
// Rolled back, and a new session may help: 26000, 42P05 and 08P01 prepared statements that a
// pooler has left with another session; 0A000 "cached plan must not change result type", 42804,
// 42846, 42704 and XX000 "cache lookup failed": types and functions changed by a running upgrade.
// 58000 and 58030: the operating system, or a pooler.
const MAY_PASS: Codes = "26000 42P05 08P01 0A000 42804 42846 42704 XX000 58000 58030";
// The same, if raised inside a function; otherwise the ledger is not installed: 3F000 schema,
// 42883 function, 42P01 table, 42703 column.
const MAY_PASS_INSIDE: Codes = "3F000 42883 42P01 42703";

const isNoConnection = matcher(NO_CONNECTION);
const isNoSession = matcher(NO_SESSION);
const isLoginRefused = matcher(LOGIN_REFUSED);
const isBroken = matcher(BROKEN);
const isSessionEnded = matcher(SESSION_ENDED);
const isPassing = matcher(PASSING);
const mayPassAnywhere = matcher(MAY_PASS);
const mayPassInside = matcher(MAY_PASS_INSIDE);
const isSqlState = matcher(".....");

/**
 * Classifies an error by its code and severity.
 *
 * @param wasSent - false if the statement was certainly not sent, as the driver was still connecting
 */
export function classifyError(error: unknown, wasSent = true): ErrorKind {
  const { code, severity } = describe(error);
  if (isNoConnection(code) || isNoSession(code)) return "unsent";
  if (!wasSent) return classifyStart(code, severity);
  const isFatal = severity === "FATAL" || severity === "PANIC";
  if (isFatal && isLoginRefused(code)) return "final";
  if (isFatal || isBroken(code)) return "unknown";
  // From here on the severity is ERROR, or unknown.
  if (severity === "ERROR" && mayPassInNewSession(error)) return "undone";
  if (isSessionEnded(code)) return "unknown";
  return isPassing(code) || mayPassInNewSession(error) ? "undone" : "final";
}

/** Classifies an error of a session that was starting. Without severity it is Node's or the driver's. */
function classifyStart(code: string, severity: string): ErrorKind {
  if (isLoginRefused(code)) return "final";
  const isOfServer = severity !== "" && isSqlState(code);
  return isOfServer || isBroken(code) || isSessionEnded(code) ? "unsent" : "final";
}

/**
 * Whether an `undone` error justifies a few tries only, each in another session: it may pass (a
 * running upgrade), or be permanent.
 */
export function mayPassInNewSession(error: unknown): boolean {
  const { code, where } = describe(error);
  return mayPassAnywhere(code) || (where !== "" && mayPassInside(code));
}

/** Whether the server gave the statement up: `lock_timeout`, `statement_timeout`, cancelled. */
export function wasInterrupted(error: unknown): boolean {
  const { code } = describe(error);
  return code === "55P03" || code === "57014";
}

/**
 * Whether the session takes no writes, so that another server is the primary now, or soon: neither
 * this session nor any opened before it may be used again, not even to read.
 */
export function isReadOnly(error: unknown): boolean {
  return describe(error).code === "25006";
}

/**
 * Whether the session lacks a statement that was prepared, or has another of this name: a pooler in
 * between gives each transaction any session.
 */
export function isStatementLost(error: unknown): boolean {
  const { code, severity } = describe(error);
  return code === "26000" || code === "42P05" || (code === "08P01" && severity === "ERROR");
}

/** Whether the server reported that it has ended the session, so that nothing runs in it any more. */
export function endedSession(error: unknown): boolean {
  const { code, severity } = describe(error);
  const isFatal = severity === "FATAL" || severity === "PANIC";
  // A pooler sends 08 for a session that goes on behind it.
  return isFatal && !code.startsWith("08");
}

interface Described {
  readonly code: string;
  /** Empty if the error is not a server's. */
  readonly severity: string;
  /** Where in the ledger's functions it was raised. */
  readonly where: string;
}

function describe(error: unknown): Described {
  const given = (error ?? {}) as Readonly<Record<string, unknown>>;
  // A pooler sends only `severity_local`, which a server may translate.
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
