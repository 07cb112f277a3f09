// Owners and rights: what there must be, what is found when it is otherwise, and how it is mended.
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

/** Everything that anybody but the owner may do with an object of the schema. */
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
  return rows.map(sayRight).sort();
}

function sayRight({ kind, name, grantee, privilege }: Record<string, string>): string {
  return `${kind} ${name}: ${privilege} for ${grantee}`;
}

async function differences(): Promise<RightsDifference[]> {
  return ledger.admin<RightsDifference[]>`select * from baseledger._find_rights_differences()`;
}

/** Migrates as the superuser, and gives what was mended. */
async function mend(): Promise<readonly RightsDifference[]> {
  let mended: readonly RightsDifference[] = [];
  const onRepaired = (found: readonly RightsDifference[]) => {
    mended = found;
  };
  expect(await migrate(ledger.admin, { onRepaired })).toEqual([]);
  return mended;
}

/** As pg_restore leaves it with --no-owner --no-privileges, run by the superuser. */
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
  test("is what a new installation has: no more, no less", async () => {
    const listed = await ledger.admin<
      Record<string, string>[]
    >`select * from baseledger._expected_rights()`;
    expect(listed.map(sayRight).sort()).toEqual(await granted());
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
      "what is made later",
      "alter default privileges for role baseledger_owner grant execute on functions to public",
      true,
    ],
    ["the owner of a function", "alter function baseledger._execute owner to postgres", true],
    ["the owner of a table", "alter table baseledger.events owner to postgres", true],
    ["the owner of a type", "alter type baseledger.receipt owner to postgres", true],
    ["the owner of a domain", "alter domain baseledger._unit owner to postgres", true],
    ["a lost right", "revoke execute on function baseledger.reserve from baseledger_agent", false],
    ["a lost view", "revoke select on baseledger.journal from baseledger_auditor", false],
    ["a lost schema", "revoke usage on schema baseledger from baseledger_worker", false],
  ];
  test.each(changes)("mends %s", async (_, change, open) => {
    await ledger.admin.unsafe(change);
    const found = await differences();
    expect(found.length).toBeGreaterThan(0);
    expect(found.every((each) => each.open === open)).toBe(true);
    // What gets another owner may be what verifies.
    if (open && !change.includes("owner to")) {
      const checks = (await verify(ledger.auditor)).map(({ check }) => check);
      expect(new Set(checks)).toEqual(new Set(["rights"]));
    }
    const owners = (each: RightsDifference) => each.expected === "owned by baseledger_owner";
    expect(await mend()).toEqual(found.filter((each) => !owners(each)));
    expect(await differences()).toEqual([]);
    expect(await readCatalog(ledger.admin)).toEqual(fresh);
    expect(await digest(ledger)).toBe(before);
  });

  test("leaves alone what the host has granted to roles of its own", async () => {
    await ledger.admin`grant select on baseledger.wallet_balances to ledger_test_outsider`;
    expect(await mend()).toEqual([]);
    const [row] = await ledger.admin<{ may: boolean }[]>`
      select has_table_privilege('ledger_test_outsider', 'baseledger.wallet_balances', 'select') as may`;
    expect(row?.may).toBe(true);
    await ledger.admin`revoke all on baseledger.wallet_balances from ledger_test_outsider`;
  });
});

describe("after a restore without owners and rights", () => {
  test.each(["migrate", "installSql"])("%s makes it what a new installation is", async (how) => {
    await restoreWithoutRights();
    // A well-meant repair: the agents are to work again.
    await ledger.admin.unsafe(`
      grant usage on schema baseledger to baseledger_agent, baseledger_operator, baseledger_auditor;
      grant execute on all functions in schema baseledger to baseledger_agent`);
    const checks = (await verify(ledger.auditor)).map(({ check }) => check);
    expect(checks.length).toBeGreaterThan(100);
    expect(new Set(checks)).toEqual(new Set(["rights"]));

    if (how === "migrate") await mend();
    else await ledger.admin.unsafe(await installSql());
    expect(await differences()).toEqual([]);
    expect(await readCatalog(ledger.admin)).toEqual(fresh);
    expect(await verify(ledger.auditor)).toEqual([]);
    expect(await digest(ledger)).toBe(before);
    await command(ledger.operator, "credit", { wallet_id: "w", amount: 1n, idempotency_key: how });
    before = await digest(ledger);
  });

  test("agents may go on, but nobody adds funds", async () => {
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
        1, 1)`;
      const fold = `select baseledger._execute('w', array[${credit}::baseledger._command])`;
      expect(await attempt(ledger, role, fold)).toBe(DENIED);
    }
    const [held, ended] = await post(ledger.agent, "w", [
      { op: "reserve", idempotency_key: "go", amount: 1 },
      { op: "cancel", idempotency_key: "on", reservation_id: "go" },
    ]);
    expect([held?.refused, ended?.refused]).toEqual([null, null]);
    expect((await balance(ledger.agent, "w")).available).toBe(available);
    await mend();
    before = await digest(ledger);
  });
});

/** A call of each function that moves funds in or out, or changes the terms, as operators may. */
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
  expect(rows).toHaveLength(8);
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
  test.each(openings)("runs for nobody: %s", async (opening) => {
    for (const query of await fundFunctions()) {
      const name = /baseledger\.(\w+)/.exec(query)?.[1] ?? "";
      const { sql } = await ledger.session("operator");
      const undo = new Error("undone on purpose");
      // As a superuser, and as whoever was let in by mistake: it is the function that is open.
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

  test("as installed, it runs in a function of the host's, too", async () => {
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
