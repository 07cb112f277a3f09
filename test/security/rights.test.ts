// Owners and rights: their list, the differences that are found, and how migrate repairs them.
import type postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installSql, migrate, type RightsDifference } from "../../src/migrate/index.ts";
import { attempt, DENIED } from "../support/attempt.ts";
import { readCatalog } from "../support/catalog.ts";
import { createGuarded } from "../support/guarded.ts";
import { balance, command, digest, post, type TestLedger, verify } from "../support/ledger.ts";

let ledger: TestLedger;
let before: string;
let fresh: Awaited<ReturnType<typeof readCatalog>>;

beforeAll(async () => {
  ledger = await createGuarded();
  before = await digest(ledger);
  fresh = await readCatalog(ledger.admin);
});
afterAll(() => ledger[Symbol.asyncDispose]());

const NAMES = `
  case when a.grantee = 0 then 'public' else a.grantee::regrole::text end as grantee,
  a.privilege_type as privilege`;

/** The rights that roles other than the owner have on objects of the schema. */
async function granted(): Promise<string[]> {
  const rows = await ledger.admin.unsafe<Record<string, string>[]>(`
    select 'schema' as kind, 'baseledger' as name, ${NAMES}
      from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
      where n.nspname = 'baseledger' and a.grantee <> n.nspowner
    union all
    select 'function', p.proname, ${NAMES}
      from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
      where p.pronamespace = 'baseledger'::regnamespace and a.grantee <> p.proowner
    union all
    select case c.relkind when 'v' then 'view' else 'table' end, c.relname, ${NAMES}
      from pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
      where c.relnamespace = 'baseledger'::regnamespace and c.relkind <> 'i'
        and c.relkind <> 'c' and a.grantee <> c.relowner`);
  return rows.map(formatRight).sort();
}

function formatRight({ kind, name, grantee, privilege }: Record<string, string>): string {
  return `${kind} ${name}: ${privilege} for ${grantee}`;
}

async function differences(): Promise<RightsDifference[]> {
  return ledger.admin<RightsDifference[]>`select * from baseledger._find_rights_differences()`;
}

/** Migrates as the superuser, and returns what was repaired. */
async function repair(): Promise<readonly RightsDifference[]> {
  let mended: readonly RightsDifference[] = [];
  const onRepaired = (found: readonly RightsDifference[]) => {
    mended = found;
  };
  expect(await migrate(ledger.admin, { onRepaired })).toEqual([]);
  return mended;
}

/** Leaves the schema as pg_restore --no-owner --no-privileges by the superuser does. */
async function restoreWithoutRights(): Promise<void> {
  await ledger.admin.begin(async (tx) => {
    await tx.unsafe(`
      reassign owned by baseledger_owner to postgres;
      drop owned by baseledger_owner, baseledger_agent, baseledger_operator, baseledger_auditor,
        baseledger_worker;
      set local allow_system_table_mods = on;
      update pg_namespace set nspacl = null where nspname = 'baseledger';
      update pg_proc set proacl = null where pronamespace = 'baseledger'::regnamespace;
      update pg_class set relacl = null where relnamespace = 'baseledger'::regnamespace`);
  });
}

describe("the list of rights", () => {
  test("is exactly what a new installation has", async () => {
    const listed = await ledger.admin<
      Record<string, string>[]
    >`select * from baseledger._expected_rights()`;
    expect(listed.map(formatRight).sort()).toEqual(await granted());
    expect(await differences()).toEqual([]);
    expect(await verify(ledger.auditor)).toEqual([]);
  });
});

