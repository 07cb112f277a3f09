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

/** A connection of its own, whose process a test knows. */
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
  /** Opens a pool of connections. */
  connect(role: Role, max: number, settings?: Record<string, string>): postgres.Sql;
  /** Opens one connection. */
  session(role: Role, settings?: Record<string, string>): Promise<Session>;
}

/** A receipt as a row of SQL; times as text, to the microsecond. */
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

/** The login that tests connect with as a role. */
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
        // A Date would lose the microseconds.
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

/** Roles belong to the server: another file of tests may create them at the same time. */
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

/** The types of parameters other than text. */
const TYPES: Record<string, string> = {
  amount: "bigint",
  at_least: "bigint",
  overdraft_limit: "bigint",
  scale: "integer",
  limit: "integer",
  final: "boolean",
  ttl: "interval",
  metadata: "jsonb",
  rates: "jsonb",
  usage: "jsonb",
  prices: "jsonb",
  above: "bigint",
  valid_from: "timestamptz",
  commands: "jsonb",
  at: "timestamptz",
  labels: "jsonb",
  free_labels: "text[]",
  values: "text[]",
  amounts: "bigint[]",
  expires_at: "timestamptz",
  already_spent: "boolean",
  restricted: "boolean",
  by: "text[]",
};

/** Arguments of a function, without `p_`. */
export type Arguments = Record<string, Json | undefined>;

/** Calls a function of the ledger, and returns its rows. */
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

/** Sends one command, and returns its receipt. */
export async function command(sql: postgres.Sql, name: string, args: Arguments): Promise<Receipt> {
  const [receipt] = await call<Receipt>(sql, name, args);
  if (!receipt) throw new Error(`${name} gave no receipt`);
  return receipt;
}

/** Sends a batch, and returns its receipts. */
export function post(
  sql: postgres.Sql,
  walletId: string,
  commands: readonly Arguments[],
): Promise<Receipt[]> {
  return call<Receipt>(sql, "post", { wallet_id: walletId, commands: commands as Json });
}

/** Sends a batch for several wallets, and returns its receipts. */
export function postMany(sql: postgres.Sql, commands: readonly Arguments[]): Promise<Receipt[]> {
  return call<Receipt>(sql, "post_many", { commands: commands as Json });
}

/** Opens a wallet, and credits funds. */
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

/** The events of a wallet, in order. */
export async function history(ledger: TestLedger, walletId: string): Promise<string[]> {
  const rows = await ledger.auditor<{ event: string }[]>`
    select event from baseledger.journal where wallet_id = ${walletId} order by seq`;
  return rows.map(({ event }) => event);
}

/** The parts of an error of PostgreSQL that tests read. */
export interface SqlError {
  readonly code: string;
  readonly detail: unknown;
  readonly message: string;
}

/** The error of a promise that must reject. */
export async function failure(promise: PromiseLike<unknown>): Promise<SqlError> {
  try {
    await promise;
  } catch (error) {
    return error as SqlError;
  }
  throw new Error("it was not refused");
}

/** Expects a refusal with a code, a message and a hint, and returns its detail. */
export async function expectRefusal(
  code: string,
  promise: PromiseLike<unknown>,
): Promise<Record<string, Json>> {
  const error = (await failure(promise)) as postgres.PostgresError;
  expect(error, `${error.code} ${error.message}`).toMatchObject({ code });
  expect(error.message).toBeTruthy();
  expect(error.hint).toBeTruthy();
  return parseJson(error.detail ?? "") as Record<string, Json>;
}

/** The outcome of a promise: its value, or the code of its error. */
export function outcome<T>(promise: Promise<T>): Promise<T | { readonly code: string }> {
  return promise.catch((error: { code?: string }) => {
    if (error.code === undefined) throw error;
    return { code: error.code };
  });
}

/** A fingerprint of all rows of the ledger. */
export async function digest(ledger: TestLedger): Promise<string> {
  const tables =
    "wallets events reservations grants keys limits counters raised_alerts price_rows".split(" ");
  const parts = tables.map(
    (table) => `select '${table}' as part, md5(string_agg(t::text, e'\\n' order by t::text)) as sum
      from baseledger.${table} t`,
  );
  const rows = await ledger.admin.unsafe<{ part: string; sum: string }[]>(
    parts.join(" union all "),
  );
  return rows.map(({ part, sum }) => `${part} ${sum}`).join(", ");
}

/** Waits until all these sessions are blocked. */
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

/** Waits until so many connections of a role are blocked. */
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

/** Waits until a time has passed by the database's clock. */
export async function untilPast(ledger: TestLedger, time: string | null): Promise<void> {
  await until(`${time} has passed`, async () => {
    const [row] = await ledger.admin<{ past: boolean }[]>`
      select clock_timestamp() > ${time}::text::timestamptz as past`;
    return row?.past;
  });
}

