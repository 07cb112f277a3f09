import postgres from "postgres";
import { expect } from "vitest";
import { type Json, parseJson, stringifyJson } from "../../src/json/index.ts";
import { createDatabase, type TestDatabase } from "./server.ts";
import { until } from "./until.ts";

/** Login roles as a host has them: each is a member of one role of the ledger, or of none. */
const LOGINS = {
  agent: "baseledger_agent",
  operator: "baseledger_operator",
  auditor: "baseledger_auditor",
  worker: "baseledger_worker",
  outsider: undefined,
} as const;

/** Who connects; `admin` is the superuser of the server. */
export type Role = keyof typeof LOGINS | "admin";

/** A connection of its own, that a test can see waiting. */
export interface Session extends AsyncDisposable {
  readonly sql: postgres.Sql;
  readonly pid: number;
}

/** A database with the ledger in it, and connections of every role. */
export interface TestLedger extends AsyncDisposable {
  readonly name: string;
  readonly admin: postgres.Sql;
  readonly agent: postgres.Sql;
  readonly operator: postgres.Sql;
  readonly auditor: postgres.Sql;
  readonly worker: postgres.Sql;
  readonly outsider: postgres.Sql;
  /** A pool of connections. */
  connect(role: Role, max: number, settings?: Record<string, string>): postgres.Sql;
  /** One connection. */
  session(role: Role, settings?: Record<string, string>): Promise<Session>;
}

/** A receipt as SQL has it; times as text, to the microsecond. */
export interface Receipt {
  readonly wallet_id: string;
  readonly seq: bigint | null;
  readonly event: string | null;
  readonly reservation_id: string | null;
  readonly amount: bigint | null;
  readonly available: bigint | null;
  readonly reserved: bigint | null;
  readonly spent: bigint | null;
  readonly expires_at: string | null;
  readonly occurred_at: string | null;
  readonly idempotency_key: string | null;
  readonly replayed: boolean;
  readonly refused: string | null;
  readonly detail: Json;
}

/** Name of the login role that tests connect with. */
export function loginOf(role: keyof typeof LOGINS): string {
  return `ledger_test_${role}`;
}

/** Makes a ledger for a file of tests, in a database of its own: by default on the shared server. */
export async function createLedger(on?: TestDatabase): Promise<TestLedger> {
  const database = on ?? (await createDatabase());
  const open: postgres.Sql[] = [];

  function connect(role: Role, max: number, settings: Record<string, string> = {}): postgres.Sql {
    const url = new URL(database.url);
    if (role !== "admin") {
      url.username = loginOf(role);
      url.password = "secret";
    }
    const sql = postgres(url.href, {
      max,
      fetch_types: false,
      onnotice: () => undefined,
      connection: { application_name: role, ...settings },
      types: {
        bigint: postgres.BigInt,
        json: { to: 3802, from: [114, 3802], serialize: stringifyJson, parse: parseJson },
        // a Date would cut off the microseconds
        date: { to: 1184, from: [1114, 1184], serialize: String, parse: String },
      },
    });
    open.push(sql as unknown as postgres.Sql);
    return sql as unknown as postgres.Sql;
  }

  async function session(role: Role, settings?: Record<string, string>): Promise<Session> {
    const sql = connect(role, 1, settings);
    const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const close = () => sql.end({ timeout: 0 });
    return { sql, pid: row?.pid ?? 0, [Symbol.asyncDispose]: close };
  }

  const admin = connect("admin", 4);
  await createLogins(admin);
  return {
    name: database.name,
    admin,
    agent: connect("agent", 4),
    operator: connect("operator", 4),
    auditor: connect("auditor", 2),
    worker: connect("worker", 2),
    outsider: connect("outsider", 1),
    connect,
    session,
    async [Symbol.asyncDispose]() {
      await Promise.all(open.map((sql) => sql.end({ timeout: 0 })));
      await database.drop();
    },
  };
}

/** Roles belong to the server: another file of tests may be making them just now. */
async function createLogins(admin: postgres.Sql): Promise<void> {
  const creations = Object.entries(LOGINS).map(([role, group]) => {
    const login = loginOf(role as keyof typeof LOGINS);
    const membership = group ? `in role ${group}` : "";
    return `
      begin
        create role ${login} login password 'secret' ${membership};
      exception
        when duplicate_object or unique_violation then null;
      end;`;
  });
  await admin.unsafe(`do $$ begin ${creations.join("")} end $$`);
}

/** Types of the parameters that are no text. */
const TYPES: Record<string, string> = {
  amount: "bigint",
  at_least: "bigint",
  overdraft_limit: "bigint",
  scale: "integer",
  limit: "integer",
  final: "boolean",
  ttl: "interval",
  metadata: "jsonb",
  commands: "jsonb",
  at: "timestamptz",
};

/** Arguments of a function, without `p_`. */
export type Arguments = Record<string, Json | undefined>;

