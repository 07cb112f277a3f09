// What the proof leaves behind when it has found something, however the run ends.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isProcessRunning } from "../../src/embedded/index.ts";
import { until } from "../support/until.ts";

const PROGRAM = join(import.meta.dirname, "trial-program.ts");
const PATIENCE_MS = 120_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "baseledger-report-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly errors: string;
}

/** Runs the program with its output in pipes; `act` may interfere. */
async function prove(
  how: string,
  act: (child: ChildProcess, errors: () => string) => Promise<void> = async () => undefined,
  ...more: string[]
): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, how, folder, ...more], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let errors = "";
  child.stdout.on("data", (data) => {
    out += data;
  });
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const closed = once(child, "close");
  await act(child, () => errors);
  await closed;
  return { code: child.exitCode, out, errors };
}

/** The report that the last line names, which must be the only file there. */
function reportOf({ out }: Ended): string {
  const path = out.trimEnd().split("\n").at(-1) ?? "";
  expect(readdirSync(folder).map((name) => join(folder, name))).toEqual([path]);
  return readFileSync(path, "utf8");
}

/** Waits until the part hangs, and returns the process of its server. */
async function untilHanging(errors: () => string): Promise<number> {
  const find = () => Number(/hangs with server (\d+)/.exec(errors())?.[1]) || undefined;
  return until("the part hangs", find, PATIENCE_MS);
}

test("a failure is saved in the file that the last line names", {
  timeout: PATIENCE_MS,
}, async () => {
  const ended = await prove("failure");
  expect(ended.code).toBe(1);
  const report = reportOf(ended);
  for (const text of [
    "command:  npm run proof -- --only trial --seed 7",
    "seed:     7",
    `Node ${process.version}`,
    "## trial found\n\none and one are three",
    'npm run proof -- --only "trial" --seed 7',
    "## trial: sums\n\n1 + 1 = 3",
    "3  looks",
  ]) {
    expect(report).toContain(text);
  }
});

test("also when the output is a pipe, or its reader is gone", {
  timeout: PATIENCE_MS,
}, async () => {
  for (const reader of ["tail -n 1", "true"]) {
    const line = `'${process.execPath}' '${PROGRAM}' failure '${folder}' | ${reader}`;
    await once(spawn("/bin/sh", ["-c", line], { stdio: "ignore" }), "close");
  }
  const reports = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  expect(reports).toHaveLength(2);
  for (const report of reports) expect(report).toContain("one and one are three");
});

test("a run that finds nothing writes no report, unless asked to", {
  timeout: PATIENCE_MS,
}, async () => {
  expect((await prove("nothing")).code).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
  const ended = await prove("nothing", undefined, "always");
  expect(ended.code).toBe(0);
  expect(reportOf(ended)).toContain("3  looks");
});

test("a part that leaves a server and a timer running ends by itself", {
  timeout: PATIENCE_MS,
}, async () => {
  const ended = await prove("leftovers");
  expect(ended.code).toBe(1);
  const report = reportOf(ended);
  expect(report).toContain("Error: it broke off");
  expect(report).toContain("## trial: sums\n\n1 + 1");
  expect(report).toContain("database system is ready to accept connections");
});

test("the second Ctrl-C ends a part that hangs, and its server", {
  timeout: PATIENCE_MS,
}, async () => {
  let server = 0;
  const ended = await prove("hangs", async (child, errors) => {
    server = await untilHanging(errors);
    child.kill("SIGINT");
    child.kill("SIGTERM");
  });
  expect(ended.code).toBeGreaterThan(128);
  expect(reportOf(ended)).toContain("one and one are three, or more");
  expect(isProcessRunning(server)).toBe(false);
});

test("after kill -9 the report is there, and no server is left", {
  timeout: PATIENCE_MS,
}, async () => {
  let server = 0;
  await prove("hangs", async (child, errors) => {
    server = await untilHanging(errors);
    child.kill("SIGKILL");
  });
  const [name = ""] = readdirSync(folder);
  expect(readFileSync(join(folder, name), "utf8")).toContain("one and one are three, or more");
  await until("the server is gone", () => !isProcessRunning(server), PATIENCE_MS);
});

test("an uncaught error is a failure", { timeout: PATIENCE_MS }, async () => {
  const ended = await prove("uncaught");
  expect(ended.code).toBe(1);
  expect(reportOf(ended)).toContain("nobody expects this");
});

test("a part that waits for nothing does not count as done", {
  timeout: PATIENCE_MS,
}, async () => {
  const ended = await prove("waits", async (child, errors) => {
    await until("it has begun", () => errors().includes("seed 7"), PATIENCE_MS);
    child.kill("SIGINT");
    child.kill("SIGTERM");
  });
  expect(ended.code).toBeGreaterThan(128);
});
