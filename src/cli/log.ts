import { styleText } from "node:util";
import type { WorkerLogger } from "../worker.ts";
import { printError } from "./output.ts";

/** How a service tells what happens: lines for a person, or JSON, one object a line. */
export type LogFormat = "text" | "json";

/** A logger to standard error, with the time. */
export function createLogger(format: LogFormat): WorkerLogger {
  const write = format === "json" ? writeJson : writeText;
  return { info: (message) => write("info", message), warn: (message) => write("warn", message) };
}

function writeJson(level: string, message: string): void {
  printError(JSON.stringify({ time: new Date().toISOString(), level, message }));
}

function writeText(level: "info" | "warn", message: string): void {
  const stream = process.stderr;
  const time = styleText("gray", new Date().toISOString(), { stream });
  printError(`${time} ${level === "warn" ? styleText("yellow", message, { stream }) : message}`);
}