describe("migrate, with nothing to apply,", () => {
  const changes: [string, string, boolean][] = [
    ["a function", "grant execute on function baseledger.credit to public", true],
    ["a helper", "grant execute on function baseledger._execute to ledger_test_outsider", true],
    ["all functions", "grant execute on all functions in schema baseledger to public", true],
    ["all tables", "grant all on all tables in schema baseledger to baseledger_agent", true],
    ["a column", "grant update (available) on baseledger.wallets to ledger_test_agent", true],
    ["the schema", "grant create on schema baseledger to public", true],
    [
      "the right to grant on",
      "grant execute on function baseledger.credit to baseledger_operator with grant option",
      true,
    ],
    [
      "objects created later",
      "alter default privileges for role baseledger_owner grant execute on functions to public",
      true,
    ],
    ["the owner of a function", "alter function baseledger._execute owner to postgres", true],
    ["the owner of a table", "alter table baseledger.events owner to postgres", true],
    ["the owner of a type", "alter type baseledger.receipt owner to postgres", true],
    ["the owner of a domain", "alter domain baseledger._unit owner to postgres", true],
    [
      "a missing right",
      "revoke execute on function baseledger.reserve from baseledger_agent",
      false,
    ],
    [
      "a missing right on a view",
      "revoke select on baseledger.journal from baseledger_auditor",
      false,
    ],
    [
      "a missing right on the schema",
      "revoke usage on schema baseledger from baseledger_worker",
      false,
    ],
  ];
  test.each(changes)("repairs %s", async (_, change, open) => {
    await ledger.admin.unsafe(change);
    const found = await differences();
    expect(found.length).toBeGreaterThan(0);
    expect(found.every((each) => each.open === open)).toBe(true);
    // An object with another owner may be one that verify needs.
    if (open && !change.includes("owner to")) {
      const checks = (await verify(ledger.auditor)).map(({ check }) => check);
      expect(new Set(checks)).toEqual(new Set(["rights"]));
    }
    const owners = (each: RightsDifference) => each.expected === "owned by baseledger_owner";
    expect(await repair()).toEqual(found.filter((each) => !owners(each)));
    expect(await differences()).toEqual([]);
    expect(await readCatalog(ledger.admin)).toEqual(fresh);
    expect(await digest(ledger)).toBe(before);
  });

  test("keeps what the host has granted to roles of its own", async () => {
    await ledger.admin`grant select on baseledger.wallet_balances to ledger_test_outsider`;
    expect(await repair()).toEqual([]);
    const [row] = await ledger.admin<{ may: boolean }[]>`
      select has_table_privilege('ledger_test_outsider', 'baseledger.wallet_balances', 'select') as may`;
    expect(row?.may).toBe(true);
    await ledger.admin`revoke all on baseledger.wallet_balances from ledger_test_outsider`;
  });
});

describe("after a restore without owners and rights", () => {
  test.each(["migrate", "installSql"])(
    "%s restores the rights of a new installation",
    async (how) => {
      await restoreWithoutRights();
      // A repair by hand, so that the agents can work again.
      await ledger.admin.unsafe(`
      grant usage on schema baseledger to baseledger_agent, baseledger_operator, baseledger_auditor;
      grant execute on all functions in schema baseledger to baseledger_agent`);
      const checks = (await verify(ledger.auditor)).map(({ check }) => check);
      expect(checks.length).toBeGreaterThan(100);
      expect(new Set(checks)).toEqual(new Set(["rights"]));

      if (how === "migrate") await repair();
      else await ledger.admin.unsafe(await installSql());
      expect(await differences()).toEqual([]);
      expect(await readCatalog(ledger.admin)).toEqual(fresh);
      expect(await verify(ledger.auditor)).toEqual([]);
      expect(await digest(ledger)).toBe(before);
      await command(ledger.operator, "credit", {
        wallet_id: "w",
        amount: 1n,
        idempotency_key: how,
      });
      before = await digest(ledger);
    },
  );

  test("agents can go on, and nobody adds funds", async () => {
    await restoreWithoutRights();
    await ledger.admin.unsafe(`
      grant usage on schema baseledger to public;
      grant execute on all functions in schema baseledger to baseledger_agent`);
    const { available } = await balance(ledger.agent, "w");
    for (const role of ["agent", "operator", "outsider"] as const) {
      for (const funds of await fundFunctions()) {
        expect([role, funds, await attempt(ledger, role, funds)]).toEqual([role, funds, DENIED]);
      }
      const credit = `row('credit', 'k', null, 1000, null, null, true, '{}', null, null, null, null,
        1, 1, null)`;
      const execute = `select baseledger._execute('w', array[${credit}::baseledger._command])`;
      expect(await attempt(ledger, role, execute)).toBe(DENIED);
    }
    const [held, ended] = await post(ledger.agent, "w", [
      { op: "reserve", idempotency_key: "go", amount: 1 },
      { op: "cancel", idempotency_key: "on", reservation_id: "go" },
    ]);
    expect([held?.refused, ended?.refused]).toEqual([null, null]);
    expect((await balance(ledger.agent, "w")).available).toBe(available);
    await repair();
    before = await digest(ledger);
  });
});

