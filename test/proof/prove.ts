// Runs parts of the proof, one after the other, and reports their results.
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

/** How long the parts run, and with which seed. */
export interface ProofOptions {
  readonly seed: number;
  readonly runs: number;
  readonly minutes: number;
}

interface Ran extends Outcome {
  readonly part: Part;
  readonly seconds: number;
}

/** How much longer than its share of the time a part may take to end. */
const OVERTIME_MS = 15 * 60_000;

/** Runs parts, which share the time, and returns the exit code; `stop` ends them early. */
export async function prove(
  parts: readonly Part[],
  { seed, runs, minutes }: ProofOptions,
  report: Report,
  stop: AbortSignal,
): Promise<number> {
  let end = performance.now() + minutes * 60_000;
  stop.addEventListener("abort", () => {
    end = 0;
  });
  const log = (line: string) => {
    printError(line);
    report.note(line);
  };
  log(`seed ${seed}`);
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
      log: (line) => log(`${part.name}: ${line}`),
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
  printSummary(ran, seed, report);
  return ran.some(({ failure }) => failure) ? EXIT.refused : EXIT.fine;
}

async function runPart(part: Part, budget: Budget, until: number): Promise<Ran> {
  const began = performance.now();
  const over = new AbortController();
  const outcome = await Promise.race([
    // A part that fails must not stop the others.
    part
      .run(budget)
      .catch(
        (error: unknown): Outcome => ({ ran: {}, failure: explain(error), ...evidenceOf(error) }),
      ),
    timeout(until - began + OVERTIME_MS, over.signal),
  ]);
  over.abort();
  if (outcome.failure) budget.log(`found a failure\n${outcome.failure}`);
  return { part, seconds: (performance.now() - began) / 1000, ...outcome };
}

/** The outcome of a part that does not end. */
async function timeout(ms: number, signal: AbortSignal): Promise<Outcome> {
  if (!Number.isFinite(ms)) return new Promise(() => undefined);
  await pause(ms, undefined, { signal }).catch(() => undefined);
  return { ran: {}, failure: `it has not ended ${OVERTIME_MS / 60_000} minutes after its time` };
}

/** The first error, and then those of the clean-up after it. */
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

function printSummary(all: readonly Ran[], seed: number, report: Report): void {
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

/** One row for each count of a part; the first also has its outcome. */
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
