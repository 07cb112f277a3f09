import { printError } from "./output.ts";
import { printableJson, styled, text, trusted } from "./safe-text.ts";

/** What a service logs: lines for a person, or JSON, one object a line. */
export type LogFormat = "text" | "json";

/** Takes what a service reports. */
export interface Logger {
  info(message: string): void;
  warn(message: string): void;
}

/** A logger to standard error, with the time. */
export function createLogger(format: LogFormat): Logger {
  const write = format === "json" ? writeJson : writeText;
  return { info: (message) => write("info", message), warn: (message) => write("warn", message) };
}

function writeJson(level: string, message: string): void {
  const entry = JSON.stringify({ time: new Date().toISOString(), level, message });
  printError(trusted(printableJson(entry)));
}

function writeText(level: "info" | "warn", message: string): void {
  const stream = process.stderr;
  const time = styled("gray", new Date().toISOString(), stream);
  printError(text`${time} ${level === "warn" ? styled("yellow", message, stream) : message}`);
}
