// npm run mutants -- [--list] [--only text …]
// Breaks the SQL in one way at a time, and checks that a test notices: a mutant that survives shows
// that a test is missing. The mutants are in test/mutants/.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { type Mutant, mutants, mutate } from "../test/mutants/index.ts";
import { runTap, tapFiles } from "../test/support/tap.ts";
import {
  runAsOwner,
  seal,
  startTemplateServer,
  type TemplateServer,
} from "../test/support/template.ts";

/** The tests of vitest that run after the pgTAP tests, the likelier and the quicker first. */
const STAGES = [
  ["test/db/tamper.test.ts", "test/db/hash-chain.test.ts"],
  [
    "test/security/privileges.test.ts",
    "test/security/agent-funds.test.ts",
    "test/security/rights.test.ts",
  ],
  ["test/input/", "test/security/hostile-session.test.ts", "test/db/sharding.test.ts"],
  ["test/db/plans.test.ts"],
  ["test/proof/proof.test.ts", "test/proof/fuzz.test.ts"],
  ["test/concurrency/"],
];

const root = join(import.meta.dirname, "..");
/** Files of vitest that were seen to pass without any mistake. */
const green = new Set<string>();
const { values } = parseArgs({
  options: { list: { type: "boolean" }, only: { type: "string", multiple: true } },
  allowPositionals: false,
});
const chosen = mutants.filter(({ about, of, rule }) =>
  (values.only ?? [""]).some((text) => `${about}\n${of}\n${rule}`.includes(text)),
);
const changes = readMutants();
if (values.list) list();
else process.exitCode = (await tryAll()) ? 0 : 1;

/** Prints the mutants by the function that they change and the rule that they break. */
function list(): void {
  const byFunction = [...Map.groupBy(chosen, ({ of }) => of)];
  byFunction.sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = byFunction.flatMap(([of, itsMutants]) => [
    of,
    ...[...Map.groupBy(itsMutants, ({ rule }) => rule)].flatMap(([rule, those]) => [
      `  ${rule}`,
      ...those.map(({ about }) => `    ${about}`),
    ]),
  ]);
  print(lines.join("\n"));
}

/** All mutants as SQL; those that do not fit the sources any more are reported together. */
function readMutants(): Map<Mutant, string> {
  const read = new Map<Mutant, string>();
  const stale: string[] = [];
  for (const mutant of chosen) {
    try {
      read.set(mutant, mutate(mutant));
    } catch (error) {
      stale.push((error as Error).message);
    }
  }
  if (stale.length > 0) {
    throw new Error(`these do not fit the SQL any more:\n\n${stale.join("\n\n")}`);
  }
  return read;
}

async function tryAll(): Promise<boolean> {
  // A mistake may make a command wait, or go on, for ever.
  const server = await startTemplateServer({ statement_timeout: "300s" });
  try {
    return await tryOn(server);
  } finally {
    await server.stop();
  }
}

async function tryOn({ serverUrl, template: sound }: TemplateServer): Promise<boolean> {
  const admin = postgres(serverUrl, { max: 1, onnotice: () => undefined });
  const template = new URL(`/${sound}`, serverUrl).href;
  const red = await firstRed(admin, template);
  if (red) throw new Error(`without any mistake, ${red}`);

  const survivors: string[] = [];
  for (const [i, mutant] of chosen.entries()) {
    const name = `mutant_${i}`;
    const url = new URL(`/${name}`, serverUrl).href;
    await admin.unsafe(`create database ${name} template ${sound}`);
    await apply(url, mutant);
    await seal(admin, name);
    const start = performance.now();
    const by = await notice(admin, url, template, mutant);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    await admin.unsafe(`drop database ${name} with (force)`);
    print(`${by ? "caught  " : "SURVIVES"}  ${mutant.about}${by ? `: ${by}` : ""} (${seconds} s)`);
    if (!by) survivors.push(mutant.about);
  }
  await admin.end();
  print(`\n${chosen.length - survivors.length} of ${chosen.length} caught.`);
  for (const about of survivors) print(`Survives: ${about}`);
  return survivors.length === 0;
}

async function apply(url: string, mutant: Mutant): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    await runAsOwner(sql, changes.get(mutant) ?? "");
  } catch (error) {
    throw new Error(`"${mutant.about}" is not valid SQL`, { cause: error });
  } finally {
    await sql.end();
  }
}

