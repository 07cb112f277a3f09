// The report of a run: a file that has what was found as soon as it is found, whatever ends the run.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { printError, trusted } from "../../src/terminal/index.ts";
import type { Evidence } from "./part.ts";
import { serverLogs } from "./servers.ts";

/** The lines for the person who watches that the report has, too. */
const LINES = 300;

/** What a run was started with. */
export interface RunFacts {
  readonly seed: number;
  /** The command line of the run. */
  readonly command: string;
  /** Where the report goes. */
  readonly folder: string;
  /** Whether there shall be one also when nothing was found. */
  readonly always: boolean;
}

export interface Report {
  /** Where it is; undefined if there was nothing to keep. */
  readonly path: string | undefined;
  /** Notes a line that the person who watches has seen. */
  note(line: string): void;
  /** Notes what a part has found, in place of what it had before, and saves the report. */
  find(part: string, failure: string, evidence?: Evidence): void;
  /** Notes what came of the whole run, and saves the report; what is found later is no matter. */
  end(summary: string): void;
}

interface Found {
  readonly failure: string;
  readonly evidence: Evidence;
  /** As they were when it was found. */
  readonly logs: Evidence;
}

/** Begins the report of a run. It is written when something is found, or if it is always to be. */
export function createReport({ seed, command, folder, always }: RunFacts): Report {
  const began = new Date();
  const stamp = began.toISOString().replace(/\D/g, "").slice(0, 14);
  const path = join(folder, `baseledger-proof-${stamp}-${seed}-${process.pid}.txt`);
  const found = new Map<string, Found>();
  const lines: string[] = [];
  let summary = "The run had not ended yet.";
  let saved = false;
  let hasEnded = false;

  const save = () => {
    if (hasEnded || (!always && found.size === 0)) return;
    try {
      writeWhole(path, text());
      saved = true;
    } catch (error) {
      printError(
        trusted(`${text()}\nThis report could not be kept in ${folder}: ${inspect(error)}`),
      );
    }
  };
  const text = () =>
    [
      ...section("Report of the proof", [
        `command:  ${command}`,
        `seed:     ${seed}`,
        `began:    ${began.toISOString()}`,
        `written:  ${new Date().toISOString()}`,
        ...versions(),
      ]),
      ...[...found].flatMap(([part, each]) => tell(part, seed, each)),
      ...section("Summary", [summary]),
      ...section("What was said", lines),
      "",
    ].join("\n");

  return {
    get path() {
      return saved ? path : undefined;
    },
    note(line) {
      lines.push(`${new Date().toISOString()} ${line}`);
      lines.splice(0, lines.length - LINES);
    },
    find(part, failure, evidence = {}) {
      found.set(part, { failure, evidence, logs: serverLogs() });
      save();
    },
    end(told) {
      summary = told;
      save();
      hasEnded = true;
    },
  };
}

function tell(part: string, seed: number, { failure, evidence, logs }: Found): string[] {
  const texts = [
    ...Object.entries(evidence),
    ...Object.entries(logs).map(([name, log]) => [`log of ${name}`, log] as const),
  ];
  return [
    ...section(`${part} found`, [
      failure,
      "",
      `this part alone: npm run proof -- --only "${part}" --seed ${seed}`,
    ]),
    ...texts.flatMap(([name, text]) => section(`${part}: ${name}`, [text.trimEnd()])),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return [`## ${title}`, "", ...lines, ""];
}

function versions(): string[] {
  const root = join(import.meta.dirname, "..", "..");
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const commit = spawnSync("git", ["describe", "--always", "--dirty"], { cwd: root }).stdout;
  const servers = Object.values(serverLogs()).flatMap(
    (log) => /starting (PostgreSQL \S+)/.exec(log)?.[1] ?? [],
  );
  return [
    `versions: baseledger ${version} (${commit?.toString().trim() || "no commit"}), ` +
      `Node ${process.version}, ${[...new Set(servers)].join(", ") || "no server"}`,
    `machine:  ${process.platform} ${process.arch}, ${availableParallelism()} processors, load ` +
      loadavg()
        .map((load) => load.toFixed(1))
        .join(" "),
  ];
}

/** Writes a file that is there with all that is in it, or as it was before. */
function writeWhole(path: string, text: string): void {
  const made = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    const file = openSync(made, "wx", 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(made, path);
  } catch (error) {
    rmSync(made, { force: true });
    throw error;
  }
}
