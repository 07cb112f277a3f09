import { chownSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "../../src/embedded/index.ts";
import { freePort } from "./pooler.ts";

/** The tools of an installed PostgreSQL. */
interface Tools {
  tool(name: string, args: readonly string[], as?: { uid: number; gid: number }): Promise<string>;
}

/** A hot standby that runs. */
export interface Standby extends AsyncDisposable {
  readonly url: string;
}

/** What {@link startStandby} needs of its primary. */
export const PRIMARY_SETTINGS = { wal_level: "replica", max_wal_senders: "4" };

/** Starts a hot standby of a server, from a backup that it makes in a folder. */
export async function startStandby(
  installed: Tools,
  primary: Server,
  folder: string,
): Promise<Standby> {
  const { uid, gid } = statSync(primary.dataDir);
  const home = join(folder, "standby");
  mkdirSync(home, { mode: 0o700 });
  chownSync(home, uid, gid);
  const dataDir = join(home, "data");
  const backup = ["-d", primary.url, "-D", dataDir, "-R", "-X", "stream", "-c", "fast"];
  await installed.tool("pg_basebackup", backup, { uid, gid });
  const port = await freePort();
  // A standby does not start with fewer connections than its primary allows.
  const options = [
    `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=`,
    "-c max_connections=200 -c fsync=off -c hot_standby=on",
  ].join(" ");
  const control = (...args: string[]) =>
    installed.tool("pg_ctl", ["-D", dataDir, ...args], { uid, gid });
  await control("-o", options, "-l", join(home, "log"), "-w", "start");
  return {
    url: Object.assign(new URL(primary.url), { port: String(port) }).href,
    async [Symbol.asyncDispose]() {
      await control("-m", "immediate", "stop");
    },
  };
}
