import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { until } from "./until.ts";

const PROGRAM = "/usr/sbin/pgbouncer";
const isRoot = process.getuid?.() === 0;

/** Why tests with a pooler are left out, to stand behind their names; empty where there is one. */
export const skipped = existsSync(PROGRAM) ? "" : ` (skipped: there is no ${PROGRAM})`;

/** A pooler in front of a test's database, with few connections behind it. */
export interface Pooler extends AsyncDisposable {
  readonly url: string;
  kill(): Promise<void>;
  /** Starts it again after {@link Pooler.kill}, in another mode if one is given. */
  start(mode?: PoolMode): Promise<void>;
}

/** How a pooler hands out the connections behind it. */
export type PoolMode = "transaction" | "session";

/** Starts PgBouncer in front of a database, for one login. */
export async function startPooler(
  target: string,
  { mode = "transaction", size = 3 }: { mode?: PoolMode; size?: number } = {},
): Promise<Pooler> {
  const { hostname, port: targetPort, username, password, pathname } = new URL(target);
  const folder = mkdtempSync(join(tmpdir(), "pgbouncer-test-"));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const users = join(folder, "users.txt");
  const config = join(folder, "pgbouncer.ini");
  writeFileSync(users, `"${username}" "${password}"\n`);
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
    // It refuses to run as root.
    child = spawn(PROGRAM, isRoot ? ["-u", "nobody", config] : [config], { stdio: "ignore" });
    await until("the pooler answers", async () => {
      const sql = postgres(url, { max: 1, prepare: false, fetch_types: false });
      const answer = await sql`select 1 as one`.catch(() => undefined);
      await sql.end({ timeout: 0 });
      return answer !== undefined;
    });
  }
  async function kill(): Promise<void> {
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  await start();
  return {
    url,
    start,
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A port that is free just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}
