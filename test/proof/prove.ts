// Runs parts of the proof, one after the other, and tells what came of them.
import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import {
  EXIT,
  printError,
  printLine,
  renderTable,
  terminalText,
  trusted,
} from "../../src/terminal/index.ts";
import { copyTemplate, startTemplateServer } from "../support/template.ts";
import type { Budget, Outcome, Part } from "./part.ts";
import { EvidentError } from "./part.ts";
import type { Report } from "./report.ts";
import { startServer } from "./servers.ts";

/** How long parts run, and from what. */
export interface ProofOptions {
  readonly seed: number;
  readonly runs: number;
  readonly minutes: number;
}

interface Ran extends Outcome {
  readonly part: Part;
  readonly seconds: number;
}

/** How much longer than its time a part may take to come to its end. */
const OVERTIME_MS = 15 * 60_000;

/** Runs parts, which share the time; gives the exit code. */
export async function prove(
  parts: readonly Part[],
  { seed, runs, minutes }: ProofOptions,
  report: Report,
  asked: AbortSignal,
): Promise<number> {
  let end = performance.now() + minutes * 60_000;
  // Who has seen enough is told what there was to see.
  asked.addEventListener("abort", () => {
    end = 0;
  });
  const say = (line: string) => {
    printError(line);
    report.note(line);
  };
  say(`seed ${seed}`);
  let server: ReturnType<typeof startTemplateServer> | undefined;
  const ran: Ran[] = [];
  for (const [i, part] of parts.entries()) {
    const now = performance.now();
    const until = now + (end - now) / (parts.length - i);
    const budget: Budget = {
      seed,
      runs,
      get until() {
        return Math.min(until, end);
      },
      log: (line) => say(`${part.name}: ${line}`),
      keep: (failure) => report.find(part.name, failure),
      createDatabase: async () => {
        server ??= startTemplateServer({}, startServer);
        return copyTemplate(await server);
      },
    };
    const outcome = await runPart(part, budget, until);
    if (outcome.failure) report.find(part.name, outcome.failure, outcome.evidence);
    ran.push(outcome);
  }
  tell(ran, seed, report);
  return ran.some(({ failure }) => failure) ? EXIT.refused : EXIT.fine;
}

async function runPart(part: Part, budget: Budget, until: number): Promise<Ran> {
  const began = performance.now();
  const over = new AbortController();
  const outcome = await Promise.race([
    // A part that cannot go on must not keep the others from running.
    part
      .run(budget)
      .catch(
        (error: unknown): Outcome => ({ ran: {}, failure: explain(error), ...evidenceOf(error) }),
      ),
    stuck(until - began + OVERTIME_MS, over.signal),
  ]);
  over.abort();
  if (outcome.failure) budget.log(`found a failure\n${outcome.failure}`);
  return { part, seconds: (performance.now() - began) / 1000, ...outcome };
}

/** What is told of a part that does not come to its end. */
async function stuck(ms: number, signal: AbortSignal): Promise<Outcome> {
  if (!Number.isFinite(ms)) return new Promise(() => undefined);
  await pause(ms, undefined, { signal }).catch(() => undefined);
  return { ran: {}, failure: `it has not come to its end ${OVERTIME_MS / 60_000} minutes after` };
}

/** What went wrong first, and then what could not be cleared up after it. */
function explain(error: unknown): string {
  if (error instanceof SuppressedError) {
    return `${explain(error.suppressed)}\n${explain(error.error)}`;
  }
  return inspect(error instanceof EvidentError ? error.cause : error);
}

function evidenceOf(error: unknown): Pick<Outcome, "evidence"> {
  const first = error instanceof SuppressedError ? error.suppressed : error;
  return first instanceof EvidentError ? { evidence: first.evidence } : {};
}

function tell(all: readonly Ran[], seed: number, report: Report): void {
  const columns = [
    { name: "part", alignment: "left" },
    { name: "seconds", alignment: "right" },
    { name: "found", alignment: "left" },
    { name: "count", alignment: "right" },
    { name: "of", alignment: "left" },
  ] as const;
  const table = renderTable(columns, all.flatMap(rowsOf));
  printLine(table);
  printLine(`seed ${seed}`);
  for (const { part, failure } of all) {
    if (failure) printLine(trusted(`\n${part.name} found:\n${failure}`));
  }
  report.end(terminalText(table));
}

/** A line for each of its counts; the first tells what came of it, too. */
function rowsOf({ part, ran, seconds, failure }: Ran): Record<string, string>[] {
  const outcome = {
    part: part.name,
    seconds: seconds.toFixed(0),
    found: failure ? "a failure" : "nothing",
  };
  const counts = Object.entries(ran).map(([what, count]) => ({
    count: count.toLocaleString("en-US"),
    of: what.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
  }));
  const [first, ...rest] = counts;
  return [{ ...outcome, ...first }, ...rest];
}
