// A primary crashes, and its synchronous standby takes over.
import { chownSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../servers.ts";
import type { RestoreParts } from "./dump.ts";
import { killWithChildren } from "./kills.ts";
import { createStage, SMALL, type Stage, stageOn } from "./stage.ts";
import { waitUntil } from "./wait.ts";
import { playWave, verify } from "./wave.ts";

// Without time-outs: a statement that is cancelled while it waits for the standby is committed, but
// not replicated.
const CROWD = { bySql: 4, callers: 6, sweepers: 1, patient: true, retryFor: 3 };

/** Lets a standby take over under load: what was acknowledged is there, and clients go on. */
export async function failOver({ installed, folder, name, seed }: RestoreParts) {
  const replicates = { wal_level: "replica", max_wal_senders: "4" };
  await using primary = await createStage({ package: installed.package, settings: replicates });
  const { uid, gid } = statSync(primary.server.dataDir);
  const home = join(folder, "standby");
  mkdirSync(home, { mode: 0o700 });
  chownSync(home, uid, gid);
  const dataDir = join(home, "data");
  const backup = ["-d", primary.server.url, "-D", dataDir, "-R", "-X", "stream", "-c", "fast"];
  await installed.tool("pg_basebackup", backup, { uid, gid });

  const settings = { ...SMALL, ...replicates, hot_standby: "off", fsync: "off" };
  // startServer resolves only when it has taken over.
  const promoted = startServer({ package: installed.package, dataDir, settings });
  promoted.catch(() => undefined);
  await untilSynchronous(primary);
  const stages: Stage[] = [];
  try {
    const played = await playWave(primary, { ...CROWD, name, seed }, async (wave) => {
      await wave.answers(150);
      await killWithChildren(primary.server);
      await installed.tool("pg_ctl", ["promote", "-W", "-D", dataDir], { uid, gid });
      const stage = stageOn(await promoted);
      stages.push(stage);
      wave.endAt(stage);
    });
    const [stage] = stages;
    const unsound = stage ? await verify(stage, [null]) : [];
    const counts = { ...played.counts, failOvers: 1 };
    return { ...played, wrong: [...played.wrong, ...unsound], counts };
  } finally {
    for (const stage of stages) await stage[Symbol.asyncDispose]();
    if (stages.length === 0) await promoted.then((server) => server.stop());
  }
}

/** Waits until the standby is synchronous: from then on it has all that is answered. */
async function untilSynchronous({ admin }: Stage): Promise<void> {
  await admin.unsafe("alter system set synchronous_standby_names = '*'");
  await admin`select pg_reload_conf()`;
  await waitUntil("the standby is synchronous", async () => {
    const [row] = await admin`select from pg_stat_replication where sync_state = 'sync'`;
    return row !== undefined;
  });
}
