// Faults, injected while clients are at work.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "../../../src/embedded/index.ts";
import type { Random } from "../../../src/trace/index.ts";
import type { Network } from "../../client/network.ts";
import {
  type ClientProcess,
  childrenOf,
  type Killable,
  killNow,
  startWorkerProcess,
} from "./processes.ts";
import { connectSql } from "./send.ts";
import type { Stage } from "./stage.ts";
import { waitUntil } from "./wait.ts";
import type { Wave } from "./wave.ts";

/** What faults are injected into. */
export interface Scene {
  readonly stage: Stage;
  readonly random: Random;
  readonly wave: Wave;
  /** The network between the server and some of the clients. */
  readonly network: Network;
  readonly startClient: () => ClientProcess;
  readonly workers: Killable[];
}

/** Injects a fault, and returns when clients can be answered again. */
export type Fault = (scene: Scene) => Promise<void>;

/** `kill -9` of the server with all its processes; sometimes once more while it recovers. */
export const killServer: Fault = async ({ stage: { server }, random }) => {
  await killWithChildren(server);
  if (random.chance(0.15)) {
    const starting = server.start().catch(() => undefined);
    const pid = await waitUntil("it is starting", () => postmasterOf(server.dataDir, server.pid));
    await killAll(pid, async () => killNow(pid));
    await starting;
    // It may have started just before; then it must be gone before the next start.
    await server.kill("SIGKILL");
  }
  await server.start();
};

/** `kill -9` of the first process only: the others notice when they next wait for something. */
export const killPostmaster: Fault = async ({ stage: { server } }) => {
  await server.kill("SIGKILL");
  await server.start();
};

export const OTHER_FAULTS: Readonly<Record<string, Fault>> = {
  /** The server then ends all sessions, and recovers. */
  backendKills: async ({ stage }) => {
    const pid = await backend(stage, "true");
    if (pid) killNow(pid);
    await untilBack(stage);
  },
  backendTerminations: async ({ stage }) => {
    await backend(stage, "pg_terminate_backend(pid)");
  },
  cancelledStatements: async ({ stage }) => {
    await backend(stage, "pg_cancel_backend(pid)");
  },
  /** Another session locks the wallet for longer than clients wait. */
  lockTimeouts: async ({ stage, wave }) => {
    const sql = connectSql(stage.server.url);
    try {
      await sql.unsafe("begin");
      await sql`select from baseledger.wallets where wallet_id = ${wave.wallets[0] ?? ""} for update`;
      const before = timeouts(wave);
      await waitUntil("a client has timed out", () => timeouts(wave) > before);
      await sql.unsafe("rollback");
    } finally {
      await sql.end({ timeout: 0 });
    }
  },
  clientKills: async ({ startClient, wave }) => {
    const client = startClient();
    await client.untilBusy();
    await client.kill();
    wave.add(client.history());
  },
  workerKills: async ({ stage, random, workers }) => {
    const [worker] = workers.splice(random.integer(0, workers.length - 1), 1);
    await worker?.kill();
    workers.push(await startWorkerProcess(stage.url));
  },
  /** Requests do not arrive. */
  networkDrops: async ({ network }) => {
    await untilHeld(network, "questions");
    await network.refuse(true);
    network.release();
    await network.refuse(false);
  },
  /** An answer breaks off in the middle. */
  networkTruncations: async ({ network }) => {
    await untilHeld(network, "answers");
    await network.deliver(network.held / 2);
    network.cut();
    network.release();
  },
  /** Answers come late. */
  networkDelays: async ({ network, wave }) => {
    await untilHeld(network, "answers");
    await wave.answers(20);
    network.release();
  },
  /** Requests arrive after their clients have lost the connection. */
  networkLateArrivals: async ({ network, wave }) => {
    await untilHeld(network, "questions");
    network.cut();
    await wave.answers(20);
    network.release();
  },
};

/** `kill -9` of a server and of all its processes. */
export function killWithChildren(server: Server): Promise<void> {
  return killAll(server.pid, () => server.kill("SIGKILL"));
}

/** Waits until the server answers. */
export async function untilBack({ admin }: Stage): Promise<void> {
  await waitUntil("the server is back", () =>
    admin`select 1`.then(
      () => true,
      () => false,
    ),
  );
}

async function killAll(pid: number, killFirst: () => Promise<void>): Promise<void> {
  // Stopped first, so that it starts no process that is not in the list: one that survives may wait
  // for ever for a lock of those that are killed, and keeps the server from starting again.
  killNow(pid, "SIGSTOP");
  for (const child of childrenOf(pid)) killNow(child);
  await killFirst();
}

/** The process of a server that is starting. */
function postmasterOf(dataDir: string, before: number): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataDir, "postmaster.pid"), "utf8").split("\n")[0]);
    return pid && pid !== before ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Runs `act` on a backend of a client, preferably an active one; returns its process id. */
async function backend({ admin }: Stage, act: string): Promise<number | undefined> {
  const rows = await admin.unsafe<{ pid: number }[]>(
    `select pid, ${act} from (
        select pid from pg_stat_activity
          where usename = 'proof_client'
          order by state = 'active' desc, random()
          limit 1
      ) as x`,
  );
  return rows[0]?.pid;
}

function timeouts({ history }: Wave): number {
  const failed = history.calls.filter(({ answer }) => {
    return answer && "failed" in answer && /^(55P03|57014)$/.test(answer.failed);
  });
  return failed.length;
}

async function untilHeld(network: Network, direction: "questions" | "answers"): Promise<void> {
  await waitUntil("something is on its way", () => {
    network.hold(direction);
    return network.held > 0;
  });
}
