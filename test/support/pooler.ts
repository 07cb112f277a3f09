import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { startWatchdog } from "../../src/embedded/watchdog.ts";
import { until } from "./until.ts";

const PROGRAM = "/usr/sbin/pgbouncer";
const isRoot = process.getuid?.() === 0;

/** Why there is no pooler here; undefined where there is one. */
export const NO_POOLER = existsSync(PROGRAM) ? undefined : `there is no ${PROGRAM}`;

/** Why tests with a pooler are skipped, to append to their names; empty where they run. */
export const skipped = NO_POOLER === undefined ? "" : ` (skipped: ${NO_POOLER})`;

/** A pooler in front of a test's database, with few connections behind it. */
export interface Pooler extends AsyncDisposable {
  readonly url: string;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again after {@link Pooler.kill}, in the same mode or another. */
  start(mode?: PoolMode): Promise<void>;
}

/** How a pooler hands out the connections behind it. */
export type PoolMode = "transaction" | "session";

/** Options of {@link startPooler}. */
export interface PoolerOptions {
  readonly mode?: PoolMode;
  /** Connections to the server. */
  readonly size?: number;
  /** Milliseconds to wait for its first answer. */
  readonly patience?: number;
}

/** Starts PgBouncer in front of a database, for one login; it ends with this program. */
export async function startPooler(
  target: string,
  { mode = "transaction", size = 3, patience }: PoolerOptions = {},
): Promise<Pooler> {
  const { hostname, port: targetPort, username, password, pathname } = new URL(target);
  const folder = mkdtempSync(join(tmpdir(), "pgbouncer-test-"));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const users = join(folder, "users.txt");
  const config = join(folder, "pgbouncer.ini");
  writeFileSync(users, `"${username}" "${password}"\n`);
  // This program may be killed before it can stop the pooler.
  const watchdog = startWatchdog(folder);
  let child: ChildProcess;
  const url = `postgres://${username}:${password}@127.0.0.1:${port}${pathname}`;

  async function start(how: PoolMode = mode): Promise<void> {
    writeFileSync(
      config,
      `[databases]
      * = host=${hostname} port=${targetPort}
      [pgbouncer]
      listen_addr = 127.0.0.1
      listen_port = ${port}
      unix_socket_dir =
      auth_type = scram-sha-256
      auth_file = ${users}
      pool_mode = ${how}
      default_pool_size = ${size}
      server_login_retry = 0.1
      log_connections = 0
      log_disconnections = 0
      `,
    );
    // PgBouncer refuses to run as root.
    child = spawn(PROGRAM, isRoot ? ["-u", "nobody", config] : [config], { stdio: "ignore" });
    watchdog.watch(child, "SIGKILL");
    await until("the pooler answers", () => answers(url), patience);
  }
  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  await start();
  return {
    url,
    start,
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      await watchdog.dismiss();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, prepare: false, fetch_types: false });
  const answer = await sql`select 1 as one`.catch(() => undefined);
  await sql.end({ timeout: 0 });
  return answer !== undefined;
}

/** A port that is free at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}
