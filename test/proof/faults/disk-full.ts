// A disk that fills up under load: the one with the tables, then the one with the whole server.
import { spawnSync } from "node:child_process";
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../../src/trace/index.ts";
import type { Budget, Outcome, Part } from "../part.ts";
import { createCounts } from "./counts.ts";
import { killWithChildren, untilBack } from "./kills.ts";
import { createStage, type Stage } from "./stage.ts";
import { waitUntil } from "./wait.ts";
import { failureOf, playWave, type Wave } from "./wave.ts";

/** A run is one disk that fills up; the two kinds take turns. */
export const diskFull: Part = {
  name: "disk full",
  about: "a disk fills up under load: nothing acknowledged is lost, and with space it all goes on",
  run: runDiskFull,
};

const MEGABYTE = 2 ** 20;
/** The sizes of the disk for the tables, and of that for a whole server. */
const TABLES_MB = 8;
const SERVER_MB = 256;
/** The space left for the tables to grow. */
const FREE_BYTES = 96 * 1024;
const CROWD = { bySql: 4, callers: 6, sweepers: 0 };

async function runDiskFull(budget: Budget): Promise<Outcome> {
  const { seed, runs, log } = budget;
  const random = createRandom(seed);
  const counts = createCounts();
  for (let run = 0; run < runs && performance.now() < budget.until; run++) {
    const name = `${seed}.${run}`;
    const parts = { name, seed: random.integer(1, 2 ** 31) };
    const fillUp = run % 2 === 0 ? fillTables : fillServer;
    using disk = mountDisk(run % 2 === 0 ? TABLES_MB : SERVER_MB);
    if ("trouble" in disk) {
      log(`skipped: no small disk can be made here (${disk.trouble}); it takes root on Linux`);
      return { ran: { skipped: 1 } };
    }
    const played = await fillUp(disk.path, parts);
    counts.add(played.counts);
    log(`${name}: ${counts.format()}`);
    const found = failureOf(`disk ${name}`, played);
    if (found) return { ran: counts.all(), ...found };
  }
  return { ran: counts.all() };
}

interface RunParts {
  readonly name: string;
  readonly seed: number;
}

/** Each command then fails with a code, and reads go on. */
async function fillTables(path: string, parts: RunParts) {
  await using stage = await createStage();
  await moveTables(stage, join(path, "tables"));
  let failed = 0;
  const played = await playWave(stage, { ...CROWD, ...parts }, async (wave) => {
    await wave.answers(30);
    const ballast = fill(path, FREE_BYTES);
    await waitUntil("the disk is full", () => failures(wave) > 20);
    await stage.admin`select * from baseledger.balance(${wave.wallets[0] ?? ""})`;
    rmSync(ballast);
    await untilGranted(wave, 40);
    failed = failures(wave);
  });
  return { ...played, counts: { ...played.counts, disksOfTables: 1, failedWith53100: failed } };
}

/** Without space for its log the server ends itself, and can start again when there is some. */
async function fillServer(path: string, parts: RunParts) {
  const settings = { fsync: "off", full_page_writes: "off" };
  await using stage = await createStage({ dataDir: join(path, "data"), settings });
  const played = await playWave(stage, { ...CROWD, ...parts }, async (wave) => {
    await wave.answers(60);
    const ballast = fill(path, 0);
    await waitUntil("the server has no space for its log", () => switchLog(stage));
    await killWithChildren(stage.server);
    rmSync(ballast);
    await stage.server.start();
    await untilBack(stage);
    await untilGranted(wave, 40);
  });
  return { ...played, counts: { ...played.counts, disksOfServers: 1 } };
}

/** Switches to the next file of the log; true when that ended the server. */
async function switchLog({ admin }: Stage): Promise<boolean> {
  try {
    await admin`select pg_switch_wal(), pg_logical_emit_message(false, 'proof', repeat('x', 9000))`;
    return false;
  } catch {
    return true;
  }
}

/** How many commands failed because the disk is full. */
function failures({ history }: Wave): number {
  return history.calls.filter(({ answer }) => {
    return answer && "failed" in answer && answer.failed === "53100";
  }).length;
}

async function untilGranted({ history }: Wave, more: number): Promise<void> {
  const granted = () => history.calls.filter(({ answer }) => answer && "receipts" in answer).length;
  const before = granted();
  await waitUntil("commands are granted again", () => granted() >= before + more);
}

async function moveTables({ admin, server }: Stage, folder: string): Promise<void> {
  const { uid, gid } = statSync(server.dataDir);
  mkdirSync(folder);
  chownSync(folder, uid, gid);
  await admin.unsafe(`create tablespace small location '${folder}'`);
  await admin.unsafe("alter table all in tablespace pg_default set tablespace small");
  await admin.unsafe("alter index all in tablespace pg_default set tablespace small");
}

/** Fills a disk up to so many free bytes, or fewer; returns the file to remove. */
function fill(path: string, free: number): string {
  const ballast = join(path, "ballast");
  const { bavail, bsize } = statfsSync(path);
  try {
    writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - free)));
  } catch (error) {
    // The server has filled the disk in the meantime.
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
  return ballast;
}

function mountDisk(megabytes: number): Disposable & ({ path: string } | { trouble: string }) {
  const path = mkdtempSync(join(tmpdir(), "baseledger-disk-"));
  const options = `size=${megabytes * MEGABYTE},mode=0755`;
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]);
  const remove = () => rmSync(path, { recursive: true, force: true });
  if (mount.status !== 0) {
    const trouble = mount.error?.message ?? mount.stderr.toString().trim();
    return { trouble, [Symbol.dispose]: remove };
  }
  return {
    path,
    [Symbol.dispose]() {
      spawnSync("umount", [path]);
      remove();
    },
  };
}
