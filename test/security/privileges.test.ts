import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DENIED } from "../support/attempt.ts";
import { createGuarded } from "../support/guarded.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  call,
  command,
  digest,
  failure,
  loginOf,
  outcome,
  type TestLedger,
  verify,
} from "../support/ledger.ts";

const ROLES = ["agent", "operator", "auditor", "worker", "outsider"] as const;
// For a view: that it is no table, or cannot be written to, for any role.
const DENIALS = [DENIED, "42809", "55000"];

const FIRST_COLUMN: Readonly<Record<string, string>> = {
  "baseledger.migrations": "id",
  "baseledger.price_rows": "price_id",
  "baseledger.prices": "price_id",
  "baseledger.sweeps": "looked_at",
};

let ledger: TestLedger;
let before: string;

beforeAll(async () => {
  ledger = await createGuarded();
  before = await digest(ledger);
});
afterAll(async () => {
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

interface Thing {
  readonly name: string;
  readonly oid: string;
  /** For functions: a call with nulls; for tables and views: the qualified name. */
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

test("the matrix of privileges is that of the file", async () => {
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

test.each(ROLES)("%s can do what the matrix says, and nothing else", async (role) => {
  const usage = role !== "outsider";
  const tries: [string, string, boolean][] = [];
  for (const { call: query, oid } of await functions()) {
    tries.push([query, query, await holds(loginOf(role), "function", oid, "EXECUTE")]);
  }
  for (const { call: name, oid } of await relations()) {
    const column = FIRST_COLUMN[name] ?? "wallet_id";
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
    const done = !DENIALS.includes(result.code);
    expect([what, done], statement).toEqual([what, usage && allowed]);
  }
  await sql.end();
  expect(await digest(ledger)).toBe(before);
});

describe("the roles", () => {
  test("cannot log in, are members of no role and have no rights of the server", async () => {
    const roles = await ledger.admin`
      select r.rolname from pg_roles r
        where r.rolname in ('baseledger_owner', 'baseledger_agent', 'baseledger_operator',
            'baseledger_auditor', 'baseledger_worker')
          and (r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolcreatedb
            or r.rolreplication or r.rolbypassrls
            or exists (select from pg_auth_members m where m.member = r.oid))`;
    expect(roles).toEqual([]);
  });

  test("own nothing, except the owner, who owns everything", async () => {
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

  test("have no grant option", async () => {
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
  test("with the owner's rights has a fixed search path", async () => {
    const loose = await ledger.admin`
      select p.proname, p.proconfig from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and p.prosecdef
          and not coalesce('search_path=pg_catalog, pg_temp' = any(p.proconfig), false)`;
    expect(loose).toEqual([]);
  });

  test("that is public runs with the owner's rights, and no helper does", async () => {
    const odd = await ledger.admin`
      select p.proname from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and p.prosecdef <> (p.proname not like E'\\\\_%')`;
    expect(odd).toEqual([]);
  });

  test("is closed to public, and a helper to all roles", async () => {
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

  test("that is created later is closed to public", async () => {
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

describe("an auditor", () => {
  test("reads everything in a read-only transaction", async () => {
    const { sql } = await ledger.session("auditor");
    await sql.unsafe("begin transaction read only");
    expect(await verify(sql)).toEqual([]);
    expect(await call(sql, "verify", { wallet_id: "w" })).toEqual([]);
    expect(await call(sql, "balance", { wallet_id: "w" })).toHaveLength(1);
    expect(await call(sql, "statement", { wallet_id: "w" })).toHaveLength(8);
    expect(await call(sql, "balance_at", { wallet_id: "w", at: "infinity" })).toHaveLength(1);
    const views = (await relations()).filter(({ name }) => name.startsWith("view"));
    expect(views).toHaveLength(9);
    for (const { call: view } of views) {
      expect((await sql.unsafe(`select * from ${view}`)).length).toBeGreaterThan(0);
    }
    await sql.unsafe("commit");
    await sql.end();
    expect(await digest(ledger)).toBe(before);
  });

  test("cannot call a volatile function", async () => {
    const writers = await ledger.admin`
      select p.proname from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and p.provolatile = 'v'
          and has_function_privilege('baseledger_auditor', p.oid, 'execute')`;
    expect(writers).toEqual([]);
  });
});

test("the actor of an event is the role that logged in, and beside it the one that it has set", async () => {
  const { sql } = await ledger.session("operator");
  await sql.unsafe("begin; set local role baseledger_operator");
  await command(sql, "credit", { wallet_id: "w", amount: 1n, idempotency_key: "k" });
  await sql.unsafe("reset role");
  const [line] = await sql<{ actor: string }[]>`
    select actor from baseledger.statement('w') order by seq desc limit 1`;
  expect(line?.actor).toBe(`${loginOf("operator")} as baseledger_operator`);
  await sql.unsafe("rollback");
  await sql.end();
});

test("a role without rights gets no error of the ledger", async () => {
  const error = await failure(command(ledger.outsider, "reserve", { wallet_id: "w" }));
  expect(error.code).not.toMatch(/^LG/);
});
