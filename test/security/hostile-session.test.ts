import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger,
  openWallet,
  type Role,
  type Session,
  type TestLedger,
  travelBack,
} from "../support/ledger.ts";

// The functions of the ledger run with the rights of its owner. Here each of them is called from a
// session in which the caller has shadowed every name that the sources could use unqualified. A
// shadow that runs as the owner raises this code.

const HIJACKED = "HJACK";

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await createLedger();
  await ledger.admin.unsafe("grant create on schema public to public");
  await ledger.admin.unsafe(`
    create function public.trap() returns void language plpgsql set search_path = pg_catalog
    as $$
    begin
      if current_user = 'baseledger_owner' then
        raise exception using errcode = '${HIJACKED}', message = 'a shadow runs as the owner';
      end if;
    end $$;
    create function public.trap_row() returns trigger language plpgsql set search_path = pg_catalog
    as $$ begin perform public.trap(); return new; end $$;
    create function public.trap_value() returns boolean language plpgsql
      set search_path = pg_catalog
    as $$ begin perform public.trap(); return true; end $$`);
  await shadow(ledger, "function");
  await shadow(ledger, "operator");
});
afterAll(async () => {
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

/** Makes shadows of functions or of operators in the schema public. */
async function shadow({ admin }: TestLedger, kind: "function" | "operator"): Promise<void> {
  const trapped = (
    result: string,
  ) => `returns ${result} language plpgsql set search_path = pg_catalog
    as $$ begin perform public.trap(); return null; end $$`;
  if (kind === "function") {
    // Each function of the system whose name occurs in the ledger's sources.
    const shadows = await admin<{ name: string; args: string; result: string }[]>`
      select quote_ident(p.proname) as name, pg_get_function_identity_arguments(p.oid) as args,
          pg_get_function_result(p.oid) as result
        from pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace
          and p.prokind = 'f'
          and p.proname in (
            select m[1] from pg_proc o, regexp_matches(o.prosrc, '([a-z_0-9]+)\\s*\\(', 'g') as m
              where o.pronamespace = 'baseledger'::regnamespace
          )
          and not p.proargtypes::oid[] && array['internal', '"any"', 'cstring']::regtype[]::oid[]
          and p.prorettype <> all (array['internal', 'record', 'cstring']::regtype[]::oid[])`;
    expect(shadows.length).toBeGreaterThan(30);
    for (const { name, args, result } of shadows) {
      const plain = args.replaceAll(/OUT [^,]+(, )?/g, "").replace(/, $/, "");
      const body = /^(SETOF|void)/.test(result)
        ? trapped(result).replace("return null", "return")
        : trapped(result);
      await admin.unsafe(`create function public.${name}(${plain}) ${body}`);
    }
  } else {
    const shadows = await admin<{ name: string; l: string; r: string; result: string }[]>`
      select o.oprname as name, format_type(o.oprleft, null) as l,
          format_type(o.oprright, null) as r, format_type(o.oprresult, null) as result
        from pg_operator o
        where o.oprnamespace = 'pg_catalog'::regnamespace
          and o.oprleft <> 0
          and array[o.oprleft, o.oprright] <@ array['text', 'bigint', 'integer', 'numeric',
            'boolean', 'jsonb', 'bytea', 'timestamptz', 'interval', 'anyarray', 'text[]',
            'anycompatible', 'anycompatiblearray', 'record', 'anyenum']::regtype[]::oid[]`;
    expect(shadows.length).toBeGreaterThan(100);
    for (const [i, { name, l, r, result }] of shadows.entries()) {
      await admin.unsafe(`
        create function public.shadow_${i}(${l}, ${r}) ${trapped(result)};
        create operator public.${name} (leftarg = ${l}, rightarg = ${r},
          function = public.shadow_${i})`);
    }
  }
}

/** Opens a hostile session: with shadows of tables and types, and a path that finds shadows first. */
async function openHostile(role: Role): Promise<Session> {
  const session = await ledger.session(role);
  const { sql } = session;
  await sql.unsafe(`
    create temp table wallets (wallet_id pg_catalog.text, unit pg_catalog.text,
      scale pg_catalog.int2, overdraft_limit pg_catalog.int8, frozen pg_catalog.bool,
      available pg_catalog.int8, reserved pg_catalog.int8, spent pg_catalog.int8,
      seq pg_catalog.int8, hash pg_catalog.bytea, last_event_at pg_catalog.timestamptz,
      next_deadline pg_catalog.timestamptz);
    create temp table events (seq pg_catalog.int8, wallet_id pg_catalog.text,
      idempotency_key pg_catalog.text, reservation_id pg_catalog.text);
    create temp table reservations (wallet_id pg_catalog.text, reservation_id pg_catalog.text,
      held pg_catalog.int8, expires_at pg_catalog.timestamptz);
    insert into wallets select id, 'USD', 9, null, false, 1000000, 0, 0, 1, '', now(), null
      from unnest(array['plain', 'victim']) id;
    create temp table grants (wallet_id pg_catalog.text, role_name pg_catalog.text,
      labels pg_catalog.jsonb, free_labels pg_catalog._text, granted_at pg_catalog.timestamptz);
    create temp table keys (wallet_id pg_catalog.text, key_id pg_catalog.text,
      secret_sha256 pg_catalog.bytea, labels pg_catalog.jsonb, free_labels pg_catalog._text);
    grant all on wallets, events, reservations, grants, keys to public`);
  for (const trigger of ["wallets", "events", "reservations", "grants", "keys"]) {
    await sql.unsafe(`create trigger t before insert or update or delete on pg_temp.${trigger}
      for each row execute function public.trap_row()`);
  }
  const types = ["text", "int2", "int4", "int8", "numeric", "bool", "jsonb", "bytea", "interval"];
  for (const type of [...types, "timestamptz", "regclass"]) {
    await sql.unsafe(`create domain pg_temp.${type} as pg_catalog.${type}
      check (public.trap_value())`);
  }
  const composites = "receipt wallet_balance discrepancy _command _hold _access".split(" ");
  for (const type of [...composites, "_locked_wallet", "_move", "created_key"]) {
    await sql.unsafe(`create type pg_temp.${type} as (x pg_catalog.int4)`);
  }
  await sql.unsafe("set search_path = pg_temp, public, pg_catalog");
  return session;
}

describe("the trap catches a careless function of the owner:", () => {
  const careless: [string, string, string][] = [
    ["a function", "", "perform clock_timestamp();"],
    ["an operator", "", "if v < 2::pg_catalog.int8 then v := 3; end if;"],
    ["a type, with a search path of pg_catalog", "pg_catalog", "declare x text := 'x'; begin end;"],
    ["a type, with an empty search path", "''", "declare x jsonb := '1'; begin end;"],
    [
      "a table, with a search path of pg_catalog",
      "pg_catalog",
      "insert into wallets (wallet_id) values ('x');",
    ],
  ];
  test.each(careless)("%s", async (_what, path, body) => {
    await using caller = await openHostile("agent");
    await ledger.admin.unsafe(`
      create or replace function public.careless() returns pg_catalog.void
        language plpgsql security definer ${path && `set search_path = ${path}`}
        as $$ declare v pg_catalog.int8 := 1; begin ${body} end $$;
      alter function public.careless() owner to baseledger_owner`);
    const attempt = caller.sql.unsafe("select public.careless()");
    await expect(attempt).rejects.toMatchObject({ code: HIJACKED });
  });
});

/** Calls of every public function, with the role that may make them; `$` stands for the wallet. */
const calls: [Role, string][] = [
  ["operator", "baseledger.open_wallet('$ new', 'USD', 9, 5, '{\"a\": [1]}')"],
  ["operator", "baseledger.credit('$', 1000, 'credit', '{\"a\": 1}')"],
  ["operator", "baseledger.credit('$', 1000, 'credit', '{\"a\": 1}')"],
  ["operator", "baseledger.withdraw('$', 10, 'withdraw')"],
  ["agent", "baseledger.reserve('$', 100, 'reserve', '1 hour', 'r', 50)"],
  ["agent", "baseledger.extend('$', 'r', '2 hours', 'extend', 120)"],
  ["agent", "baseledger.settle('$', 'r', 20, 'part', false)"],
  ["agent", "baseledger.settle('$', 'r', 200, 'settle')"],
  ["agent", "baseledger.reserve('$', 100, 'reserve 2')"],
  ["agent", "baseledger.cancel('$', 'reserve 2', 'cancel')"],
  ["agent", "baseledger.charge('$', 30, 'charge', 'c')"],
  ["operator", "baseledger.refund('$', 'c', 30, 'refund')"],
  ["operator", "baseledger.freeze_wallet('$', 'stop')"],
  ["operator", "baseledger.unfreeze_wallet('$', 'go')"],
  ["operator", "baseledger.transfer('$', '$ new', 10, 'transfer')"],
  [
    "agent",
    `baseledger.post('$', '[
    {"op": "reserve", "amount": "5", "ttl": "PT1M", "idempotency_key": "b1"},
    {"op": "settle", "amount": 5, "reservation_id": "b1", "idempotency_key": "b2"},
    {"op": "reserve", "amount": 5, "ttl": 60, "idempotency_key": "b1"},
    {"op": "reserve", "amount": 1e12, "idempotency_key": "b3"},
    {"op": "nothing"}, {"op": "cancel", "amount": 1}, {"op": "charge", "amount": true}]')`,
  ],
  [
    "agent",
    `baseledger.post_many('[
    {"wallet_id": "$", "op": "reserve", "amount": "5", "ttl": "PT1M", "idempotency_key": "m1"},
    {"wallet_id": "$ new", "op": "charge", "amount": 2, "idempotency_key": "m1"},
    {"wallet_id": "$", "op": "settle", "amount": 5, "reservation_id": "m1", "idempotency_key": "m2"},
    {"wallet_id": "$", "op": "reserve", "amount": 5, "ttl": 60, "idempotency_key": "m1"},
    {"wallet_id": "$ new", "op": "reserve", "amount": 1e12, "idempotency_key": "m3"},
    {"wallet_id": "$ none", "op": "charge", "amount": 1, "idempotency_key": "m4"},
    {"wallet_id": 5, "op": "nothing"}, {"wallet_id": "$", "op": "cancel", "amount": 1},
    {"op": "charge", "amount": true}]')`,
  ],
  [
    "operator",
    `baseledger.post_funds('$', '[
    {"op": "credit", "amount": "5", "idempotency_key": "f1"},
    {"op": "refund", "amount": 50, "reservation_id": "c", "idempotency_key": "f2"}]')`,
  ],
  ["agent", "baseledger.charge('$', 1, 'spent', p_already_spent => true)"],
  ["agent", "baseledger.balance('$')"],
  // without what is different each time
  ["operator", "(select a.replayed from baseledger.add_webhook('$', 'https://x') as a) as w"],
  ["auditor", "(select h.url, h.events from baseledger.list_webhooks('$') as h) as w"],
  [
    "operator",
    `(select r.url from baseledger.remove_webhook(
      (select h.webhook_id from baseledger.list_webhooks('$') as h)) as r) as w`,
  ],
  ["agent", "baseledger.reservation('$', 'r')"],
  ["agent", "baseledger.receipt('$', 'settle')"],
  ["operator", "baseledger.set_overdraft_limit('$', 77)"],
  ["operator", "baseledger.set_limit('$', 'day', 5000, 'day', p_alert_at => array[50])"],
  ["operator", "baseledger.set_limit('$', 'run', null, 'ever', array['run'])"],
  ["operator", "baseledger.set_limit_for('$', 'run', array['7'], 20)"],
  ["operator", "baseledger.set_limit('$', 'hour', 5, 'hour', p_of => 'calls')"],
  ["operator", "baseledger.remove_limit('$', 'hour')"],
  ["operator", "baseledger.set_low_balance('$', array[1000, 10])"],
  ["operator", "baseledger.close_wallet('$ new', 'end')"],
  ["operator", "baseledger.reopen_wallet('$ new', 'go')"],
  ["operator", "baseledger.list_wallets('$ new')"],
  [
    "operator",
    `(select p.model, p.rates, p.above, p.currency, p.max_output, p.source
      from baseledger.set_price('$/m', '{"input": 1250000000, "output": 7}', 'batch', 5,
        '2026-01-02 03:04:05+00', 'EUR', 9, 8, null, 's') as p) as w`,
  ],
  [
    "operator",
    `(select p.model, p.rates, p.above, p.alias_of from baseledger.set_prices('[
      {"model": "$/m", "rates": {"input": 5, "output": 7}, "valid_from": "2026-01-02T03:04"},
      {"model": "$/m", "rates": {"input": 6, "output": 7}, "above": "200000"},
      {"model": "$/name", "alias_of": "$/m", "valid_from": "-infinity"}]', 's') as p) as w`,
  ],
  [
    "agent",
    `(select p.model, p.variant, p.above, p.rates from baseledger.list_prices('$/') as p) as w`,
  ],
  // a microsecond before the first of them
  [
    "agent",
    `(select p.model from baseledger.list_prices('$/', '2026-01-02 03:03:59.999999+00') as p) as w`,
  ],
  [
    "agent",
    `(select q.amount, q.currency, q.model, q.max_output
      from baseledger.quote('{"model": "$/name", "input": 1234567}', '2026-01-02 03:04+00') as q
    ) as w`,
  ],
  [
    "agent",
    `(select q.amount, q.model from baseledger.quotes('[{"model": "$/m", "input": 1234567},
      {"model": "$/name", "input": 5, "output": 1}]', '2026-01-03', 12) as q) as w`,
  ],
  ["agent", `baseledger.affordable('{"model": "$/name", "input": 5}', 1000)`],
  ["auditor", "baseledger.balance_at('$', 'infinity')"],
  ["auditor", "baseledger.statement('$')"],
  ["operator", "baseledger.spending('$', p_by => array['model', 'user'])"],
  [
    "operator",
    `baseledger.allow('$', 'ledger_test_agent', '{"user": "ann", "team": "x"}', array['run', 'model'])`,
  ],
  ["operator", "baseledger.allow('$', 'baseledger_agent')"],
  ["operator", "baseledger.disallow('$', 'baseledger_agent')"],
  ["operator", "baseledger.list_grants('$')"],
  [
    "operator",
    "baseledger.create_key('$', '{\"user\": \"bob\"}', array['run'], '2100-01-01', 'key')",
  ],
  [
    "operator",
    "baseledger.create_key('$', '{\"user\": \"bob\"}', array['run'], '2100-01-01', 'key')",
  ],
  [
    "operator",
    "baseledger.revoke_key('$', (select k.key_id from baseledger.list_keys('$') as k), 'revoke')",
  ],
  ["operator", "baseledger.list_keys('$')"],
  ["agent", `baseledger.reserve('$', 7, 'own', p_metadata => '{"user": "bob", "run": "7"}')`],
  ["agent", "baseledger.reservation('$', 'own')"],
  ["agent", "baseledger.limits('$')"],
  ["agent", "baseledger.receipt('$', 'credit')"],
  ["agent", "baseledger.settle('$', 'own', 9, 'own settled')"],
  [
    "agent",
    `baseledger.post('$', '[{"op": "reserve", "amount": 2, "idempotency_key": "own 2"},
    {"op": "cancel", "reservation_id": "b1", "idempotency_key": "other"},
    {"op": "cancel", "reservation_id": "own 2", "idempotency_key": "own 3"}]')`,
  ],
  ["agent", "baseledger.balance('$')"],
  ["auditor", "baseledger.verify('$')"],
  ["auditor", "baseledger.verify()"],
  ["auditor", "baseledger.verify_rights()"],
];

/** The rows of a call, without times. */
async function rowsOf(session: Session, walletId: string, text: string): Promise<unknown> {
  const query = text.replaceAll("$", walletId);
  const rows = await session.sql.unsafe<Record<string, unknown>[]>(`select * from ${query}`);
  return rows.map((row) => {
    const entries = Object.entries(row).filter(
      ([name]) => !/_at$|^as_of$|actor|hash|^key_id$|^secret$/.test(name),
    );
    const texts = entries.map(([name, value]) => [name, String(value).replaceAll(walletId, "$")]);
    return Object.fromEntries(texts);
  });
}

test("every function returns the same to a hostile session as to any other", async () => {
  const sessions = new Map<string, Session>();
  for (const role of ["agent", "operator", "auditor"] as const) {
    sessions.set(`plain ${role}`, await ledger.session(role));
    sessions.set(`victim ${role}`, await openHostile(role));
  }
  for (const id of ["plain", "victim"]) await openWallet(ledger, id, 500n);
  for (const [role, text] of calls) {
    const [plain, victim] = [sessions.get(`plain ${role}`), sessions.get(`victim ${role}`)];
    if (!plain || !victim) throw new Error(`no session of ${role}`);
    const expected = await rowsOf(plain, "plain", text);
    expect([text, await rowsOf(victim, "victim", text)]).toEqual([text, expected]);
  }
  for (const session of sessions.values()) await session.sql.end();

  const called = new Set(calls.map(([, text]) => /baseledger\.(\w+)/.exec(text)?.[1]));
  const all = await ledger.admin<{ name: string }[]>`
    select proname as name from pg_proc
      where pronamespace = 'baseledger'::regnamespace and prosecdef
        and proname not in ('tg_events__append_only', 'expire_due', 'next_due', 'sweep_status',
          'wallets_ahead', 'doctor', 'clear_counters', 'queue_deliveries', 'start_delivery',
          'finish_delivery', 'alert_counts', 'wallet_metrics', 'limit_metrics')`;
  expect([...called].sort()).toEqual(all.map(({ name }) => name).sort());
});

test("the functions of the worker run in a hostile session", async () => {
  const id = await openWallet(ledger, "swept", 10n);
  await using agent = await ledger.session("agent");
  await agent.sql`select baseledger.reserve(${id}, 10, 'r', '1 minute')`;
  await travelBack(ledger, id, "1 hour");
  await using worker = await openHostile("worker");
  const [next] = await worker.sql<{ past: boolean }[]>`
    select n operator(pg_catalog.<) pg_catalog.now() as past from baseledger.next_due() as n`;
  expect(next?.past).toBe(true);
  const [swept] = await worker.sql<{ n: number }[]>`select n from baseledger.expire_due() as n`;
  expect(swept?.n).toBe(1);
  // A second sweep compares the clock with the first.
  await ledger.admin`update baseledger.sweeps set looked_at = looked_at - interval '20 seconds'`;
  const [again] = await worker.sql<{ n: number }[]>`select n from baseledger.expire_due() as n`;
  expect(again?.n).toBe(0);
  const [status] = await worker.sql<{ swept: boolean }[]>`
    select s.last_sweep operator(pg_catalog.<=) s.as_of as swept
      from baseledger.sweep_status() as s`;
  expect(status).toEqual({ swept: true });
  const [ahead] = await worker.sql<{ none: boolean }[]>`
    select a.wallets operator(pg_catalog.=) 0::pg_catalog.int8 as none
      from baseledger.wallets_ahead() as a`;
  expect(ahead?.none).toBe(true);
  await using auditor = await openHostile("auditor");
  const checks = await auditor.sql<{ status: string }[]>`select d.* from baseledger.doctor() as d`;
  expect(checks.map(({ status }) => status)).toContain("fine");
});

test("the worker delivers alerts in a hostile session", async () => {
  const id = await openWallet(ledger, "alerted", 10n);
  await using operator = await openHostile("operator");
  await operator.sql`select baseledger.add_webhook(${id}, 'https://hooks.example.com')`;
  await ledger.admin`
    select baseledger._write_alerts(${id}, 1, array[
      row('limit', 80, 'day', '{a,b}', 100, 85, '2026-03-01', 'infinity', '2026-03-01 12:00+00')
    ]::baseledger._alert[])`;
  await using worker = await openHostile("worker");
  const [queued] = await worker.sql<{ webhook_id: string }[]>`
    select q.* from baseledger.queue_deliveries() as q`;
  const hook = queued?.webhook_id ?? "";
  const [delivery] = await worker.sql<{ body: string }[]>`
    select d.* from baseledger.start_delivery(${id}, 1, 1, ${hook}) as d`;
  expect(JSON.parse(delivery?.body ?? "")).toMatchObject({
    timestamp: "2026-03-01T12:00:00+00:00",
    data: { values: ["a", "b"], amount: "100", value: "85", suppressed: 0 },
  });
  const [ended] = await worker.sql<{ state: string }[]>`
    select baseledger.finish_delivery(${id}, 1, 1, ${hook}) as state`;
  expect(ended?.state).toBe("sent");
  const counts = await worker.sql`select c.* from baseledger.alert_counts() as c`;
  expect(counts).toEqual([{ kind: "limit", state: "sent", alerts: 1n }]);
  const wallets = await worker.sql<{ wallet_id: string }[]>`
    select m.* from baseledger.wallet_metrics() as m`;
  expect(wallets.map(({ wallet_id }) => wallet_id)).toContain(id);
  const used = await worker.sql<{ wallet_id: string }[]>`
    select m.* from baseledger.limit_metrics() as m`;
  expect(used.map(({ wallet_id }) => wallet_id)).not.toContain(id);
});

test("the trigger runs in a hostile session", async () => {
  await using owner = await ledger.session("admin");
  await owner.sql.unsafe("set search_path = public, pg_catalog");
  await expect(
    owner.sql.unsafe("update baseledger.events set amount = null"),
  ).rejects.toMatchObject({ code: "LGIMM" });
});

test("every function returns the same under any settings of the session", async () => {
  const id = await openWallet(ledger, "settings", 500n);
  const settings = {
    DateStyle: "SQL, DMY",
    IntervalStyle: "sql_standard",
    TimeZone: "Asia/Kathmandu",
    extra_float_digits: "-15",
    bytea_output: "escape",
    array_nulls: "off",
    transform_null_equals: "on",
    standard_conforming_strings: "off",
    quote_all_identifiers: "on",
    lc_monetary: "C",
    plan_cache_mode: "force_custom_plan",
    enable_indexscan: "off",
    enable_bitmapscan: "off",
    enable_nestloop: "off",
    max_parallel_workers_per_gather: "4",
    min_parallel_table_scan_size: "0",
    min_parallel_index_scan_size: "0",
    parallel_setup_cost: "0",
    parallel_tuple_cost: "0",
    jit: "on",
    jit_above_cost: "0",
    row_security: "off",
    xmlbinary: "hex",
    "plpgsql.variable_conflict": "use_column",
    "plpgsql.extra_errors": "all",
    check_function_bodies: "off",
    default_transaction_isolation: "serializable",
  };
  await openWallet(ledger, "settings plain", 500n);
  const both = async (role: Role) => {
    const [plain, odd] = [await ledger.session(role), await ledger.session(role)];
    for (const [name, value] of Object.entries(settings)) {
      await odd.sql.unsafe(`set ${name} = '${value}'`);
    }
    return { plain, odd };
  };
  const auditors = await both("auditor");
  const operators = await both("operator");
  for (const [role, text] of calls) {
    const { plain, odd } = role === "auditor" ? auditors : operators;
    const expected = await rowsOf(plain, "settings plain", text);
    expect([role, text, await rowsOf(odd, id, text)]).toEqual([role, text, expected]);
  }
});
