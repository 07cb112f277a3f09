import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";

/** A pool of the driver. */
export type Sql = postgres.Sql;

/** A separate connection, which can be cut. */
export interface Line {
  readonly sql: Sql;
  /** Drops the connection at once, even while a command is running. */
  cut(): Promise<void>;
  /** Resolves once the server has ended the process of a line that was cut. */
  ended(): Promise<void>;
}

/** The connections of a run, each with only the rights of its part. */
export interface Connections {
  readonly agents: Sql;
  /** A second pool of the agents, for commands that are sent twice at the same time. */
  readonly duplicates: Sql;
  readonly operator: Sql;
  readonly auditor: Sql;
  /** Where the expiry job connects to. */
  readonly workerUrl: string;
  /** The login of the expiry job if only it uses that: the journal then shows what it swept. */
  readonly workerLogin: string | undefined;
  /** Opens a connection of an agent. */
  open(): Promise<Line>;
  end(): Promise<void>;
}

type Part = "agent" | "operator" | "auditor" | "worker";
const PARTS: readonly Part[] = ["agent", "operator", "auditor", "worker"];

/** Where and as whom each part connects. */
interface Access {
  readonly url: string;
  /** The role to set, if the login was not created for one part. */
  readonly role?: string;
}

const LOOK_AGAIN_MS = 2;
// More connections than this only queue inside a server of a few cores.
const MOST_AGENT_CONNECTIONS = 20;

/** Connects to the demo's own server, with a login for each part, created for this run. */
export async function connectToOwn(url: string, agents: number): Promise<Connections> {
  const admin = connect({ url }, 1);
  const password = randomBytes(16).toString("hex");
  try {
    for (const part of PARTS) {
      await admin.unsafe(
        `create role baseledger_demo_${part} login password '${password}' ` +
          `in role baseledger_${part}`,
      );
    }
    // For the tables of graphile-worker, which the expiry job installs on its first start.
    const [database] = await admin`select quote_ident(current_database()) as name`;
    await admin.unsafe(`grant create on database ${database?.name} to baseledger_demo_worker`);
  } finally {
    await admin.end();
  }
  const accessOf = (part: Part): Access => ({
    url: withLogin(url, `baseledger_demo_${part}`, password),
  });
  return connections(accessOf, agents, "baseledger_demo_worker");
}

/** Connects to an existing server as the login of the URL, in the role of each part if it may. */
export async function connectToForeign(url: string, agents: number): Promise<Connections> {
  const admin = connect({ url }, 1);
  try {
    const rows = await admin<{ role: string }[]>`
      select rolname as role from pg_roles
      where rolname in ${admin(PARTS.map((part) => `baseledger_${part}`))}
        and pg_has_role(current_user, oid, 'member')`;
    const roles = new Set(rows.map(({ role }) => role));
    const accessOf = (part: Part): Access =>
      // The expiry job stays the login itself: it must own the tables of graphile-worker.
      part !== "worker" && roles.has(`baseledger_${part}`)
        ? { url, role: `baseledger_${part}` }
        : { url };
    return connections(accessOf, agents, undefined);
  } finally {
    await admin.end();
  }
}

function connections(
  accessOf: (part: Part) => Access,
  agents: number,
  workerLogin: string | undefined,
): Connections {
  const pools = {
    agents: connect(accessOf("agent"), Math.min(agents, MOST_AGENT_CONNECTIONS)),
    duplicates: connect(accessOf("agent"), 2),
    operator: connect(accessOf("operator"), 1),
    auditor: connect(accessOf("auditor"), 2),
  };
  return {
    ...pools,
    workerUrl: accessOf("worker").url,
    workerLogin,
    open: () => openLine(accessOf("agent"), pools.auditor),
    end: async () => {
      await Promise.all(Object.values(pools).map((pool) => pool.end()));
    },
  };
}

async function openLine(access: Access, observer: Sql): Promise<Line> {
  const sql = connect(access, 1);
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const pid = row?.pid ?? 0;
  return {
    sql,
    cut: () => sql.end({ timeout: 0 }),
    ended: async () => {
      while ((await observer`select from pg_stat_activity where pid = ${pid}`).length > 0) {
        await delay(LOOK_AGAIN_MS);
      }
    },
  };
}

function connect({ url, role }: Access, max: number): Sql {
  return postgres(url, {
    max,
    // postgres.js ends the program when a connection breaks while it fetches types (3.4.9).
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "baseledger demo", ...(role && { role }) },
  });
}

function withLogin(url: string, user: string, password: string): string {
  const target = new URL(url);
  target.username = user;
  target.password = password;
  return target.href;
}
