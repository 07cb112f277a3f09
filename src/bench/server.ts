import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { createLedger, type Ledger } from "../client/index.ts";
import { startPostgres } from "../embedded/index.ts";
import { migrate } from "../migrate/index.ts";
import { serverCpuSeconds } from "./server-cpu.ts";
import { makeNaiveTables } from "./statements.ts";
import { CLIENTS } from "./workload.ts";

/** A PostgreSQL server of the bench's own. */
export interface BenchServer extends AsyncDisposable {
  /** Makes a database with the ledger and the naive tables in it, all empty. */
  createDatabase(name: string): Promise<BenchDatabase>;
  /** All that were made. */
  databases(): readonly BenchDatabase[];
  /** Seconds of CPU time that it has used; null where the system does not say. */
  cpuSeconds(): number | null;
}

/** A database of that server. */
export interface BenchDatabase {
  /** Its address by login; `admin` is the superuser. */
  readonly urls: Readonly<Record<Login | "admin", string>>;
  /** As the superuser: one connection. */
  readonly admin: postgres.Sql;
  /** As agents: one connection each, so that no client waits for the answer of another. */
  readonly clients: readonly postgres.Sql[];
  /** As an agent through the client, which connects when it is used. */
  readonly ledger: Ledger;
}

/** A connection of its own. */
export interface Connection extends AsyncDisposable {
  readonly sql: postgres.Sql;
}

/** Connects when the first statement is sent. */
export function connectAs(url: string): Connection {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => undefined });
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 0 }) };
}

/** The connection of a client, counted from 0; more clients than connections share them. */
export function clientOf({ clients }: BenchDatabase, client: number): postgres.Sql {
  const sql = clients[client % clients.length];
  if (!sql) throw new Error("this database has no clients");
  return sql;
}

type Login = "agent" | "worker" | "auditor";
const LOGINS: readonly Login[] = ["agent", "worker", "auditor"];

// As in production: nothing is acknowledged before it is on disk.
const DURABLE = { fsync: "on", synchronous_commit: "on", full_page_writes: "on" };
const SIZED = { shared_buffers: "1GB", max_wal_size: "8GB", maintenance_work_mem: "1GB" };
const TEMPLATE = "bench_template";

/** Starts the server; it is removed with its data when it is disposed of, or this program ends. */
export async function startBenchServer(): Promise<BenchServer> {
  const server = await startPostgres({ settings: { ...DURABLE, ...SIZED } });
  const open: { readonly end: () => PromiseLike<void> }[] = [];
  const databases: BenchDatabase[] = [];
  const connect = (url: string): postgres.Sql => {
    const { sql, [Symbol.asyncDispose]: end } = connectAs(url);
    open.push({ end });
    return sql;
  };
  const dispose = async (): Promise<void> => {
    await Promise.all(open.map((one) => one.end()));
    await server.stop();
  };
  try {
    const root = connect(server.url);
    const password = randomBytes(16).toString("hex");
    await makeTemplate(root, server.url, password);
    return {
      [Symbol.asyncDispose]: dispose,
      databases: () => databases,
      cpuSeconds: () => serverCpuSeconds(server.pid),
      createDatabase: async (name) => {
        await root.unsafe(`create database ${name} template ${TEMPLATE}`);
        // For the tables of graphile-worker, which the expiry job installs on its first start.
        await root.unsafe(`grant create on database ${name} to bench_worker`);
        const urls = urlsOf(server.url, name, password);
        const ledger = createLedger(urls.agent);
        open.push({ end: ledger.close });
        const made = {
          urls,
          admin: connect(urls.admin),
          clients: Array.from({ length: CLIENTS }, () => connect(urls.agent)),
          ledger,
        };
        databases.push(made);
        return made;
      },
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function makeTemplate(root: postgres.Sql, url: string, password: string): Promise<void> {
  await root.unsafe(`create database ${TEMPLATE}`);
  const template = inDatabase(url, TEMPLATE);
  await migrate(template);
  for (const login of LOGINS) {
    await root.unsafe(
      `create role bench_${login} login password '${password}' in role baseledger_${login}`,
    );
  }
  await using owner = connectAs(template);
  await makeNaiveTables(owner.sql, "bench_agent");
}

function urlsOf(url: string, database: string, password: string): BenchDatabase["urls"] {
  const urlOf = (login: Login): string => {
    const target = new URL(inDatabase(url, database));
    target.username = `bench_${login}`;
    target.password = password;
    return target.href;
  };
  return {
    admin: inDatabase(url, database),
    agent: urlOf("agent"),
    worker: urlOf("worker"),
    auditor: urlOf("auditor"),
  };
}

function inDatabase(url: string, database: string): string {
  const target = new URL(url);
  target.pathname = `/${database}`;
  return target.href;
}
