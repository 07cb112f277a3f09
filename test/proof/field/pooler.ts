// PgBouncer in transaction mode, where there is one.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { startWatchdog } from "../../../src/embedded/watchdog.ts";
import { waitUntil } from "../faults/wait.ts";

/** A pooler in front of a server, with few connections behind it. */
export interface Pooler extends AsyncDisposable {
  readonly url: string;
  /** `kill -9`. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

const PROGRAM = "/usr/sbin/pgbouncer";
/** Why there is none, if there is none. */
export const NO_POOLER = existsSync(PROGRAM) ? undefined : `there is no ${PROGRAM}`;

/** Starts a pooler for the login of an address; undefined if there is none here. */
export async function startPooler(target: string): Promise<Pooler | undefined> {
  if (NO_POOLER) return undefined;
  const { hostname, port: targetPort, username, password, pathname } = new URL(target);
  const folder = mkdtempSync(join(tmpdir(), "baseledger-pooler-"));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const users = join(folder, "users.txt");
  const config = join(folder, "pgbouncer.ini");
  writeFileSync(users, `"${username}" "${password}"\n`);
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
    pool_mode = transaction
    default_pool_size = 4
    server_login_retry = 0.1
    log_connections = 0
    log_disconnections = 0
    `,
  );
  const url = `postgres://${username}:${password}@127.0.0.1:${port}${pathname}`;
  // It ends with this program, however that ends.
  const watchdog = startWatchdog(folder);
  let child: ChildProcess;

  async function start(): Promise<void> {
    // It refuses to run as root.
    const asNobody = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    child = spawn(PROGRAM, [...asNobody, config], { stdio: "ignore" });
    watchdog.watch(child, "SIGKILL");
    await waitUntil("the pooler answers", async () => {
      const sql = postgres(url, { max: 1, prepare: false, fetch_types: false });
      const answer = await sql`select 1 as one`.catch(() => undefined);
      await sql.end({ timeout: 0 });
      return answer !== undefined;
    });
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}
