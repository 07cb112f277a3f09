// Faults of the field, injected while callers are at work.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { migrate } from "../../../src/migrate/index.ts";
import { NO_POOLER } from "../../support/pooler.ts";
import { readHeads } from "../faults/journal.ts";
import { killWithChildren, untilBack } from "../faults/kills.ts";
import { connectSql } from "../faults/send.ts";
import { type Stage, stageOn } from "../faults/stage.ts";
import { waitUntil } from "../faults/wait.ts";
import type { Wave } from "../faults/wave.ts";
import { addMigration } from "./migration.ts";
import { CONNECTIONS, type FieldScene } from "./scene.ts";
import { startStandby } from "./standby.ts";

/** A fault of the field. */
export interface FieldFault {
  /** Its name in the counts, e.g. `failOvers`. */
  readonly name: string;
  /** Why it is skipped here, if it is. */
  readonly skipped?: string | undefined;
  /** Injects the fault, and returns when it is over. */
  act(scene: FieldScene): Promise<void>;
}

/** How many answers show that callers go on. */
export const ENOUGH = 25;

const failOvers: FieldFault = {
  name: "failOvers",
  /**
   * The primary becomes read-only and keeps its connections; new ones reach the standby, which has
   * taken over.
   */
  async act(scene) {
    const { field, wave } = scene;
    const old = field.stage;
    const folder = join(field.folder, `standby-${wave.history.calls.length}-${old.server.port}`);
    await using standby = await startStandby(old, folder, field.options);
    await stopWrites(old);
    await waitUntil("the standby has everything", async () => {
      const [row] = await old.admin`
        select from pg_stat_replication where flush_lsn >= pg_current_wal_flush_lsn()`;
      return row !== undefined;
    });
    const before = await readHeads(old.admin, wave.wallets);
    const next = stageOn(await standby.promote());
    field.moveTo(next);
    wave.endAt(next);
    try {
      await untilAnswered(scene, "while the old primary runs on, read-only");
      const late = [...(await readHeads(old.admin, wave.wallets))].filter(
        ([wallet, head]) => before.get(wallet) !== head,
      );
      if (late.length > 0)
        throw new Error(`the old primary has written after the fail-over: ${late}`);
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
  /** Another session locks more wallets than a client has connections; other wallets must not wait. */
  async act(scene) {
    await using lock = await lockWallets(scene, scene.shut);
    await lock.untilWaitedFor(Math.min(CONNECTIONS, scene.shut.length) - 1);
    await untilAnswered(scene, "while other wallets are locked", 3 * ENOUGH);
  },
};

const roleTimeouts: FieldFault = {
  name: "roleTimeouts",
  /** Another session locks a wallet for longer than the lock time-out of some callers' role. */
  async act(scene) {
    const { shut, wave } = scene;
    const before = timeouts(wave);
    await using _lock = await lockWallets(scene, shut.slice(0, 2));
    await waitUntil("SQL callers have timed out", () => timeouts(wave) >= before + 3);
  },
};

const migrations: FieldFault = {
  name: "migrations",
  /** A long read makes `migrate` wait; callers must not wait. */
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
      await untilAnswered(scene, "while a migration waits for a report", 2 * ENOUGH);
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

/** Codes with which servers and poolers refuse sessions. */
const REFUSALS = ["XX000", "58000", "53300", "57P03", "08P01", "53200", "57P01"];

const refusedStarts: FieldFault = {
  name: "refusedStarts",
  /** New sessions are refused for a while, with a random code. */
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
  /** The callers' roles have no connections left. */
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
  /** `kill -9` of the server, and a restart. */
  async act(scene) {
    const { stage } = scene.field;
    await killWithChildren(stage.server);
    await stage.server.start();
    await untilBack(stage);
    await untilAnswered(scene, "after the server was killed");
  },
};

/** The faults of the field. */
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

/** Waits until callers of free wallets have had so many more answers. */
export async function untilAnswered(
  { field: { measure } }: Pick<FieldScene, "field">,
  when: string,
  more = ENOUGH,
): Promise<void> {
  const before = measure.answers;
  await waitUntil(
    `callers of free wallets are answered ${when}`,
    () => measure.answers >= before + more,
  );
}

/** Makes a server read-only, and waits until running writes have ended. */
async function stopWrites({ admin, server }: Stage): Promise<void> {
  await admin.unsafe("alter system set default_transaction_read_only = on");
  await admin`select pg_reload_conf()`;
  // When a new session has the setting, older sessions have received it as well.
  await waitUntil("the server is read-only", async () => {
    const sql = connectSql(server.url);
    const [row] = await sql.unsafe<{ setting: string }[]>(
      "select current_setting('default_transaction_read_only') as setting",
    );
    await sql.end({ timeout: 0 });
    return row?.setting === "on";
  });
  const [now] = await admin<{ at: string }[]>`select clock_timestamp()::text as at`;
  await waitUntil("running writes have ended", async () => {
    const [row] = await admin`
      select from pg_stat_activity
        where backend_type = 'client backend'
          and pid <> pg_backend_pid()
          and xact_start < ${now?.at ?? ""}::text::timestamptz
        limit 1`;
    return row === undefined;
  });
}

/** How many calls by SQL have failed with a time-out. */
function timeouts({ history }: Wave): number {
  return history.calls.filter(({ answer }) => {
    return answer && "failed" in answer && /^(55P03|57014)$/.test(answer.failed);
  }).length;
}

interface Lock extends AsyncDisposable {
  /** Waits until so many sessions wait for it. */
  untilWaitedFor(sessions: number): Promise<void>;
}

/** Locks wallets until it is disposed of. */
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
