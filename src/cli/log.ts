import type { WorkerLogger } from "../worker/index.ts";
import { printError } from "./output.ts";
import { ours, printableJson, styled, text } from "./shown.ts";

/** How a service tells what happens: lines for a person, or JSON, one object a line. */
export type LogFormat = "text" | "json";

/** A logger to standard error, with the time. */
export function createLogger(format: LogFormat): WorkerLogger {
  const write = format === "json" ? writeJson : writeText;
  return { info: (message) => write("info", message), warn: (message) => write("warn", message) };
}

function writeJson(level: string, message: string): void {
  const entry = JSON.stringify({ time: new Date().toISOString(), level, message });
  printError(ours(printableJson(entry)));
}

function writeText(level: "info" | "warn", message: string): void {
  const stream = process.stderr;
  const time = styled("gray", new Date().toISOString(), stream);
  printError(text`${time} ${level === "warn" ? styled("yellow", message, stream) : message}`);
}
