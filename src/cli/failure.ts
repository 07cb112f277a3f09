import { CommanderError, InvalidArgumentError } from "commander";
import { TraceError } from "../demo/trace.ts";
import { LedgerError } from "../errors.ts";

/** What the programs of BaseLedger exit with. */
export const EXIT = {
  fine: 0,
  /** The ledger refused a command, or is not sound. */
  refused: 1,
  /** Called in a wrong way. */
  usage: 2,
  /** The database cannot be reached. */
  unreachable: 3,
  /** What was asked could not be found out, so it is neither sound nor unsound. */
  unchecked: 4,
} as const;

/** An exit code of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Why a command failed: a line for a person, and the exit code for a script. */
export interface Failure {
  readonly code: ExitCode;
  readonly line: string;
}

/** Something the caller did wrong; the message says what, and what to do instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** There is no database to work on; the message says why. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** What was asked could not be done now, and was neither refused nor found unsound. */
export class UncheckedError extends Error {
  override readonly name = "UncheckedError";
}

/** What to tell of an error that ended a command. Null if the person has been told already. */
export function failureOf(error: unknown): Failure | null {
  if (error instanceof CommanderError) {
    return null;
  }
  if (error instanceof UsageError || error instanceof TraceError) {
    return { code: EXIT.usage, line: oneLine(error.message) };
  }
  if (error instanceof UnreachableError) {
    return { code: EXIT.unreachable, line: oneLine(error.message) };
  }
  if (error instanceof UncheckedError) {
    return { code: EXIT.unchecked, line: oneLine(error.message) };
  }
  if (error instanceof LedgerError) {
    const hint = error.hint ? ` Hint: ${error.hint}` : "";
    return { code: EXIT.refused, line: oneLine(`${error.message} (${error.code}).${hint}`) };
  }
  const { code = "", message, hint } = describe(error);
  if (UNREACHABLE.test(code)) {
    return { code: EXIT.unreachable, line: oneLine(`cannot connect: ${message || code}. ${HOW}`) };
  }
  // Of a missing right, an error of ours says better than we here which one it is.
  const advice = code === "42501" ? (hint ?? ADVICE[code]) : (ADVICE[code] ?? hint);
  return { code: EXIT.refused, line: oneLine(advice ? `${message}. Hint: ${advice}` : message) };
}

/** Runs a parser of an option's text, and makes its complaint one of the command line. */
export function parsedBy<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(describe(error).message);
    }
  };
}

// Node's and the driver's names for a network that fails, and PostgreSQL's for a server that
// does not let us in: wrong login (28), no such database, starting or stopping, too many.
const UNREACHABLE =
  /^(ECONN|ENOTFOUND|EAI_|EHOST|ENETU|ETIMEDOUT|ERR_INVALID_URL|CONNECT|28|3D000|57P|53300)/;
const HOW = "Name the server with --url or DATABASE_URL.";

const NOT_INSTALLED = "BaseLedger is not installed in this database; run: baseledger migrate";
const ADVICE: Readonly<Record<string, string>> = {
  "3F000": NOT_INSTALLED,
  "42883": NOT_INSTALLED,
  "42P01": NOT_INSTALLED,
  "42501":
    "grant the login baseledger_agent, _operator, _auditor or _worker; to install needs CREATEROLE " +
    "and create on the database, the first start of a worker create on the database",
};

interface Described {
  readonly code?: string | undefined;
  readonly message: string;
  readonly hint?: string | undefined;
}

function describe(error: unknown): Described {
  // Node reports a host with several addresses as one error of several, without a message.
  if (error instanceof AggregateError && !error.message) {
    return describe(error.errors.at(-1));
  }
  return error instanceof Error ? (error as Described) : { message: String(error) };
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").replace(/([.:?!])\.(?=\s|$)/g, "$1");
}