/** Locks a wallet in an open transaction, until the function that it returns is called. */
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
 * Sends commands to a locked wallet from several sessions, each after the one before it waits for the
 * lock; then unlocks the wallet, and returns the outcomes in this order.
 */
export async function queueUp<T>(
  ledger: TestLedger,
  walletId: string,
  commands: readonly (readonly [Role, (sql: postgres.Sql) => Promise<T>])[],
): Promise<(T | { readonly code: string })[]> {
  const unlock = await holdLock(ledger, walletId);
  const sessions: Session[] = [];
  const outcomes: Promise<T | { readonly code: string }>[] = [];
  for (const [role, send] of commands) {
    const session = await ledger.session(role);
    sessions.push(session);
    outcomes.push(outcome(send(session.sql)));
    await untilWaiting(ledger, session);
  }
  await unlock();
  const ended = await Promise.all(outcomes);
  await Promise.all(sessions.map(({ sql }) => sql.end()));
  return ended;
}

const encodedEvent = `baseledger._encode_event(
  e.wallet_id, e.seq, e.event, e.reservation_id, e.amount, e.available, e.reserved, e.spent,
  e.expires_at, e.occurred_at, e.idempotency_key, e.actor, e.metadata, e.details
)`;

/** Runs changes in one transaction with the triggers of events disabled. */
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
    // Exactly as before, or a test could not notice a trigger in the wrong state.
    for (const { name, state } of triggers) {
      await tx.unsafe(`alter table baseledger.events enable ${state}trigger ${name}`);
    }
    return given;
  });
  return result as T;
}

/** Recomputes the hash chain of a wallet, and the wallet's row from its last event. */
export async function rehash(tx: postgres.TransactionSql, walletId: string): Promise<void> {
  // In a loop, as a planner whose statistics are outdated joins all events with all, which takes
  // minutes for 10,000.
  await tx`select
    set_config('enable_seqscan', 'off', true), set_config('rehash.wallet_id', ${walletId}, true)`;
  await tx.unsafe(
    `do $rehash$
    declare
      e record;
      v_hash bytea := decode(repeat('00', 32), 'hex');
    begin
      for e in
        select * from baseledger.events o
          where o.wallet_id = current_setting('rehash.wallet_id')
          order by o.seq
      loop
        v_hash := sha256(v_hash || ${encodedEvent});
        update baseledger.events o set hash = v_hash
          where o.wallet_id = e.wallet_id and o.seq = e.seq;
      end loop;
    end
    $rehash$`,
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

/** Moves wallets into the past, with all their times. */
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
      await tx`
        update baseledger.grants
          set granted_at = granted_at - ${interval}::text::interval
          where wallet_id = ${walletId}`;
      await tx`
        update baseledger.keys
          set created_at = created_at - ${interval}::text::interval,
            revoked_at = revoked_at - ${interval}::text::interval
          where wallet_id = ${walletId}`;
      await rehash(tx, walletId);
      await moveLimits(tx, walletId, interval);
    }
  });
}

/** Moves the limits of a wallet after its events; counters are counted anew. */
async function moveLimits(tx: postgres.TransactionSql, walletId: string, interval: string) {
  await tx`
    update baseledger.limits l
      set set_at = l.set_at - ${interval}::text::interval, starts_at = lower(m.period),
        ends_at = upper(m.period), counted_until = upper(m.period)
      from (
        select o.limit_id, baseledger._window(o.per, o.time_zone, w.last_event_at) as period
          from baseledger.limits o
          join baseledger.wallets w using (wallet_id)
          where o.wallet_id = ${walletId}
      ) as m
      where l.wallet_id = ${walletId} and l.limit_id = m.limit_id`;
  await tx`
    update baseledger.counters c
      set starts_at = l.starts_at, ends_at = l.ends_at,
        spent = baseledger._count_spent(
          c.wallet_id, c.limit_id, c.label_values, l.starts_at, l.ends_at
        )
      from baseledger.limits l
      where c.wallet_id = ${walletId} and l.wallet_id = c.wallet_id and l.limit_id = c.limit_id`;
}

/**
 * Lets a wallet's last event lie so far ahead of the clock and still count as the clock: events after
 * it happen exactly a microsecond after the one before, and deadlines count by them.
 */
export async function giveSlack(ledger: TestLedger, interval: string): Promise<void> {
  await ledger.admin.unsafe(`
    create or replace function baseledger._clock_slack()
      returns interval language sql stable as 'select interval ''${interval}'''`);
}

/** What `verify` finds in the whole ledger. */
export async function verify(sql: postgres.Sql): Promise<{ wallet_id: string; check: string }[]> {
  return sql`select * from baseledger.verify()`;
}
