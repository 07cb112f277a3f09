import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attempt, DENIED } from "./support/attempt.ts";
import { checkInvariants } from "./support/invariants.ts";
import {
  type Arguments,
  balance,
  call,
  command,
  createLedger,
  digest,
  expectRefusal,
  failure,
  loginOf,
  openWallet,
  outcome,
  post,
  type TestLedger,
  verify,
} from "./support/ledger.ts";

const ROLES = ["agent", "operator", "auditor", "worker", "outsider"] as const;
// Of a view PostgreSQL may say that it is no table, or not to be written to, whoever asks.
const NEVER = [DENIED, "42809", "55000"];

let ledger: TestLedger;
let before: string;

beforeAll(async () => {
  ledger = await createLedger();
  await openWallet(ledger, "w", 1000n);
  await openWallet(ledger, "other", 1000n);
  await post(ledger.agent, "w", [
    { op: "reserve", idempotency_key: "open", amount: 100, ttl: 86400 },
    { op: "charge", idempotency_key: "charge", amount: 50 },
    { op: "reserve", idempotency_key: "done", amount: 20 },
    { op: "settle", idempotency_key: "settle done", reservation_id: "done", amount: 20 },
    { op: "reserve", idempotency_key: "gone", amount: 20 },
    { op: "cancel", idempotency_key: "cancel gone", reservation_id: "gone" },
  ]);
  await post(ledger.agent, "other", [{ op: "reserve", idempotency_key: "theirs", amount: 500 }]);
  // The agents of this host may make objects of their own.
  await ledger.admin.unsafe(`
    grant create on schema public to public;
    create table public.owned (id text);
    alter table public.owned owner to ${loginOf("agent")}`);
  before = await digest(ledger);
});
afterAll(async () => {
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

interface Thing {
  readonly name: string;
  readonly oid: string;
  /** For functions: a call in which everything is null. */
  readonly call: string;
}

async function functions(): Promise<Thing[]> {
  return ledger.admin<Thing[]>`
    select p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name,
        p.oid::text as oid,
        'select baseledger.' || p.proname || '(' || coalesce((
          select string_agg('null::' || format_type(t, null), ', ' order by n)
            from unnest(p.proargtypes::oid[]) with ordinality as a(t, n)
        ), '') || ')' as call
      from pg_proc p
      where p.pronamespace = 'baseledger'::regnamespace
      order by p.proname collate "C"`;
}

async function relations(): Promise<Thing[]> {
  return ledger.admin<Thing[]>`
    select case c.relkind when 'v' then 'view ' else 'table ' end || c.relname as name,
        c.oid::text as oid, 'baseledger.' || c.relname as call
      from pg_class c
      where c.relnamespace = 'baseledger'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
      order by c.relkind, c.relname collate "C"`;
}

async function holds(role: string, kind: string, oid: string, privilege: string): Promise<boolean> {
  const [row] = await ledger.admin.unsafe<{ holds: boolean }[]>(
    `select has_${kind}_privilege('${role}', ${oid}::oid, '${privilege}') as holds`,
  );
  return row?.holds ?? false;
}

const TABLE_PRIVILEGES = [
  "SELECT",
  "INSERT",
  "UPDATE",
  "DELETE",
  "TRUNCATE",
  "REFERENCES",
  "TRIGGER",
];
const LETTERS = ["S", "I", "U", "D", "T", "R", "t"];

test("the matrix of who may do what", async () => {
  const names = [...ROLES.map((role) => loginOf(role)), "public"];
  const lines: string[] = [];
  const line = (name: string, cells: readonly string[]) =>
    lines.push(`${name.padEnd(48)}${cells.map((cell) => cell.padEnd(10)).join("")}`.trimEnd());

  line("", [...ROLES, "public"]);
  lines.push("", "Functions: x = may call it");
  for (const { name, oid } of await functions()) {
    const may = await Promise.all(names.map((role) => holds(role, "function", oid, "EXECUTE")));
    line(
      name.replace(/\(.*/, ""),
      may.map((yes) => (yes ? "x" : "-")),
    );
  }
  lines.push("", "Tables and views: S select, I insert, U update, D delete, T truncate,");
  lines.push("R references, t trigger");
  for (const { name, oid } of await relations()) {
    const cells = names.map(async (role) => {
      const may = TABLE_PRIVILEGES.map((privilege) => holds(role, "table", oid, privilege));
      return (await Promise.all(may)).map((yes, i) => (yes ? LETTERS[i] : "")).join("") || "-";
    });
    line(name, await Promise.all(cells));
  }
  lines.push("", "Schema baseledger: U usage, C create");
  const [schema] = await ledger.admin<{ oid: string }[]>`
    select 'baseledger'::regnamespace::oid::text as oid`;
  const cells = names.map(async (role) => {
    const may = ["USAGE", "CREATE"].map((each) => holds(role, "schema", schema?.oid ?? "", each));
    return (await Promise.all(may)).map((yes, i) => (yes ? "UC"[i] : "")).join("") || "-";
  });
  line("baseledger", await Promise.all(cells));
  await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("privileges.matrix.txt");
});

test.each(ROLES)("the matrix is true: %s tries everything", async (role) => {
  const usage = role !== "outsider";
  const tries: [string, string, boolean][] = [];
  for (const { call: query, oid } of await functions()) {
    tries.push([query, query, await holds(loginOf(role), "function", oid, "EXECUTE")]);
  }
  for (const { call: name, oid } of await relations()) {
    const column = name === "baseledger.migrations" ? "id" : "wallet_id";
    const statements = {
      SELECT: `select * from ${name}`,
      INSERT: `insert into ${name} (${column}) select ${column} from ${name} where false`,
      UPDATE: `update ${name} set ${column} = null`,
      DELETE: `delete from ${name}`,
      TRUNCATE: `truncate ${name}`,
      REFERENCES: `create table public.referring (x text references ${name})`,
      TRIGGER: `create trigger t before insert on ${name}
        for each row execute function suppress_redundant_updates_trigger()`,
    };
    for (const [privilege, statement] of Object.entries(statements)) {
      tries.push([
        `${privilege} ${name}`,
        statement,
        await holds(loginOf(role), "table", oid, privilege),
      ]);
    }
    tries.push([`lock ${name}`, `lock table ${name} in access exclusive mode`, false]);
    tries.push([`lock rows of ${name}`, `select from ${name} for update`, false]);
  }
  const { sql } = await ledger.session(role);
  for (const [what, statement, allowed] of tries) {
    await sql.unsafe("begin");
    const result = await outcome(sql.unsafe(statement).then(() => ({ code: "done" })));
    await sql.unsafe("rollback");
    const done = !NEVER.includes(result.code);
    expect([what, done], statement).toEqual([what, usage && allowed]);
  }
  await sql.end();
  expect(await digest(ledger)).toBe(before);
});

describe("the roles", () => {
  test("cannot log in, are no members of anything, and have no rights of the server", async () => {
    const roles = await ledger.admin`
      select r.rolname from pg_roles r
        where r.rolname in ('baseledger_owner', 'baseledger_agent', 'baseledger_operator',
            'baseledger_auditor', 'baseledger_worker')
          and (r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolcreatedb
            or r.rolreplication or r.rolbypassrls
            or exists (select from pg_auth_members m where m.member = r.oid))`;
    expect(roles).toEqual([]);
  });

  test("own nothing, but that the owner owns all of it", async () => {
    const strays = await ledger.admin`
      select 'function ' || proname as name from pg_proc
        where pronamespace = 'baseledger'::regnamespace
          and proowner <> 'baseledger_owner'::regrole
      union all
      select 'relation ' || relname from pg_class
        where relnamespace = 'baseledger'::regnamespace
          and relowner <> 'baseledger_owner'::regrole
      union all
      select 'type ' || typname from pg_type
        where typnamespace = 'baseledger'::regnamespace
          and typowner <> 'baseledger_owner'::regrole
      union all
      select 'schema' from pg_namespace
        where nspname = 'baseledger' and nspowner <> 'baseledger_owner'::regrole`;
    expect(strays).toEqual([]);
  });

  test("who may grant them on: nobody", async () => {
    const grantable = await ledger.admin`
      select p.proname as name from pg_proc p, aclexplode(p.proacl) a
        where p.pronamespace = 'baseledger'::regnamespace
          and a.is_grantable and a.grantee <> p.proowner
      union all
      select c.relname from pg_class c, aclexplode(c.relacl) a
        where c.relnamespace = 'baseledger'::regnamespace
          and a.is_grantable and a.grantee <> c.relowner`;
    expect(grantable).toEqual([]);
  });
});

describe("every function", () => {
  test("with the owner's rights has a fixed search path, its own", async () => {
    const loose = await ledger.admin`
      select p.proname, p.proconfig from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and p.prosecdef
          and not coalesce('search_path=pg_catalog, pg_temp' = any(p.proconfig), false)`;
    expect(loose).toEqual([]);
  });

  test("for callers runs with the owner's rights, the others with none of their own", async () => {
    const odd = await ledger.admin`
      select p.proname from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and p.prosecdef <> (p.proname not like E'\\\\_%')`;
    expect(odd).toEqual([]);
  });

  test("is closed to the public, and the helpers to everybody", async () => {
    const open = await ledger.admin`
      select p.proname from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and (
            p.proacl is null
            or exists (select from aclexplode(p.proacl) a where a.grantee = 0)
            or p.proname like E'\\\\_%'
              and exists (select from aclexplode(p.proacl) a where a.grantee <> p.proowner)
          )`;
    expect(open).toEqual([]);
  });

  test("that is made later is closed to the public, too", async () => {
    await ledger.admin.begin(async (tx) => {
      await tx`set local role baseledger_owner`;
      await tx`create function baseledger.later() returns integer language sql return 1`;
      const [row] = await tx<{ may: boolean }[]>`
        select has_function_privilege('public', 'baseledger.later()', 'execute') as may`;
      expect(row?.may).toBe(false);
      await tx`drop function baseledger.later()`;
    });
  });
});

describe("an agent cannot add funds to its budget", () => {
  const credit = `row('credit', 'k', null, 1000, null, null, true, '{}', null, null, null, null, 1, 1)
    ::baseledger._command`;
  const greedy: [string, ...string[]][] = [
    // by the functions of others
    ["credit", "select baseledger.credit('w', 1000, 'k')"],
    ["refund", "select baseledger.refund('w', 'charge', 50, 'k')"],
    ["withdraw", "select baseledger.withdraw('other', 10, 'k')"],
    ["transfer", "select baseledger.transfer('other', 'w', 10, 'k')"],
    ["transfer, backwards", "select baseledger.transfer('w', 'other', -10, 'k')"],
    ["open_wallet", "select baseledger.open_wallet('mine', p_overdraft_limit => null)"],
    ["unfreeze_wallet", "select baseledger.unfreeze_wallet('w', 'please')"],
    ["freeze_wallet", "select baseledger.freeze_wallet('other', 'competition')"],
    ["post_funds", `select baseledger.post_funds('w', '[{"op":"credit","amount":9}]')`],
    ["expire_due", "select baseledger.expire_due()"],
    // by the helpers
    ["_fold", `select baseledger._fold('w', array[${credit}])`],
    ["_batch", `select baseledger._batch('w', array[${credit}])`],
    ["_single", `select baseledger._single('w', ${credit})`],
    ["_sweep", "select baseledger._sweep(array['w'], 10)"],
    [
      "a helper as an aggregate",
      `create aggregate public.folding(jsonb) (
      sfunc = baseledger._difference, stype = jsonb)`,
    ],
    [
      "a helper as an operator",
      `create operator public.@@@ (
      leftarg = jsonb, rightarg = jsonb, function = baseledger._difference)`,
    ],
    [
      "a helper as a trigger",
      `create trigger t before insert on public.owned
      for each row execute function baseledger.tg_events__append_only()`,
    ],
    // by the tables
    ["update", "update baseledger.wallets set available = 1000000"],
    ["insert", "insert into baseledger.reservations values ('w', 'x', 1, 0, 1, 'infinity')"],
    ["delete", "delete from baseledger.reservations"],
    [
      "merge",
      `merge into baseledger.wallets w using (select 1) s on true
      when matched then update set available = 1000000`,
    ],
    ["copy", "copy baseledger.wallets from program 'echo'"],
    ["through a view", "update baseledger.journal set amount = 1000000"],
    [
      "through a view of their own",
      `create view public.mine as select * from baseledger.wallets`,
      "update public.mine set available = 1000000",
    ],
    [
      "by a rule of a view of their own",
      `create view public.mine as select 1 as x`,
      `create rule r as on update to public.mine do instead
        update baseledger.wallets set available = 1000000`,
      "update public.mine set x = 2",
    ],
    ["by a child of the table", "create table public.child () inherits (baseledger.wallets)"],
    ["by a partition", `alter table baseledger.wallets attach partition public.owned default`],
    ["by a foreign key", `create table public.child (w text references baseledger.wallets)`],
    ["by a copy of the table", "create table public.child (like baseledger.wallets)"],
    // by changing what there is
    [
      "replace a function",
      `create or replace function baseledger.balance(p_wallet_id text)
      returns baseledger.wallet_balance language sql as 'select null'`,
    ],
    [
      "overload a function",
      `create function baseledger._fold(text) returns text
      language sql as 'select null'`,
    ],
    ["alter a function", "alter function baseledger.reserve set search_path = public"],
    ["own a function", `alter function baseledger._fold owner to ${loginOf("agent")}`],
    [
      "drop a constraint",
      `alter table baseledger.wallets
      drop constraint wallets_pkey`,
    ],
    [
      "a trigger",
      `create trigger t before update on baseledger.wallets for each row
      execute function suppress_redundant_updates_trigger()`,
    ],
    ["drop a trigger", "drop trigger events_append_only on baseledger.events"],
    ["disable the triggers", "alter table baseledger.events disable trigger all"],
    ["a rule", `create rule r as on insert to baseledger.events do instead nothing`],
    ["a policy", "create policy p on baseledger.wallets using (true)"],
    ["an index", "create index on baseledger.wallets ((available / 0))"],
    ["statistics", "create statistics s on seq, amount from baseledger.events"],
    ["a type in the schema", "create type baseledger.mine as (x integer)"],
    ["a cast", `create cast (baseledger.receipt as text) with inout as implicit`],
    ["a cast between built-in types", "create cast (bigint as boolean) with inout as implicit"],
    ["a label of the enum", "alter type baseledger.event_type add value 'gift'"],
    [
      "an operator class",
      `create operator class public.c default for type bigint using btree as
      operator 1 <`,
    ],
    [
      "an event trigger",
      `create event trigger e on ddl_command_start
      execute function baseledger.tg_events__append_only()`,
    ],
    ["drop the schema", "drop schema baseledger cascade"],
    ["rename the schema", "alter schema baseledger rename to theirs"],
    // by becoming somebody else
    ["set role operator", "set role baseledger_operator"],
    ["set role owner", "set role baseledger_owner"],
    ["set session authorization", "set session authorization postgres"],
    ["grant itself a role", `grant baseledger_operator to ${loginOf("agent")}`],
    ["grant itself a function", `grant execute on function baseledger.credit to public`],
    ["grant itself a table", `grant all on baseledger.wallets to public`],
    [
      "default privileges",
      `alter default privileges for role baseledger_owner
      grant all on tables to public`,
    ],
    ["reassign", `reassign owned by baseledger_owner to ${loginOf("agent")}`],
    ["create role", "create role mine superuser"],
    ["alter itself", `alter role ${loginOf("agent")} superuser`],
    [
      "a function of theirs given to the owner",
      `create function public.f() returns bigint
      language sql security definer as 'update baseledger.wallets set available = 9 returning 1'`,
      "alter function public.f() owner to baseledger_owner",
    ],
    // by the server
    ["session_replication_role", "set session_replication_role = replica"],
    ["set_config", "select set_config('session_replication_role', 'replica', true)"],
    ["alter system", "alter system set session_replication_role = replica"],
    ["alter database", `alter database ${"postgres"} set session_replication_role = replica`],
    ["copy to a program", "copy (select 1) to program 'id'"],
    ["copy to a file", "copy (select 1) to '/tmp/baseledger-stolen'"],
    ["pg_read_file", "select pg_read_file('PG_VERSION')"],
    ["pg_ls_dir", "select pg_ls_dir('.')"],
    ["lo_import", "select lo_import('/etc/passwd')"],
    ["lo_export", "select lo_export(lo_create(0), '/tmp/baseledger-stolen')"],
    [
      "a function in C",
      `create function public.f() returns integer
      language c as 'libc', 'getpid'`,
    ],
    [
      "an internal function",
      `create function public.f(internal) returns internal
      language internal as 'int8inc'`,
    ],
    ["load", "load '/tmp/evil.so'"],
    ["an extension", "create extension dblink"],
    ["a language", "create trusted language mine handler plpgsql_call_handler"],
    ["a foreign server", "create foreign data wrapper f"],
    ["a publication", "create publication p for table baseledger.events"],
    [
      "a subscription",
      `create subscription s connection '' publication p
      with (connect = false, slot_name = none)`,
    ],
    [
      "end another session",
      `select pg_terminate_backend(pid) from pg_stat_activity
      where usename = 'postgres'`,
    ],
  ];

  // What PostgreSQL says instead of "permission denied" where it looks at something else first.
  const other: Record<string, string[]> = {
    "a cast between built-in types": ["42501", "42710"],
    "an extension": ["42501", "0A000", "58P01"],
    "by a partition": ["42501", "42809", "42P16"],
    load: ["42501"],
  };

  test.each(greedy)("%s", async (name, ...statements) => {
    expect(other[name] ?? [DENIED]).toContain(await attempt(ledger, "agent", ...statements));
    expect(await digest(ledger)).toBe(before);
  });

  test.each(greedy)("nor can an outsider: %s", async (name, ...statements) => {
    const said = await attempt(ledger, "outsider", ...statements);
    expect(other[name] ?? [DENIED]).toContain(said);
    expect(await digest(ledger)).toBe(before);
  });

  test("nor do large objects, advisory locks or temporary tables move anything", async () => {
    const statements = [
      "select lo_create(0)",
      "select lo_from_bytea(0, 'x')",
      "select pg_advisory_lock(n) from generate_series(1, 100) n",
      "create temp table wallets as select 'w' as wallet_id, 1000000::bigint as available",
      "create temp table events (wallet_id text, seq bigint)",
      "select baseledger.balance('w')",
    ];
    expect(await attempt(ledger, "agent", ...statements)).toBe("done");
    expect(await digest(ledger)).toBe(before);
  });

  const unknown = [
    ...["credit", "withdraw", "refund", "transfer", "transfer_in", "transfer_out", "open"],
    ...["open_wallet", "expire", "freeze", "unfreeze", "credited", "opened", "post", "post_funds"],
    ...["Reserve", "reserve ", "", "null", "_fold"],
  ];
  test.each(unknown)("post with the op %j", async (op) => {
    const commands = [
      { op, amount: 500, idempotency_key: "k" },
      { op, amount: -500, idempotency_key: "k", reservation_id: "charge" },
      { op, reservation_id: "open" },
    ];
    const receipts = await post(ledger.agent, "w", commands);
    expect(receipts.map(({ refused }) => refused)).toEqual(["LGUNK", "LGUNK", "LGUNK"]);
    expect(await digest(ledger)).toBe(before);
  });

  const r = { reservation_id: "open" };
  const negative: [string, Arguments][] = [
    ["reserve", { amount: -1n }],
    ["reserve", { amount: 0n }],
    ["reserve", { amount: -9223372036854775808n }],
    ["reserve", { amount: 10n, at_least: -10n }],
    ["reserve", { amount: -10n, at_least: -20n }],
    ["charge", { amount: -1n }],
    ["charge", { amount: -9223372036854775808n }],
    ["settle", { ...r, amount: -1n }],
    ["settle", { ...r, amount: -1n, final: false }],
    ["settle", { ...r, amount: -9223372036854775808n }],
    ["extend", { ...r, amount: -1n, ttl: "1 hour" }],
    ["extend", { ...r, amount: 0n, ttl: "1 hour" }],
    ["extend", { ...r, amount: -9223372036854775808n, ttl: "1 hour" }],
    ["extend", { ...r, amount: 100n, ttl: "-1 hour" }],
  ];
  test.each(negative)("%s %o", async (name, args) => {
    const given = { ...args, idempotency_key: "k" };
    await expectRefusal("LGARG", command(ledger.agent, name, { wallet_id: "w", ...given }));
    const ttl = args.ttl === undefined ? {} : { ttl: args.ttl };
    const [receipt] = await post(ledger.agent, "w", [{ op: name, ...given, ...ttl }]);
    expect(receipt?.refused).toBe("LGARG");
    expect(await digest(ledger)).toBe(before);
  });

  // Fields of the inside, smuggled into a batch.
  const smuggled: Arguments[] = [
    { op: "cancel", ...r, amount: 100000 },
    { op: "settle", ...r, amount: 1, late: true },
    { op: "settle", ...r, amount: 1, details: { late: true } },
    { op: "reserve", amount: 1, available: 100000 },
    { op: "reserve", amount: 1, due_at: "2000-01-01" },
    { op: "reserve", amount: 1, refused: null },
    { op: "reserve", amount: 1, wallet_id: "other" },
    { op: "charge", amount: 1, actor: "postgres" },
    { op: "charge", amount: 1, p_amount: -100 },
    { op: "charge", amount: 1, at_least: -100 },
  ];
  test.each(smuggled)("post %o", async (given) => {
    const [receipt] = await post(ledger.agent, "w", [{ ...given, idempotency_key: "k" }]);
    expect(receipt?.refused).toBe("LGARG");
    expect(await digest(ledger)).toBe(before);
  });

  // What a reservation has given back once, it does not give back again.
  const again: [string, string, Arguments][] = [
    ["LGEND", "cancel", { reservation_id: "done" }],
    ["LGEND", "cancel", { reservation_id: "gone" }],
    ["LGEND", "cancel", { reservation_id: "charge" }],
    ["LGEND", "settle", { reservation_id: "done", amount: 0n }],
    ["LGEND", "settle", { reservation_id: "gone", amount: 0n }],
    ["LGEND", "settle", { reservation_id: "charge", amount: 0n }],
    ["LGEND", "extend", { reservation_id: "done", ttl: "1 hour", amount: 1n }],
    ["LGEND", "extend", { reservation_id: "gone", ttl: "1 hour", amount: 1n }],
    ["LGRNF", "cancel", { reservation_id: "theirs" }],
    ["LGRNF", "settle", { reservation_id: "theirs", amount: 0n }],
    ["LGIDK", "cancel", { ...r, idempotency_key: "charge" }],
    ["LGIDK", "reserve", { amount: 1n, idempotency_key: "funds" }],
  ];
  test.each(again)("%s for %s %o", async (code, name, args) => {
    const given = { wallet_id: "w", idempotency_key: "k", ...args };
    await expectRefusal(code, command(ledger.agent, name, given));
    expect(await digest(ledger)).toBe(before);
  });

  test("nothing it may do ever makes more of what it has", async () => {
    const { available, reserved, spent } = await balance(ledger.agent, "w");
    const session = await ledger.session("agent");
    await session.sql.unsafe("begin");
    const commands: [string, Arguments][] = [
      ["reserve", { amount: 100n, idempotency_key: "1", at_least: 1n }],
      ["extend", { reservation_id: "1", ttl: "1 hour", amount: 1n, idempotency_key: "2" }],
      ["settle", { reservation_id: "1", amount: 0n, final: false, idempotency_key: "3" }],
      ["settle", { reservation_id: "1", amount: 0n, idempotency_key: "4" }],
      ["cancel", { reservation_id: "open", idempotency_key: "5" }],
      ["charge", { amount: 1n, idempotency_key: "6" }],
    ];
    for (const [name, args] of commands) {
      const now = await command(session.sql, name, { wallet_id: "w", ...args });
      const sum = [now.available, now.reserved, now.spent].map((each) => each ?? 0n);
      expect(sum.reduce((a, b) => a + b, 0n)).toBe(available + reserved + spent);
    }
    await session.sql.unsafe("rollback");
    await session.sql.end();
  });
});

describe("an auditor", () => {
  test("reads everything in a transaction that cannot write", async () => {
    const { sql } = await ledger.session("auditor");
    await sql.unsafe("begin transaction read only");
    expect(await verify(sql)).toEqual([]);
    expect(await call(sql, "verify", { wallet_id: "w" })).toEqual([]);
    expect(await call(sql, "balance", { wallet_id: "w" })).toHaveLength(1);
    expect(await call(sql, "statement", { wallet_id: "w" })).toHaveLength(8);
    expect(await call(sql, "balance_at", { wallet_id: "w", at: "infinity" })).toHaveLength(1);
    const views = (await relations()).filter(({ name }) => name.startsWith("view"));
    expect(views).toHaveLength(5);
    for (const { call: view } of views) {
      expect((await sql.unsafe(`select * from ${view}`)).length).toBeGreaterThan(0);
    }
    await sql.unsafe("commit");
    await sql.end();
    expect(await digest(ledger)).toBe(before);
  });

  test("may call nothing that could write", async () => {
    const writers = await ledger.admin`
      select p.proname from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and p.provolatile = 'v'
          and has_function_privilege('baseledger_auditor', p.oid, 'execute')`;
    expect(writers).toEqual([]);
  });
});

test("the actor of an event is who logged in, whatever role it acts in", async () => {
  const { sql } = await ledger.session("operator");
  await sql.unsafe("begin; set local role baseledger_operator");
  await command(sql, "credit", { wallet_id: "w", amount: 1n, idempotency_key: "k" });
  await sql.unsafe("reset role");
  const [line] = await sql<{ actor: string }[]>`
    select actor from baseledger.statement('w') order by seq desc limit 1`;
  expect(line?.actor).toBe(loginOf("operator"));
  await sql.unsafe("rollback");
  await sql.end();
});

test("a refusal says nothing of an error when a role has no right", async () => {
  const error = await failure(command(ledger.outsider, "reserve", { wallet_id: "w" }));
  expect(error.code).not.toMatch(/^LG/);
});
