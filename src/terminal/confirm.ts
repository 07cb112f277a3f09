import { createInterface } from "node:readline/promises";
import { terminalText } from "./safe-text.ts";

/** Where a person is asked. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

const PROCESS: Terminal = { input: process.stdin, output: process.stderr };

/** Whether somebody can be asked. */
export function canAsk({ input }: Terminal = PROCESS): boolean {
  return input.isTTY === true;
}

/** Asks a question, to which everything but y or yes is no. */
export async function confirm(question: string, terminal: Terminal = PROCESS): Promise<boolean> {
  const lines = createInterface({ ...terminal });
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  try {
    const answer = lines.question(`${terminalText(question)} [y/N] `);
    return /^y(es)?$/i.test((await Promise.race([answer, ended])).trim());
  } finally {
    lines.close();
  }
}