/** Calls a function of the ledger and gives its rows. */
export async function call<T>(sql: postgres.Sql, name: string, args: Arguments): Promise<T[]> {
  const given = Object.entries(args).filter(([, value]) => value !== undefined);
  const list = given.map(([key], i) => `p_${key} => $${i + 1}::text::${TYPES[key] ?? "text"}`);
  const values = given.map(([key, value]) =>
    value === null || (typeof value === "string" && TYPES[key] !== "jsonb")
      ? value
      : stringifyJson(value as Json),
  );
  const query = `select * from baseledger.${name}(${list.join(", ")})`;
  return sql.unsafe<T[] & Record<string, unknown>[]>(query, values, { prepare: true });
}

/** Sends one command and gives its receipt. */
export async function command(sql: postgres.Sql, name: string, args: Arguments): Promise<Receipt> {
  const [receipt] = await call<Receipt>(sql, name, args);
  if (!receipt) throw new Error(`${name} gave no receipt`);
  return receipt;
}

/** Sends a batch and gives its receipts. */
export function post(
  sql: postgres.Sql,
  walletId: string,
  commands: readonly Arguments[],
): Promise<Receipt[]> {
  return call<Receipt>(sql, "post", { wallet_id: walletId, commands: commands as Json });
}

/** Opens a wallet with some funds in it. */
export async function openWallet(
  ledger: TestLedger,
  walletId: string,
  funds = 0n,
  terms: Arguments = {},
): Promise<string> {
  await call(ledger.operator, "open_wallet", { wallet_id: walletId, ...terms });
  if (funds > 0n) {
    await call(ledger.operator, "credit", {
      wallet_id: walletId,
      amount: funds,
      idempotency_key: "funds",
    });
  }
  return walletId;
}

/** The balances of a wallet, as an agent sees them. */
export async function balance(
  sql: postgres.Sql,
  walletId: string,
): Promise<{ available: bigint; reserved: bigint; spent: bigint; seq: bigint; frozen: boolean }> {
  const [row] = await call<Awaited<ReturnType<typeof balance>>>(sql, "balance", {
    wallet_id: walletId,
  });
  if (!row) throw new Error("balance gave no row");
  const { available, reserved, spent, seq, frozen } = row;
  return { available, reserved, spent, seq, frozen };
}

/** What has happened in a wallet, in order. */
export async function history(ledger: TestLedger, walletId: string): Promise<string[]> {
  const rows = await ledger.auditor<{ event: string }[]>`
    select event from baseledger.journal where wallet_id = ${walletId} order by seq`;
  return rows.map(({ event }) => event);
}

/** The parts of an error of PostgreSQL that tests look at. */
export interface SqlError {
  readonly code: string;
  readonly detail: unknown;
  readonly message: string;
}

/** The error that something ends with. */
export async function failure(attempt: PromiseLike<unknown>): Promise<SqlError> {
  try {
    await attempt;
  } catch (error) {
    return error as SqlError;
  }
  throw new Error("it was not refused");
}

/** Expects a refusal by its code, told in full, and gives its detail. */
export async function expectRefusal(
  code: string,
  attempt: PromiseLike<unknown>,
): Promise<Record<string, Json>> {
  const error = (await failure(attempt)) as postgres.PostgresError;
  expect(error, `${error.code} ${error.message}`).toMatchObject({ code });
  expect(error.message).toBeTruthy();
  expect(error.hint).toBeTruthy();
  return parseJson(error.detail ?? "") as Record<string, Json>;
}

/** How a promise ended: its value, or the code of its error. */
export function outcome<T>(attempt: Promise<T>): Promise<T | { readonly code: string }> {
  return attempt.catch((error: { code?: string }) => {
    if (error.code === undefined) throw error;
    return { code: error.code };
  });
}

/** A fingerprint of all that is stored. */
export async function digest(ledger: TestLedger): Promise<string> {
  const parts = ["wallets", "events", "reservations"].map(
    (table) => `select '${table}' as part, md5(string_agg(t::text, e'\\n' order by t::text)) as sum
      from baseledger.${table} t`,
  );
  const rows = await ledger.admin.unsafe<{ part: string; sum: string }[]>(
    parts.join(" union all "),
  );
  return rows.map(({ part, sum }) => `${part} ${sum}`).join(", ");
}

/** Waits until a session is blocked by another. */
export async function untilWaiting(ledger: TestLedger, ...sessions: Session[]): Promise<void> {
  const pids = sessions.map(({ pid }) => pid);
  await until(`sessions ${pids.join(", ")} wait`, async () => {
    const waiting = await ledger.admin<{ pid: number }[]>`
      select pid from pg_stat_activity
      where pid = any(string_to_array(${pids.join()}, ',')::int[])
        and cardinality(pg_blocking_pids(pid)) > 0`;
    return waiting.length === pids.length;
  });
}

/** Waits until so many connections of a role are blocked by another. */
export async function untilCrowd(ledger: TestLedger, role: Role, count: number): Promise<void> {
  await until(`${count} connections wait`, async () => {
    const waiting = await ledger.admin`
      select from pg_stat_activity
      where datname = ${ledger.name}
        and application_name = ${role}
        and cardinality(pg_blocking_pids(pid)) > 0`;
    return waiting.length >= count;
  });
}