/** The first test that fails with a mutant, or undefined. */
async function notice(
  admin: postgres.Sql,
  url: string,
  template: string,
  mutant: Mutant,
): Promise<string | undefined> {
  const { tests = [], of } = mutant;
  const mistake = changes.get(mutant) ?? "";
  const likely = tests.filter((each) => each.endsWith(".ts"));
  // Tests that a mutant names run before the others.
  const taps = tests.filter((each) => each.endsWith(".sql"));
  if (likely.length === 0 || taps.length > 0) taps.push(`${of}.sql`);
  return (
    (await firstRed(admin, url, taps)) ??
    (await firstRedOfVitest(url, template, mistake, likely)) ??
    (await firstRed(admin, url)) ??
    (await firstRedOfStages(url, template, mistake))
  );
}

async function firstRedOfStages(
  url: string,
  template: string,
  mistake: string,
): Promise<string | undefined> {
  for (const files of STAGES) {
    const red = await firstRedOfVitest(url, template, mistake, files);
    if (red) return red;
  }
  return undefined;
}

/** Runs pgTAP files, those named or else all, in a copy of a database. */
async function firstRed(
  admin: postgres.Sql,
  url: string,
  names?: readonly string[],
): Promise<string | undefined> {
  const all = tapFiles();
  const files = names ? names.flatMap((name) => all.filter((file) => file.name === name)) : all;
  if (files.length === 0) return undefined;
  const copy = `copy_${process.hrtime.bigint()}`;
  await admin.unsafe(`create database ${copy} template ${new URL(url).pathname.slice(1)}`);
  const sql = postgres(new URL(`/${copy}`, url).href, { max: 1, onnotice: () => undefined });
  try {
    for (const { path, text } of files) {
      // Each file rolls back what it does.
      const run = await runTap(sql, text);
      const point = run.points.find(({ ok }) => !ok);
      if (point) return `${path}, ${point.name}`;
      if (run.trouble) return `${path}, ${run.trouble.split("\n", 1)}`;
    }
    return undefined;
  } finally {
    await sql.end();
    await admin.unsafe(`drop database ${copy} with (force)`);
  }
}

/**
 * Runs files of vitest on copies of a database that has the mistake (or on servers of their own,
 * which install it), and makes sure that they pass without it.
 */
async function firstRedOfVitest(
  url: string,
  template: string,
  mistake: string,
  files: readonly string[],
): Promise<string | undefined> {
  if (files.length === 0) return undefined;
  const red = await vitest(url, files, mistake);
  if (red === undefined || green.has(red.file)) return red && `${red.file}, ${red.name}`;
  const without = await vitest(template, [red.file], "");
  if (without) throw new Error(`without any mistake, ${without.file}, ${without.name}`);
  green.add(red.file);
  return `${red.file}, ${red.name}`;
}

interface Red {
  readonly file: string;
  readonly name: string;
}

/** The parts of vitest's report that are read here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

async function vitest(
  url: string,
  files: readonly string[],
  mistake: string,
): Promise<Red | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "mutant-"));
  const outputFile = join(folder, "report.json");
  const args = ["--bail", "1", "--reporter", "json", "--outputFile", outputFile];
  try {
    const env = { TEST_TEMPLATE: url, TEST_MISTAKE: mistake };
    const output = await runProgram("vitest", ["run", ...files, ...args], env);
    const text = await readFile(outputFile, "utf8").catch(() => undefined);
    if (!text) throw new Error(`vitest wrote no report:\n${output}`);
    const { testResults } = JSON.parse(text) as Report;
    if (testResults.length === 0) throw new Error(`vitest ran nothing of ${files}:\n${output}`);
    const failed = testResults.filter(({ status }) => status === "failed");
    // Other files failed because the run ended early.
    const red = failed.find((file) => file.assertionResults.some(isRed)) ?? failed[0];
    if (!red) return undefined;
    const test = red.assertionResults.find(isRed);
    return { file: relative(root, red.name), name: test?.fullName ?? red.message.slice(0, 200) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function isRed({ status }: { readonly status: string }): boolean {
  return status === "failed";
}

/** Runs a program of node_modules, and gives its output. */
function runProgram(name: string, args: readonly string[], env: Record<string, string>) {
  const { promise, resolve } = Promise.withResolvers<string>();
  const file = join(root, "node_modules", ".bin", name);
  const options = { cwd: root, env: { ...process.env, ...env }, maxBuffer: 100_000_000 };
  execFile(file, args, options, (_error, stdout, stderr) => resolve(stdout + stderr));
  return promise;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
