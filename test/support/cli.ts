import { type ChildProcess, execFile } from "node:child_process";
import { join } from "node:path";

/** The program `baseledger`. */
export const MAIN = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts");

// Compiling takes half of the time of a short command.
const NODE_COMPILE_CACHE = join(MAIN, "..", "..", "..", "node_modules", ".cache", "baseledger");

/** The exit code and the output of a program. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `baseledger` as a person would, with only `env` in its environment. */
export async function baseledger(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return start(args, env).ended;
}

/** A program that runs until it is stopped. */
export interface Started {
  readonly child: ChildProcess;
  /** Its output so far. */
  readonly said: () => string;
  readonly ended: Promise<Ended>;
}

/** Starts `baseledger`, or a copy of it, and does not wait for its end. */
export function start(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  main = MAIN,
): Started {
  const options = {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_COMPILE_CACHE, ...env },
    maxBuffer: 100_000_000,
  };
  const ended = Promise.withResolvers<Ended>();
  const child = execFile(process.execPath, [main, ...args], options, (_error, stdout, stderr) =>
    ended.resolve({ code: child.exitCode, stdout, stderr }),
  );
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer | string) => {
      text += chunk;
    });
  }
  return { child, said: () => text, ended: ended.promise };
}
