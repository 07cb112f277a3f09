import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attempt, DENIED } from "../support/attempt.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  call,
  command,
  createLedger,
  digest,
  expectRefusal,
  loginOf,
  openWallet,
  post,
  postMany,
  type TestLedger,
} from "../support/ledger.ts";

// Attacks by somebody with an agent's credentials, or with any login of the server: on a frozen wallet,
// on the schema and the server, on data of others. The rights on functions and tables are tested in
// privileges.test.ts, ways to more funds in agent-funds.test.ts, shadowed names in
// hostile-session.test.ts.

let ledger: TestLedger;
let before: string;

beforeAll(async () => {
  ledger = await createLedger();
  for (const id of ["w", "frozen"]) {
    await openWallet(ledger, id, 1000n);
    const reserve = { wallet_id: id, amount: 100n, idempotency_key: "open", ttl: "1 day" };
    await command(ledger.agent, "reserve", reserve);
  }
  await command(ledger.operator, "freeze_wallet", { wallet_id: "frozen", reason: "stop" });
  // Statistics hold values of the tables.
  await ledger.admin.unsafe("analyze");
  // The worst case: all roles may create objects.
  await ledger.admin.unsafe("grant create on schema public to public");
  before = await digest(ledger);
});
afterAll(async () => {
  expect(await digest(ledger)).toBe(before);
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

const INTRUDERS = ["agent", "outsider", "auditor", "worker"] as const;

/** A function that the planner runs first, as it is cheap, and that raises its argument. */
const leak = `create function pg_temp.leak(text) returns boolean language plpgsql cost 0.0000001
  as $$ begin raise exception using errcode = 'LEAKS', message = $1; end $$`;

describe("an agent cannot free a frozen wallet", () => {
  const statements = [
    "select baseledger.unfreeze_wallet('frozen', 'please')",
    "update baseledger.wallets set frozen = false",
    "update baseledger.wallet_balances set frozen = false",
    `select baseledger.post_funds('frozen', '[{"op": "unfreeze"}]')`,
    "select baseledger.transfer('frozen', 'w', 10, 'k')",
    "select baseledger.withdraw('frozen', 10, 'k')",
    "delete from baseledger.events where event = 'frozen'",
    "insert into baseledger.events select * from baseledger.events where event = 'frozen'",
    "select baseledger._execute('frozen', array[null::baseledger._command])",
  ];
  test.each(statements)("%s", async (statement) => {
    // 55000: the view cannot be written to
    expect([DENIED, "55000"]).toContain(await attempt(ledger, "agent", statement));
  });

  test("an agent cannot spend from a frozen wallet or hold more", async () => {
    const wallet = { wallet_id: "frozen", idempotency_key: "k" };
    for (const [name, args] of [
      ["reserve", { amount: 1n }],
      ["reserve", { amount: 1000n, at_least: 1n }],
      ["charge", { amount: 1n }],
      ["extend", { reservation_id: "open", ttl: "1 hour", amount: 101n }],
    ] as const) {
      await expectRefusal("LGFRZ", command(ledger.agent, name, { ...wallet, ...args }));
    }
    const ops = ["unfreeze", "unfreeze_wallet", "unfrozen", "freeze", "open", "credit"];
    const receipts = await post(
      ledger.agent,
      "frozen",
      ops.map((op) => ({ op, idempotency_key: op, amount: 1, reason: "please" })),
    );
    expect(new Set(receipts.map(({ refused }) => refused))).toEqual(new Set(["LGUNK"]));
    const many = await postMany(ledger.agent, [
      ...ops.map((op) => ({ wallet_id: "frozen", op, idempotency_key: op, amount: 1 })),
      { ...wallet, op: "reserve", amount: 1 },
      { ...wallet, op: "charge", amount: 1 },
      { ...wallet, op: "extend", reservation_id: "open", ttl: 60, amount: 101 },
    ]);
    expect(many.map(({ refused }) => refused)).toEqual([
      ...ops.map(() => "LGUNK"),
      ...["LGFRZ", "LGFRZ", "LGFRZ"],
    ]);
  });

  test("an agent cannot spend from a frozen wallet what a batch has returned first", async () => {
    const session = await ledger.session("agent");
    await session.sql.unsafe("begin");
    const receipts = await post(session.sql, "frozen", [
      { op: "cancel", idempotency_key: "1", reservation_id: "open" },
      { op: "reserve", idempotency_key: "2", amount: 1 },
      { op: "charge", idempotency_key: "3", amount: 1 },
    ]);
    expect(receipts.map((r) => r.refused ?? r.event)).toEqual(["cancelled", "LGFRZ", "LGFRZ"]);
    await session.sql.unsafe("rollback");
    await session.sql.unsafe("begin");
    const many = await postMany(session.sql, [
      { wallet_id: "w", op: "charge", idempotency_key: "1", amount: 1 },
      { wallet_id: "frozen", op: "cancel", idempotency_key: "1", reservation_id: "open" },
      { wallet_id: "w", op: "cancel", idempotency_key: "2", reservation_id: "open" },
      { wallet_id: "frozen", op: "charge", idempotency_key: "3", amount: 1 },
    ]);
    expect(many.map((r) => r.refused ?? r.event)).toEqual([
      ...["charged", "cancelled", "cancelled", "LGFRZ"],
    ]);
    await session.sql.unsafe("rollback");
    await session.sql.end();
  });
});

/** What no role of the ledger may do. */
const attacks: [string, ...string[]][] = [
  // indirect and deferred statements
  ["a block", "do $$ begin update baseledger.wallets set available = 9; end $$"],
  ["a block that tries", `do $$ begin execute 'truncate baseledger.events'; end $$`],
  [
    "a function with the caller's rights",
    `create function public.f() returns void language sql security definer
      begin atomic delete from baseledger.events; end`,
    "select public.f()",
  ],
  ["a prepared statement", "prepare p as update baseledger.wallets set seq = 1", "execute p"],
  ["a cursor", "declare c cursor for select * from baseledger.events for update"],
  ["explain analyze", "explain analyze update baseledger.wallets set available = 1"],
  [
    "a default",
    "create table public.t (x bigint default baseledger._parse_bigint('1'))",
    insert("t"),
  ],
  [
    "a check",
    "create table public.t (x jsonb check (baseledger._parse_bigint(x) > 0))",
    insert("t"),
  ],
  // reading the tables
  ["copy from a table", "copy baseledger.wallets to stdout"],
  ["copy from a query", "copy (select * from baseledger.reservations) to stdout"],
  ["copy into a table", "copy baseledger.reservations from stdin"],
  ["a table made of another", "create table public.t as select * from baseledger.wallets"],
  ["a materialized view", "create materialized view public.m as table baseledger.reservations"],
  ["a row as one value", "select w from baseledger.wallets w"],
  ["whether there are rows", "select exists (select from baseledger.reservations)"],
  ["how many", "select count(*) from baseledger.wallets"],
  [
    "a function in the condition",
    leak,
    "select 1 from baseledger.wallets where pg_temp.leak(unit)",
  ],
  ["an error that contains a value", "select (wallet_id || 'x')::integer from baseledger.wallets"],
  ["the places of its rows", "select ctid, xmin from baseledger.wallets"],
  ["a sample", "select * from baseledger.wallets tablesample system (100)"],
  // changing the schema
  ["a comment", "comment on function baseledger.credit is 'free'"],
  ["the owner of the schema", `alter schema baseledger owner to ${loginOf("agent")}`],
  ["a table in the schema", "create table baseledger.t (x integer)"],
  ["a function in the schema", "create function baseledger.f() returns integer return 1"],
  ["a view in the schema", "create view baseledger.v as select 1 as x"],
  ["a sequence in the schema", "create sequence baseledger.s"],
  [
    "an operator in the schema",
    `create operator baseledger.+ (leftarg = text, rightarg = text,
    function = pg_catalog.textcat)`,
  ],
  ["a domain in the schema", "create domain baseledger.d as bigint"],
  ["a collation in the schema", `create collation baseledger.c from "C"`],
  ["a text search configuration", "create text search configuration baseledger.t (copy = simple)"],
  ["a column", "alter table baseledger.wallets add column gift bigint default 1000"],
  ["a column's type", "alter table baseledger.wallets alter available type numeric"],
  ["a table's settings", "alter table baseledger.events set (autovacuum_enabled = off)"],
  ["row security", "alter table baseledger.wallets enable row level security"],
  ["reindexing", "reindex table baseledger.events"],
  ["clustering", "cluster baseledger.events using events_pkey"],
  ["a type", "alter type baseledger.receipt add attribute gift bigint"],
  ["the owner of a type", `alter type baseledger._command owner to ${loginOf("agent")}`],
  [
    "default privileges of the schema",
    `alter default privileges for role baseledger_owner
    in schema baseledger grant execute on functions to public`,
  ],
  ["a view replaced", "create or replace view baseledger.journal as select 1 as x"],
  ["a view dropped", "drop view baseledger.postings"],
  // the server
  ["the log", "select pg_read_file('postgresql.conf')"],
  ["a binary file", "select pg_read_binary_file('global/pg_control')"],
  ["a file's state", "select pg_stat_file('PG_VERSION')"],
  ["the hash of a password", "select rolpassword from pg_authid"],
  ["a setting of everybody", "alter role all set session_replication_role = replica"],
  ["a setting of its own", `alter role ${loginOf("agent")} set session_replication_role = replica`],
  ["a setting of another", `alter role ${loginOf("operator")} set search_path = public`],
  ["the password of another", `alter role ${loginOf("operator")} password 'mine'`],
  ["a role's membership", `grant baseledger_owner to ${loginOf("agent")}`],
  ["what is owned", "drop owned by baseledger_owner"],
  ["a replication slot", "select pg_create_physical_replication_slot('s')"],
  ["a backup", "select pg_backup_start('x')"],
  ["a checkpoint", "checkpoint"],
  ["reloading", "select pg_reload_conf()"],
  ["a tablespace", "create tablespace t location '/tmp'"],
  ["a database", "create database mine template template0"],
  ["a large object from a file", "select lo_import('/etc/hostname')"],
  ["a large object to a file", "select lo_export(1, '/tmp/x')"],
  [
    "an event trigger",
    `create event trigger e on sql_drop
    execute function baseledger.tg_events__append_only()`,
  ],
];

/** The codes of statements where PostgreSQL checks something else before the rights. */
const OTHER_CODES: Record<string, readonly string[]> = {
  "a database": [DENIED, "25001"],
  "a tablespace": [DENIED, "25001"],
  "a backup": [DENIED],
};

function insert(table: string): string {
  return `insert into public.${table} select`;
}

describe.each(INTRUDERS)("%s is denied:", (role) => {
  test.each(attacks)("%s", async (name, ...statements) => {
    expect(OTHER_CODES[name] ?? [DENIED]).toContain(await attempt(ledger, role, ...statements));
  });

  test("a prepared transaction", async () => {
    const code = await attempt(ledger, role, "select 1", "prepare transaction 'mine'");
    // 55000: they are switched off by default
    expect(["55000", "done"]).toContain(code);
    expect(await attempt(ledger, role, "commit; rollback prepared 'theirs'")).not.toBe("done");
  });
});

const VIEWS = [
  "journal",
  "open_reservations",
  "postings",
  "reservation_history",
  "wallet_balances",
];

describe.each(["agent", "outsider", "worker"] as const)("%s cannot read data", (role) => {
  test.each(VIEWS)("through a function in a condition on %s", async (view) => {
    const query = `select 1 from baseledger.${view} where pg_temp.leak(wallet_id)`;
    expect(await attempt(ledger, role, leak, query)).toBe(DENIED);
  });

  test("through statistics", async () => {
    const sql = ledger[role];
    const rows = await sql`
      select tablename, attname from pg_stats where schemaname = 'baseledger'`;
    expect(rows).toEqual([]);
    // The superuser sees that there are some.
    const all = await ledger.admin`
      select 1 from pg_stats where schemaname = 'baseledger' and most_common_vals is not null`;
    expect(all.length).toBeGreaterThan(0);
    expect(await attempt(ledger, role, "select * from pg_statistic")).toBe(DENIED);
  });

  test("through what others are running", async () => {
    await using other = await ledger.session("operator");
    await other.sql`select baseledger.balance('frozen')`;
    const rows = await ledger[role]<{ query: string }[]>`
      select query from pg_stat_activity where pid = ${other.pid}`;
    expect(rows.map(({ query }) => query)).toEqual(["<insufficient privilege>"]);
  });
});

test("a condition on a function or view runs with the caller's rights", async () => {
  const query = "select 1 from baseledger.balance('w') b where pg_temp.leak(b.wallet_id)";
  expect(await attempt(ledger, "agent", leak, query)).toBe("LEAKS");
  const owner = `create function pg_temp.who(text) returns boolean language plpgsql as $$
    begin
      if current_user = 'baseledger_owner' then
        raise exception using errcode = 'OWNER', message = 'runs as the owner';
      end if;
      return true;
    end $$`;
  const who = "select 1 from baseledger.balance('w') b where pg_temp.who(b.wallet_id)";
  expect(await attempt(ledger, "agent", owner, who)).toBe("done");
  const views = VIEWS.map((v) => `select 1 from baseledger.${v} where pg_temp.who(wallet_id)`);
  expect(await attempt(ledger, "auditor", owner, ...views)).toBe("done");
});

describe("an auditor", () => {
  const writers = [
    "select baseledger.open_wallet('mine')",
    "select baseledger.credit('w', 1, 'k')",
    "select baseledger.reserve('w', 1, 'k')",
    "select baseledger.settle('w', 'open', 1, 'k')",
    "select baseledger.cancel('w', 'open', 'k')",
    "select baseledger.extend('w', 'open', '1 hour', 'k')",
    "select baseledger.charge('w', 1, 'k')",
    "select baseledger.post('w', '[]')",
    "select baseledger.post_many('[]')",
    "select baseledger.freeze_wallet('w', 'no')",
    "select baseledger.expire_due()",
    "delete from baseledger.journal",
    "update baseledger.wallet_balances set available = 0",
    "insert into baseledger.open_reservations (wallet_id) values ('w')",
    "select * from baseledger.journal for update",
    "lock table baseledger.journal in share mode",
  ];
  test.each(writers)("is denied: %s", async (statement) => {
    expect([DENIED, "55000", "0A000", "42809"]).toContain(
      await attempt(ledger, "auditor", statement),
    );
  });

  test("reads every event, wallet and reservation", async () => {
    const [count] = await ledger.admin<Record<string, bigint>[]>`
      select (select count(*) from baseledger.events) as journal,
        (select count(*) from baseledger.wallets) as wallet_balances,
        (select count(*) from baseledger.reservations) as open_reservations`;
    for (const [view, n] of Object.entries(count ?? {})) {
      const rows = await ledger.auditor.unsafe(`select * from baseledger.${view}`);
      expect([view, BigInt(rows.length)]).toEqual([view, n]);
    }
    for (const walletId of ["w", "frozen"]) {
      const lines = await call<{ seq: bigint }>(ledger.auditor, "statement", {
        wallet_id: walletId,
      });
      expect(lines.length).toBeGreaterThan(2);
      const past = { wallet_id: walletId, at: "now" };
      expect(await call(ledger.auditor, "balance_at", past)).toHaveLength(1);
      expect(await call(ledger.auditor, "verify", { wallet_id: walletId })).toEqual([]);
    }
  });
});
