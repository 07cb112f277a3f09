import { Logger } from "graphile-worker";

/** Where a worker tells what happens to it; `console` will do. */
export interface WorkerLogger {
  info(message: string): void;
  warn(message: string): void;
}

/** Tells nobody. */
export const silence: WorkerLogger = { info: () => undefined, warn: () => undefined };

const NOTEWORTHY: readonly string[] = ["error", "warning"];

/** What graphile-worker has to say of trouble; it also tells each job, ten times a second. */
export function graphileLogger(logger: WorkerLogger): Logger {
  return new Logger(() => (level, message) => {
    if (NOTEWORTHY.includes(level)) {
      logger.warn(firstLine(message));
    }
  });
}

/** An error in one line. */
export function messageOf(error: unknown): string {
  return firstLine(error instanceof Error ? error.message || error.name : String(error));
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
