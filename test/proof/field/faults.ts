// What happens in the field, done on purpose while callers are at work.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { migrate } from "../../../src/migrate/index.ts";
import { NO_POOLER } from "../../support/pooler.ts";
import { readHeads } from "../faults/journal.ts";
import { killWhole, untilBack } from "../faults/kills.ts";
import { connectSql } from "../faults/send.ts";
import { type Stage, stageOn } from "../faults/stage.ts";
import { waitUntil } from "../faults/wait.ts";
import type { Wave } from "../faults/wave.ts";
import { addMigration } from "./migration.ts";
import { CONNECTIONS, type FieldScene } from "./scene.ts";
import { startStandby } from "./standby.ts";

/** Something that happens in the field. */
export interface FieldFault {
  /** What is counted, e.g. `failOvers`. */
  readonly name: string;
  /** Why it cannot be done here, if it cannot. */
  readonly skipped?: string | undefined;
  /** Does it, and comes back when it is over. */
  act(scene: FieldScene): Promise<void>;
}

/** So many answers show that callers go on. */
export const ENOUGH = 25;

const failOvers: FieldFault = {
  name: "failOvers",
  /**
   * The primary takes no writes any more, and its connections stay. New ones reach the standby that
   * has taken over.
   */
  async act(scene) {
    const { field, wave } = scene;
    const old = field.stage;
    const folder = join(field.folder, `standby-${wave.history.calls.length}-${old.server.port}`);
    await using standby = await startStandby(old, folder, field.options);
    await endWrites(old);
    await waitUntil("the standby has it all", async () => {
      const [row] = await old.admin`
        select from pg_stat_replication where flush_lsn >= pg_current_wal_flush_lsn()`;
      return row !== undefined;
    });
    const before = await readHeads(old.admin, wave.wallets);
    const next = stageOn(await standby.promote());
    field.moveTo(next);
    wave.endAt(next);
    try {
      await untilAnswered(scene, "as the old primary lives on, and takes no writes");
      const late = [...(await readHeads(old.admin, wave.wallets))].filter(
        ([wallet, head]) => before.get(wallet) !== head,
      );
      if (late.length > 0) throw new Error(`the old primary took a write too late: ${late}`);
    } finally {
      await old.server.kill("SIGINT");
      await old[Symbol.asyncDispose]();
      const home = join(old.server.dataDir, "..");
      if (home.startsWith(field.folder)) rmSync(home, { recursive: true });
    }
    await untilAnswered(scene, "after a fail-over");
  },
};

const lockedWallets: FieldFault = {
  name: "lockedWallets",
  /** Somebody holds more wallets than a client has connections. The others are not to wait. */
  async act(scene) {
    await using lock = await lockWallets(scene, scene.shut);
    await lock.untilWaitedFor(Math.min(CONNECTIONS, scene.shut.length) - 1);
    await untilAnswered(scene, "as other wallets are locked", 3 * ENOUGH);
  },
};

const roleTimeouts: FieldFault = {
  name: "roleTimeouts",
  /** Somebody holds a wallet for longer than the role of some callers waits. */
  async act(scene) {
    const { shut, wave } = scene;
    const before = timeouts(wave);
    await using _lock = await lockWallets(scene, shut.slice(0, 2));
    await waitUntil("callers by SQL have been timed out", () => timeouts(wave) >= before + 3);
  },
};

const migrations: FieldFault = {
  name: "migrations",
  /** Somebody reads for a long time, and `migrate` has to wait: nobody else is to. */
  async act(scene) {
    const { field } = scene;
    const { url } = field.stage.server;
    const directory = join(field.folder, "db");
    const name = await addMigration(directory);
    const report = connectSql(url, { application_name: "proof report" });
    try {
      await report.unsafe("begin");
      await report`select from baseledger.events limit 1`;
      const migrating = migrate(url, { directory });
      migrating.catch(() => undefined);
      await waitUntil("the migration waits for the report", async () => {
        const [row] = await field.stage.admin`
          select from pg_locks l join pg_stat_activity a using (pid)
            where not l.granted and l.mode = 'AccessExclusiveLock' and a.usename = 'postgres'`;
        return row !== undefined;
      });
      await untilAnswered(scene, "as a migration waits for a report", 2 * ENOUGH);
      await report.unsafe("rollback");
      const applied = await migrating;
      if (!applied.includes(name)) throw new Error(`${name} was not applied`);
    } finally {
      await report.end({ timeout: 0 });
    }
    await untilAnswered(scene, "after a migration");
  },
};

const poolerKills: FieldFault = {
  name: "poolerKills",
  skipped: NO_POOLER,
  async act(scene) {
    await scene.field.pooler?.kill();
    await untilAnswered(scene, "without the pooler", 5);
    await scene.field.pooler?.start();
    await untilAnswered(scene, "after the pooler was killed");
  },
};

