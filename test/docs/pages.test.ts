// The pages as somebody types them: every block, one after the other, twice, on one database.
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startPostgres } from "../../src/embedded/index.ts";
import { migrate } from "../../src/migrate/index.ts";
import { type Block, ROOT, readBlocks, readRepositoryFile } from "../support/markdown.ts";
import { answerOf, statements } from "../support/psql.ts";
import { findPython } from "../support/python.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
/** The pages whose blocks run here. Those of other pages are run by the tests that name them. */
const PAGES = [
  "README.md",
  "docs/concepts.md",
  "docs/architecture.md",
  "docs/sql.md",
  "docs/client.md",
  "docs/cli.md",
  "docs/operations.md",
];
const python = await findPython("psycopg");

/** Commands with a test of their own (test/demo/demo.test.ts), this test, or what needs Docker. */
const ELSEWHERE = /^(npm ci|npm cit|npm run demo|docker )/;
/** Commands that run until they are stopped, with what they print when they are ready. */
const LONG_RUNNING: readonly (readonly [RegExp, RegExp])[] = [
  [/^npx baseledger dev\b/, /DATABASE_URL/],
  [/^npx baseledger worker\b/, /expiry job started/],
];

let database: Server;
let folder: string;

beforeAll(async () => {
  // Durable, as users have it: `doctor` reports the settings that the other tests run with.
  database = await startPostgres({ settings: { fsync: "on", full_page_writes: "on" } });
  await migrate(database.url);
  folder = mkdtempSync(join(tmpdir(), "baseledger-pages-"));
  // As root, `dev` runs its server as another user, who must get to its data.
  chmodSync(folder, 0o755);
  await mkdir(join(folder, "node_modules", "baseledger"), { recursive: true });
  // As installed, but from the sources: a link, as Node runs no TypeScript below node_modules.
  const own = join(folder, "node_modules", "baseledger");
  symlinkSync(join(ROOT, "src"), join(own, "src"));
  const exports = { ".": "./src/index.ts" };
  writeFileSync(join(own, "package.json"), JSON.stringify({ type: "module", exports }));
  symlinkSync(join(ROOT, "node_modules", "postgres"), join(folder, "node_modules", "postgres"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${ROOT}/src/cli/main.ts" "$@"\n`;
  await mkdir(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "npx"), npx);
  chmodSync(join(folder, "bin", "npx"), 0o755);
});

afterAll(async () => {
  await database.stop();
  rmSync(folder, { recursive: true });
});

/** What a block needs in its environment, and nothing that this machine has by chance. */
function environment(): Record<string, string> {
  const path = `${join(folder, "bin")}:${process.env.PATH}`;
  return { PATH: path, HOME: folder, DATABASE_URL: database.url };
}

async function inFolder(program: string, ...args: string[]): Promise<void> {
  const options = { cwd: folder, env: environment(), timeout: 60_000 };
  await run(program, args, options);
}

/** Runs statements; those that are refused must be those that the page shows as refused. */
async function runSql(text: string, shown: string): Promise<void> {
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const refused: string[] = [];
  for (const statement of statements(text)) {
    const { code } = await answerOf(sql, statement);
    if (code !== undefined) refused.push(code);
  }
  await sql.end();
  const errors = [...shown.matchAll(/^ERROR: {2}(\w{5}):/gm)];
  expect(refused).toEqual(errors.map(([, code]) => code));
}

async function runFile(program: string, name: string, text: string): Promise<void> {
  writeFileSync(join(folder, name), text);
  await inFolder(program, join(folder, name));
}

async function runShell(text: string): Promise<void> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const [first = ""] = lines;
  if (ELSEWHERE.test(first)) return;
  const longRunning = LONG_RUNNING.find(([command]) => command.test(first));
  if (!longRunning) return inFolder("bash", "--norc", "-euo", "pipefail", "-c", text);
  expect(lines, "a long-running command has its own block").toHaveLength(1);
  await runUntilReady(first, longRunning[1]);
}

async function runUntilReady(line: string, ready: RegExp): Promise<void> {
  // In the folder, where `dev` keeps its data; `exec`, so that signals reach the program itself.
  const child = spawn("bash", ["-c", `exec ${line}`], { cwd: folder, env: environment() });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk;
    });
  }
  const closed = once(child, "close");
  await until(`${line} is ready`, () => ready.test(output));
  child.kill("SIGTERM");
  const [code] = await closed;
  expect(code, output).toBe(0);
}

type Runner = (text: string, shown: string) => Promise<void>;

/** Blocks of SQL whose output is in a file of its own. */
const SESSIONS = ["session", "session-limits", "session-prices"];

const RUNNERS: Readonly<Record<string, Runner>> = {
  sh: runShell,
  sql: runSql,
  ts: async (text) => {
    // What calls a model is an example, too, and runs against a fake provider (metered-examples.test.ts).
    if (!text.includes("baseledger/meter")) await runFile(process.execPath, "block.ts", text);
  },
  js: (text) => runFile(process.execPath, "block.mjs", text),
  python: (text) => runFile(python ?? "", "block.py", text),
  text: async () => undefined,
};

/** The blocks of a page, each with its title and the output that the page shows for it. */
function readPage(page: string): [title: string, block: Block, shown: string][] {
  const blocks = readBlocks(readRepositoryFile(page));
  return blocks.map((block, i) => {
    const title = `${page}, line ${block.line}, ${block.language}`;
    const session = SESSIONS.find(
      (name) => block.text === readRepositoryFile(`examples/${name}.sql`),
    );
    if (session) {
      return [title, block, readRepositoryFile(`examples/${session}.out`)];
    }
    const next = blocks[i + 1];
    return [title, block, next?.language === "text" ? next.text : ""];
  });
}

describe.each(["first", "second"])("the pages, run for the %s time", () => {
  test.each(PAGES.flatMap(readPage))("%s", async (_title, block, shown) => {
    if (block.language === "python" && python === undefined) {
      console.warn("skipped: no Python with psycopg 3 on this machine");
      return;
    }
    const runner = RUNNERS[block.language];
    expect(runner, `nothing runs blocks of "${block.language}"`).toBeDefined();
    await runner?.(block.text, shown);
  });
});

test("psql hides the helpers as the documentation says", () => {
  const pattern = /\\df\+ (baseledger\.\S+?)`/.exec(readRepositoryFile("docs/sql.md"))?.[1] ?? "";
  let listed: string;
  try {
    const options = { encoding: "utf8", stdio: "pipe" } as const;
    listed = execFileSync("psql", [database.url, "-XAtc", `\\df ${pattern}`], options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    console.warn("skipped: no psql on this machine");
    return;
  }
  expect(listed).toContain("|reserve|");
  expect(listed).not.toMatch(/\|_/);
});
