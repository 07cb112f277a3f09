import { Logger } from "graphile-worker";

/** Receives what a worker logs, e.g. `console`. */
export interface WorkerLogger {
  info(message: string): void;
  warn(message: string): void;
}

/** Logs nothing. */
export const silence: WorkerLogger = { info: () => undefined, warn: () => undefined };

const LEVELS: readonly string[] = ["error", "warning"];

/** Passes on what graphile-worker warns of; it also logs each job, which may be ten times a second. */
export function graphileLogger(logger: WorkerLogger): Logger {
  return new Logger(() => (level, message) => {
    if (LEVELS.includes(level)) {
      logger.warn(firstLine(message));
    }
  });
}

/** The message of an error, in one line. */
export function messageOf(error: unknown): string {
  return firstLine(error instanceof Error ? error.message || error.name : String(error));
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