/** Waits until an instant has passed by the clock of the database. */
export async function untilPast(ledger: TestLedger, time: string | null): Promise<void> {
  await until(`${time} has passed`, async () => {
    const [row] = await ledger.admin<{ past: boolean }[]>`
      select clock_timestamp() > ${time}::text::timestamptz as past`;
    return row?.past;
  });
}

/** Takes a wallet's lock, in a transaction that stays open until it is let go. */
export async function holdLock(ledger: TestLedger, walletId: string): Promise<() => Promise<void>> {
  const { sql } = await ledger.session("admin");
  await sql.unsafe("begin");
  await sql`select from baseledger.wallets where wallet_id = ${walletId} for no key update`;
  return async () => {
    await sql.unsafe("rollback");
    await sql.end();
  };
}

/**
 * Sends commands of several sessions that all want one wallet, in the order given: each is seen
 * waiting for its turn before the next is sent, and then the wallet is let go.
 */
export async function queueUp<T>(
  ledger: TestLedger,
  walletId: string,
  commands: readonly (readonly [Role, (sql: postgres.Sql) => Promise<T>])[],
): Promise<(T | { readonly code: string })[]> {
  const letGo = await holdLock(ledger, walletId);
  const sessions: Session[] = [];
  const outcomes: Promise<T | { readonly code: string }>[] = [];
  for (const [role, send] of commands) {
    const session = await ledger.session(role);
    sessions.push(session);
    outcomes.push(outcome(send(session.sql)));
    await untilWaiting(ledger, session);
  }
  await letGo();
  const ended = await Promise.all(outcomes);
  await Promise.all(sessions.map(({ sql }) => sql.end()));
  return ended;
}

const asHash = `baseledger._encode_event(
  e.wallet_id, e.seq, e.event, e.reservation_id, e.amount, e.available, e.reserved, e.spent,
  e.expires_at, e.occurred_at, e.idempotency_key, e.actor, e.metadata, e.details
)`;

/** Does in one transaction what no trigger may see. */
export async function withoutTriggers<T>(
  admin: postgres.Sql,
  change: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  const result = await admin.begin(async (tx) => {
    const triggers = await tx<{ name: string; state: string }[]>`
      select tgname as name, case tgenabled when 'A' then 'always ' else '' end as state
        from pg_trigger where tgrelid = 'baseledger.events'::regclass and not tgisinternal`;
    await tx.unsafe("alter table baseledger.events disable trigger user");
    const given = await change(tx);
    // as they were before, or a test that uses this would hide what it is to find
    for (const { name, state } of triggers) {
      await tx.unsafe(`alter table baseledger.events enable ${state}trigger ${name}`);
    }
    return given;
  });
  return result as T;
}

/** Writes the chain of a wallet anew, and its head into the wallet's row. */
export async function rehash(tx: postgres.TransactionSql, walletId: string): Promise<void> {
  await tx.unsafe(
    `with recursive chain(seq, hash) as (
      select 0::bigint, decode(repeat('00', 32), 'hex')
      union all
      select e.seq, sha256(c.hash || ${asHash})
        from chain c
        join baseledger.events e on e.wallet_id = $1::text and e.seq = c.seq + 1
    )
    update baseledger.events e set hash = c.hash
      from chain c
      where e.wallet_id = $1::text and e.seq = c.seq`,
    [walletId],
  );
  await tx`
    update baseledger.wallets w
      set hash = e.hash,
        last_event_at = e.occurred_at,
        next_deadline = (
          select min(r.expires_at) from baseledger.reservations r where r.wallet_id = w.wallet_id
        )
      from baseledger.events e
      where w.wallet_id = ${walletId} and e.wallet_id = w.wallet_id and e.seq = w.seq`;
}

/** Moves wallets into the past, as if all that they saw had happened so much earlier. */
export async function travelBack(
  ledger: TestLedger,
  walletIds: string | readonly string[],
  interval: string,
): Promise<void> {
  await withoutTriggers(ledger.admin, async (tx) => {
    for (const walletId of [walletIds].flat()) {
      await tx`
        update baseledger.events
          set occurred_at = occurred_at - ${interval}::text::interval,
            expires_at = expires_at - ${interval}::text::interval
          where wallet_id = ${walletId}`;
      await tx`
        update baseledger.reservations
          set expires_at = expires_at - ${interval}::text::interval
          where wallet_id = ${walletId}`;
      await rehash(tx, walletId);
    }
  });
}

/**
 * From now on a wallet's last event may lie so far ahead of the clock and stand for it: what follows
 * happens exactly a microsecond after the one before, and deadlines count by that.
 */
export async function giveSlack(ledger: TestLedger, interval: string): Promise<void> {
  await ledger.admin.unsafe(`
    create or replace function baseledger._clock_slack()
      returns interval language sql stable as 'select interval ''${interval}'''`);
}

/** Everything that does not hold by the database's own proof. */
export async function verify(sql: postgres.Sql): Promise<{ wallet_id: string; check: string }[]> {
  return sql`select * from baseledger.verify()`;
}