/** What servers and poolers say before a session is ready. */
const REFUSALS = ["XX000", "58000", "53300", "57P03", "08P01", "53200", "57P01"];

const refusedStarts: FieldFault = {
  name: "refusedStarts",
  /** Nobody is let in for a while, for one reason or another. */
  async act(scene) {
    const { route } = scene.field;
    const code = REFUSALS[scene.random.integer(0, REFUSALS.length - 1)];
    const before = route.refused;
    route.refuse(code);
    route.cut();
    try {
      await waitUntil("sessions are refused", () => route.refused >= before + 10);
    } finally {
      route.refuse(undefined);
    }
    await untilAnswered(scene, `after sessions were refused with ${code}`);
  },
};

const fullServers: FieldFault = {
  name: "fullServers",
  /** There are no more connections for those who call. */
  async act(scene) {
    const { stage, route, logins } = scene.field;
    const limit = async (connections: number) => {
      for (const login of logins) {
        await stage.admin.unsafe(`alter role ${login} connection limit ${connections}`);
      }
    };
    await limit(1);
    try {
      route.cut();
      const before = route.opened;
      await waitUntil("callers try to connect", () => route.opened >= before + 20);
    } finally {
      await limit(-1);
    }
    await untilAnswered(scene, "after the server was full");
  },
};

const serverRestarts: FieldFault = {
  name: "serverRestarts",
  /** `kill -9`, and a start that takes its time. */
  async act(scene) {
    const { stage } = scene.field;
    await killWhole(stage.server);
    await stage.server.start();
    await untilBack(stage);
    await untilAnswered(scene, "after the server was killed");
  },
};

/** What is done to the field while callers are at work. */
export const FIELD_FAULTS: readonly FieldFault[] = [
  lockedWallets,
  roleTimeouts,
  migrations,
  poolerKills,
  refusedStarts,
  fullServers,
  serverRestarts,
  failOvers,
];

/** Waits until so many callers of wallets that nobody locks have been answered. */
export async function untilAnswered(
  { field: { measure } }: Pick<FieldScene, "field">,
  when: string,
  more = ENOUGH,
): Promise<void> {
  const before = measure.answers;
  await waitUntil(
    `callers of wallets that nobody locks are answered ${when}`,
    () => measure.answers >= before + more,
  );
}

/** Takes no more writes on a server, and waits until those under way are over. */
async function endWrites({ admin, server }: Stage): Promise<void> {
  await admin.unsafe("alter system set default_transaction_read_only = on");
  await admin`select pg_reload_conf()`;
  // A session that began after this has told those before it, too.
  await waitUntil("no more writes are taken", async () => {
    const sql = connectSql(server.url);
    const [row] = await sql.unsafe<{ said: string }[]>(
      "select current_setting('default_transaction_read_only') as said",
    );
    await sql.end({ timeout: 0 });
    return row?.said === "on";
  });
  const [told] = await admin<{ at: string }[]>`select clock_timestamp()::text as at`;
  await waitUntil("the writes under way are over", async () => {
    const [row] = await admin`
      select from pg_stat_activity
        where backend_type = 'client backend'
          and pid <> pg_backend_pid()
          and xact_start < ${told?.at ?? ""}::text::timestamptz
        limit 1`;
    return row === undefined;
  });
}

/** Callers by SQL that were told of a time-out of their role. */
function timeouts({ history }: Wave): number {
  return history.calls.filter(({ answer }) => {
    return answer && "failed" in answer && /^(55P03|57014)$/.test(answer.failed);
  }).length;
}

interface Lock extends AsyncDisposable {
  /** Waits until so many sessions wait for it. */
  untilWaitedFor(sessions: number): Promise<void>;
}

/** Holds wallets, until it is disposed of. */
async function lockWallets({ field }: FieldScene, wallets: readonly string[]): Promise<Lock> {
  const { admin, server } = field.stage;
  const sql = connectSql(server.url);
  await sql.unsafe("begin");
  const [holder] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  await sql.unsafe(
    `select from baseledger.wallets where wallet_id = any ($1::text::text[])
      order by wallet_id for update`,
    [`{${wallets.join(",")}}`],
  );
  return {
    async untilWaitedFor(sessions) {
      await waitUntil(`${sessions} sessions wait for locked wallets`, async () => {
        const blocked = await admin`
          select from pg_stat_activity where ${holder?.pid ?? 0}::text::integer = any (pg_blocking_pids(pid))`;
        return blocked.length >= sessions;
      });
    },
    async [Symbol.asyncDispose]() {
      await sql.unsafe("rollback").catch(() => undefined);
      await sql.end({ timeout: 0 });
    },
  };
}
