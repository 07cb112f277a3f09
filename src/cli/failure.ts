import { CommanderError } from "commander";
import { classifyError, LedgerError } from "../errors/index.ts";
import { EXIT, type ExitCode } from "../terminal/index.ts";
import type { Denomination } from "./amounts.ts";
import { describeRefusal } from "./refusal.ts";

/** Why a command failed. */
export interface Failure {
  /** The exit code, for a script. */
  readonly code: ExitCode;
  /** For a person; it may contain untrusted text. */
  readonly line: string;
  /** For a program that has asked for JSON. */
  readonly error: FailureJson;
}

/** What `--json` prints of a failure, as `{"error": …}`. */
export interface FailureJson {
  /** SQLSTATE, or Node's name for a network that fails; null if there is none. */
  readonly code: string | null;
  readonly message: string;
  /** The fields of a refusal; amounts are in the wallet's smallest step. */
  readonly detail: unknown;
  readonly hint: string | null;
  /** Of a command that may have been executed: the same command with this key finds out. */
  readonly idempotencyKey?: string;
}

/** The command was called in a wrong way; the message says what to do instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** No database can be reached; the message says why. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** A check came to no verdict, or something could not be done now; the cause is the reason. */
export class UncheckedError extends Error {
  override readonly name = "UncheckedError";
}

/** A command to a wallet failed with `cause`. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly sent: SentCommand;

  constructor(cause: unknown, sent: SentCommand) {
    super("a command failed", { cause });
    this.sent = sent;
  }
}

/** What is known of a command that was sent. */
export interface SentCommand {
  /** Refusals report amounts in this unit. */
  readonly denomination: Denomination;
  readonly idempotencyKey?: string | undefined;
  /** How to find out whether it was executed. */
  readonly again: string;
}

/** The failure to report for an error that ended a command; null if commander has reported it. */
export function failureOf(error: unknown): Failure | null {
  if (error instanceof CommanderError) return null;
  if (error instanceof UncheckedError && error.cause !== undefined) {
    return unchecked(failureOf(error.cause));
  }
  if (error instanceof CommandError) return ofCommand(error);
  if (error instanceof LedgerError) return ofRefusal(error);
  const { message, hint = null } = describe(error);
  const code = codeOf(error);
  const failure = (exit: ExitCode, said: string, advice = hint): Failure => ({
    code: exit,
    line: advice ? `${sentence(oneLine(said))} Hint: ${oneLine(advice)}` : oneLine(said),
    error: { code, message: oneLine(said), detail: null, hint: advice },
  });
  if (error instanceof UsageError || isTraceError(error)) return failure(EXIT.usage, message);
  if (error instanceof UnreachableError) return failure(EXIT.unreachable, message);
  if (error instanceof UncheckedError) return failure(EXIT.unchecked, message);
  if (code !== null && isUnreachable(code, error)) {
    return failure(EXIT.unreachable, cannotConnect(error));
  }
  if (classifyError(error) === "unknown") {
    return failure(EXIT.unchecked, `the connection ended before the answer: ${message || code}`);
  }
  // The hint of our own errors names the missing right.
  const advice = ADVICE[code ?? ""] ?? hint;
  return failure(EXIT.refused, message, code === "42501" ? (hint ?? advice) : advice);
}

/** Says that there is no connection, why, and where to name another server. */
export function cannotConnect(error: unknown): string {
  const { code = "", message } = describe(error);
  return `cannot connect: ${sentence(message || code)} ${HOW}`;
}

/** Runs a check: an error means that it came to no verdict. */
export async function asCheck<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw new UncheckedError("the check has come to no verdict", { cause });
  }
}

function unchecked(failure: Failure | null): Failure | null {
  const hasBegun = failure?.code !== EXIT.usage && failure?.code !== EXIT.unreachable;
  return failure && hasBegun ? { ...failure, code: EXIT.unchecked } : failure;
}

function ofRefusal(error: LedgerError, denomination?: Denomination): Failure {
  const { code, detail, hint } = error;
  const message = describeRefusal(error, denomination);
  const advice = hint ? ` Hint: ${hint}` : "";
  return {
    code: EXIT.refused,
    line: `${message} (${code}).${advice}`,
    error: { code, message, detail, hint },
  };
}

function ofCommand({ cause, sent }: CommandError): Failure | null {
  if (cause instanceof LedgerError) return ofRefusal(cause, sent.denomination);
  const failure = failureOf(cause);
  if (failure?.code !== EXIT.unchecked) return failure;
  const { again, idempotencyKey } = sent;
  const hint = `It is not known whether it was done; ${again}`;
  return {
    ...failure,
    line: `${sentence(failure.line)} ${hint}`,
    error: { ...failure.error, hint, ...(idempotencyKey && { idempotencyKey }) },
  };
}

// By its name, as its class would load the room of traces for every command.
function isTraceError(error: unknown): boolean {
  return error instanceof Error && error.name === "TraceError";
}

function isUnreachable(code: string, error: unknown): boolean {
  return NO_SERVER.test(code) || classifyError(error) === "unsent";
}

// Besides what classifyError knows: an address that cannot be parsed, no route to the host, and a
// server that refuses the login or does not have the database.
const NO_SERVER = /^(ERR_INVALID_URL|ENOTFOUND|EAI_|EHOST|ENETU|ETIMEDOUT|28|3D000)/;
const HOW = "Name the server with --url, DATABASE_URL or PGHOST.";

const NOT_INSTALLED = "BaseLedger is not installed in this database; run: baseledger migrate";
const ADVICE: Readonly<Record<string, string>> = {
  "3F000": NOT_INSTALLED,
  "42883": NOT_INSTALLED,
  "42P01": NOT_INSTALLED,
  "42703": "the schema may be older than this program; run: baseledger migrate",
  "42501":
    "grant the login baseledger_agent, _operator, _auditor or _worker; to install needs CREATEROLE " +
    "and create on the database, the first start of a worker create on the database",
  "57014":
    "a longer time is set with statement_timeout, for this login or in the address: " +
    "?statement_timeout=0",
};

function codeOf(error: unknown): string | null {
  const known = error instanceof UnreachableError ? error.cause : error;
  return describe(known).code ?? null;
}

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
  return text.replace(/\s+/g, " ").trim();
}

function sentence(text: string): string {
  return /[.:?!]$/.test(text) ? text : `${text}.`;
}
