// The connections of the fuzz, and its checks of the ledger after each sequence.
import postgres from "postgres";
import { type Query, ROLES, type Role } from "./functions.ts";
import type { Value } from "./values.ts";

/** Sends calls to one database; each role has one connection, which must never be lost. */
export interface Sender extends AsyncDisposable {
  readonly admin: postgres.Sql;
  /** Sends a call; returns the code of the refusal, or undefined. */
  send(role: Role, query: Query): Promise<string | undefined>;
  /** What is wrong afterwards, for a person; balances are checked in wallets with this prefix. */
  findings(prefix: string): Promise<string[]>;
}

/** How much memory a backend may keep between two calls. */
const MEMORY = 32 * 1024 * 1024;

/** Connects to a migrated database; `url` is a superuser's. */
export async function connect(url: string): Promise<Sender> {
  const admin = postgres(url, { max: 1, onnotice: () => undefined });
  await createLogins(admin);
  const sessions = new Map<Role, Session>();
  for (const role of ROLES) sessions.set(role, await open(url, role));
  return {
    admin,
    async send(role, { query, casts, values }) {
      const { sql } = sessions.get(role) as Session;
      const error = await errorOf(sql, query, values);
      if (!error) return undefined;
      const { code = "", message } = error;
      if (code.startsWith("LG")) return code;
      // Any other code must be that of a value which its type cannot hold, also without the call.
      const { code: castCode } = (await errorOf(sql, casts, values)) ?? {};
      if (isCastError(code) && code === castCode) return code;
      throw new Error(`${code} ${message}`, { cause: error });
    },
    async findings(prefix) {
      const wrong = await Promise.all([...sessions.values()].map(checkSession));
      return [...wrong.flat(), ...(await checkLedger(admin, prefix))];
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...sessions.values()].map(({ sql }) => sql.end({ timeout: 5 })));
      await admin.end({ timeout: 5 });
    },
  };
}

interface SqlError extends Error {
  readonly code?: string;
}

async function errorOf(
  sql: postgres.Sql,
  query: string,
  values: readonly Value[],
): Promise<SqlError | undefined> {
  try {
    await sql.unsafe(query, [...values], { prepare: false });
    return undefined;
  } catch (error) {
    return error as SqlError;
  }
}

/** Whether a code is that of a bad value (class 22), or of JSON nested too deep for the stack. */
function isCastError(code: string): boolean {
  return /^(22[0-9A-Z]{3}|54001)$/.test(code);
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

/** Checks the ledger: all of it by `verify`, some wallets by each view as well (invariants 1 and 3). */
async function checkLedger(admin: postgres.Sql, prefix: string): Promise<string[]> {
  const rows = await admin<{ wrong: string }[]>`
    with w as (
      select wallet_id, available, reserved, spent, available::numeric + reserved + spent as sum,
          format('%s/%s/%s', available, reserved, spent) as balances
        from baseledger.wallets where starts_with(wallet_id, ${prefix})
    )
    select format('verify: %s', v) as wrong from baseledger.verify() v
    union all
    select format('wallet %s has %s, but its journal %s', w.wallet_id, w.balances, j.balances)
      from w
      cross join lateral (
        select coalesce(sum(case
              when event in ('credited', 'transferred_in') then amount
              when event in ('withdrawn', 'transferred_out') then -amount
            end), 0) as sum
          from baseledger.journal where wallet_id = w.wallet_id
      ) as funds
      cross join lateral (
        select format('%s/%s/%s', coalesce(sum(amount) filter (where account = 'available'), 0),
              coalesce(sum(amount) filter (where account = 'reserved'), 0),
              coalesce(sum(amount) filter (where account = 'spent'), 0)) as balances,
            coalesce(sum(amount), 0) as sum
          from baseledger.postings where wallet_id = w.wallet_id
      ) as j
      where w.sum <> funds.sum or w.balances <> j.balances or j.sum <> 0
    union all
    select format('wallet %s has %s reserved and %s spent, but its reservations %s and %s',
        w.wallet_id, w.reserved, w.spent, h.reserved, h.spent)
      from w
      cross join lateral (
        select coalesce(sum(amount - used - released), 0) as reserved,
            coalesce(sum(settled - refunded), 0) as spent
          from baseledger.reservation_history where wallet_id = w.wallet_id
      ) as h
      where (w.reserved, w.spent) is distinct from (h.reserved, h.spent)
    union all
    select format('wallet %s has balances that cannot be', b.wallet_id)
      from baseledger.wallet_balances b
      where b.reserved < 0 or b.spent < 0 or b.available < -b.overdraft_limit`;
  return rows.map(({ wrong }) => wrong);
}