/** A call of each function for operators only: of those that change funds or terms. */
async function fundFunctions(): Promise<string[]> {
  const rows = await ledger.admin<{ query: string }[]>`
    select 'select baseledger.' || p.proname || '(' || string_agg(
        coalesce(v.value, 'null') || '::' || format_type(t, null), ', ' order by n
      ) || ')' as query
      from pg_proc p
      cross join unnest(p.proargtypes::oid[], p.proargnames) with ordinality as a (t, name, n)
      left join (values
        ('p_wallet_id', '''w'''), ('p_from', '''other'''), ('p_to', '''w'''), ('p_amount', '1'),
        ('p_idempotency_key', '''greed'''), ('p_reservation_id', '''charge'''),
        ('p_reason', '''greed'''), ('p_unit', '''USD'''), ('p_scale', '9'),
        ('p_commands', '''[{"op": "credit", "amount": 9, "idempotency_key": "greed"}]'''),
        ('p_metadata', '''{}''')
      ) as v (name, value) using (name)
      where p.pronamespace = 'baseledger'::regnamespace
        and p.provolatile = 'v'
        and p.proname in (
          select r.name from baseledger._expected_rights() r where r.grantee = 'baseledger_operator'
          except
          select r.name from baseledger._expected_rights() r where r.grantee = 'baseledger_agent'
        )
      group by p.oid, p.proname
      order by 1`;
  expect(rows.length).toBeGreaterThan(18);
  return rows.map(({ query }) => query);
}

describe("a function for operators that is open to others", () => {
  const openings = [
    "grant execute on function baseledger.%s to public",
    "grant execute on function baseledger.%s to baseledger_agent",
    "grant execute on function baseledger.%s to baseledger_auditor",
    "grant execute on function baseledger.%s to baseledger_worker",
    "alter function baseledger.%s owner to postgres",
  ];
  test.each(openings)("is refused to all roles: %s", async (opening) => {
    for (const query of await fundFunctions()) {
      const name = /baseledger\.(\w+)/.exec(query)?.[1] ?? "";
      const { sql } = await ledger.session("operator");
      const undo = new Error("rolled back on purpose");
      // For the superuser as well: the function itself is open.
      const tried = ledger.admin.begin(async (tx) => {
        await tx.unsafe(opening.replace("%s", name));
        for (const role of ["baseledger_operator", "baseledger_agent", "postgres"]) {
          await tx.unsafe(`savepoint try; set local role ${role}`);
          const { code, hint } = await tx.unsafe(query).then(
            () => ({ code: "done", hint: "" }),
            (error: postgres.PostgresError) => error,
          );
          expect([query, role, code]).toEqual([query, role, DENIED]);
          if (role === "postgres") expect(hint).toContain("baseledger migrate");
          await tx.unsafe("rollback to savepoint try; reset role");
        }
        throw undo;
      });
      await expect(tried).rejects.toBe(undo);
      await sql.end();
    }
    expect(await digest(ledger)).toBe(before);
  });

  test("as installed, runs in a function of the host", async () => {
    await ledger.admin.unsafe(`
      create function public.top_up() returns baseledger.receipt
        language sql security definer
        return baseledger.credit('w', 1, 'by the host');
      alter function public.top_up() owner to ledger_test_operator;
      grant execute on function public.top_up() to ledger_test_outsider`);
    await ledger.outsider`select public.top_up()`;
    await ledger.admin`drop function public.top_up()`;
  });
});
