import { untilNpmEnds } from "./npm.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Resolves at Ctrl-C, or when the program is asked to end, or npm is that has started it. A second
 * Ctrl-C ends it at once.
 */
export function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    const npm = new AbortController();
    const end = (): void => {
      for (const signal of SIGNALS) process.off(signal, end);
      npm.abort();
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, end);
    untilNpmEnds(npm.signal, end);
  });
}
