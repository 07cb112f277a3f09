// The connections of the fuzz, and its checks of the ledger after each sequence.
import postgres from "postgres";
import { ROLES, type Role } from "./functions.ts";
import type { Value } from "./values.ts";

/** Sends calls to one database; each role has one connection, which must never be lost. */
export interface Sender extends AsyncDisposable {
  readonly admin: postgres.Sql;
  /** The code of the refusal, or undefined. */
  send(role: Role, query: string, values: readonly Value[]): Promise<string | undefined>;
  /** What is wrong afterwards, for a person. */
  findings(): Promise<string[]>;
}

/** How much memory a backend may keep between two calls. */
const MEMORY = 64 * 1024 * 1024;

/** Connects to a migrated database; `url` is a superuser's. */
export async function connect(url: string): Promise<Sender> {
  const admin = postgres(url, { max: 1, onnotice: () => undefined });
  await createLogins(admin);
  const sessions = new Map<Role, Session>();
  for (const role of ROLES) sessions.set(role, await open(url, role));
  return {
    admin,
    async send(role, query, values) {
      const { sql } = sessions.get(role) as Session;
      try {
        await sql.unsafe(query, [...values], { prepare: false });
        return undefined;
      } catch (error) {
        const { code = "", message } = error as { code?: string; message: string };
        if (!isCoded(code)) throw new Error(`${code} ${message}`, { cause: error });
        return code;
      }
    },
    async findings() {
      const wrong = await Promise.all([...sessions.values()].map(checkSession));
      return [...wrong.flat(), ...(await checkLedger(admin))];
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...sessions.values()].map(({ sql }) => sql.end({ timeout: 5 })));
      await admin.end({ timeout: 5 });
    },
  };
}

/**
 * Whether a code is that of a refusal: of the ledger (`LG…`), of a value that its type cannot hold
 * (class 22), or of JSON nested too deep for the server's stack.
 */
function isCoded(code: string): boolean {
  return /^(LG[A-Z]{3}|22[0-9A-Z]{3}|54001)$/.test(code);
}

interface Session {
  readonly role: Role;
  readonly sql: postgres.Sql;
  readonly pid: number;
}

async function open(url: string, role: Role): Promise<Session> {
  const address = new URL(url);
  address.username = loginOf(role);
  address.password = "secret";
  const sql = postgres(address.href, { max: 1, fetch_types: false, onnotice: () => undefined });
  await sql.unsafe("set statement_timeout = '30s'");
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return { role, sql, pid: row?.pid ?? 0 };
}

function loginOf(role: Role): string {
  return `ledger_fuzz_${role}`;
}

/** Creates a login for each role, which may also read its memory use; roles belong to the server. */
async function createLogins(admin: postgres.Sql): Promise<void> {
  for (const role of ROLES) {
    const login = loginOf(role);
    await admin.unsafe(`do $$ begin
      create role ${login} login password 'secret'
        in role baseledger_${role}, pg_read_all_stats;
    exception when duplicate_object or unique_violation then null;
    end $$`);
  }
}

async function checkSession({ role, sql, pid }: Session): Promise<string[]> {
  const [row] = await sql<{ pid: number; bytes: string }[]>`
    select pg_backend_pid() as pid, sum(total_bytes) as bytes from pg_backend_memory_contexts`;
  const wrong: string[] = [];
  if (row?.pid !== pid) wrong.push(`the connection of ${role} was lost`);
  if (Number(row?.bytes) > MEMORY) wrong.push(`the backend of ${role} keeps ${row?.bytes} bytes`);
  return wrong;
}

async function unsound(admin: postgres.Sql): Promise<string[]> {
  const rows = await admin<{ told: string }[]>`
    select format('verify: %s', v) as told from baseledger.verify() v
    union all
    -- invariant 1, by what came in and went out
    select format('wallet %s holds %s, but was given %s', w.wallet_id, w.sum, e.sum)
      from (
        select wallet_id, available::numeric + reserved + spent as sum from baseledger.wallets
      ) as w
      left join lateral (
        select coalesce(sum(case
              when j.event in ('credited', 'transferred_in') then j.amount
              when j.event in ('withdrawn', 'transferred_out') then -j.amount
            end), 0) as sum
          from baseledger.journal j
          where j.wallet_id = w.wallet_id
      ) as e on true
      where w.sum <> e.sum`;
  return rows.map(({ told }) => told);
}
