import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger, expectRefusal, type TestLedger } from "../support/ledger.ts";

// The rules of storage of docs/architecture.md, as far as the catalogue shows them.

/** The functions of several wallets, or of none. */
const OF_MANY_WALLETS = [
  "transfer",
  "list_wallets",
  "clear_counters",
  "alert_counts",
  "queue_deliveries",
  "remove_webhook",
  "wallet_metrics",
  "limit_metrics",
  "post_many",
  "expire_due",
  "next_due",
  "sweep_status",
  "wallets_ahead",
  "doctor",
  "verify_rights",
  "set_price",
  "set_prices",
  "list_prices",
  "quote",
  "quotes",
  "affordable",
  "tg_events__append_only",
];

let ledger: TestLedger;
let sources: { name: string; source: string }[];

beforeAll(async () => {
  ledger = await createLedger();
  sources = await ledger.admin<{ name: string; source: string }[]>`
    select proname as name, regexp_replace(prosrc, '--[^\n]*', '', 'g') as source
      from pg_proc where pronamespace = 'baseledger'::regnamespace`;
});
afterAll(async () => {
  await ledger[Symbol.asyncDispose]();
});

describe("tables", () => {
  test("have a primary key, and every unique index begins with wallet_id", async () => {
    const rows = await ledger.admin`
      select c.relname, i.indexrelid::regclass::text as name
        from pg_class c
        left join pg_index i on i.indrelid = c.oid and i.indisunique
        left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where c.relnamespace = 'baseledger'::regnamespace
          and c.relkind = 'r'
          -- the records of migrations and sweeps are not part of the ledger; prices are the same
          -- for all wallets, and have a copy on each node
          and c.relname not in ('migrations', 'sweeps', 'price_rows')
          and (
            not exists (select from pg_index p where p.indrelid = c.oid and p.indisprimary)
            or a.attname is distinct from 'wallet_id'
          )`;
    expect(rows).toEqual([]);
  });

  test("have a wallet_id of type text that is compared byte by byte", async () => {
    const rows = await ledger.admin<{ name: string }[]>`
      select c.relname as name
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'wallet_id'
        where c.relnamespace = 'baseledger'::regnamespace
          and c.relkind = 'r'
          and a.atttypid = 'text'::regtype
          and a.attnotnull
          and a.attcollation = '"C"'::regcollation
        order by 1`;
    expect(rows.map(({ name }) => name)).toEqual([
      "counters",
      "deliveries",
      "delivery_rates",
      "events",
      "grants",
      "keys",
      "limits",
      "raised_alerts",
      "reservations",
      "wallets",
      "webhooks",
    ]);
  });

  test("have no foreign keys, sequences, identities or computed defaults", async () => {
    const rows = await ledger.admin`
      select conname from pg_constraint
        where connamespace = 'baseledger'::regnamespace and contype = 'f'
      union all
      select relname from pg_class
        where relnamespace = 'baseledger'::regnamespace and relkind = 'S'
      union all
      select a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'baseledger'::regnamespace and a.attidentity <> ''
      union all
      select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_class c on c.oid = d.adrelid
        where c.relnamespace = 'baseledger'::regnamespace
          and c.relname <> 'migrations'
          and pg_get_expr(d.adbin, d.adrelid) ~ '[(]'`;
    expect(rows).toEqual([]);
  });
});

describe("functions", () => {
  test("take p_wallet_id first, except a known few", async () => {
    const rows = await ledger.admin<{ name: string }[]>`
      select proname as name from pg_proc
        where pronamespace = 'baseledger'::regnamespace
          and proname not like E'\\\\_%'
          and (proargnames[1] is distinct from 'p_wallet_id' or proargtypes[0] <> 'text'::regtype)`;
    expect(rows.map(({ name }) => name).sort()).toEqual(OF_MANY_WALLETS.toSorted());
  });

  test("are not overloaded", async () => {
    const rows = await ledger.admin`
      select proname from pg_proc where pronamespace = 'baseledger'::regnamespace
        group by proname having count(*) > 1`;
    expect(rows).toEqual([]);
  });

  test("have no default that calls a function", async () => {
    const rows = await ledger.admin`
      select proname from pg_proc
        where pronamespace = 'baseledger'::regnamespace
          and pg_get_expr(proargdefaults, 0) ~ '[a-z_]+[(]|current_|session_user|localtime'`;
    expect(rows).toEqual([]);
  });

  test("have no row type of a table or view in their signatures", async () => {
    const rows = await ledger.admin`
      select p.proname, t.typname
        from pg_proc p
        cross join lateral unnest(
          p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}') || p.prorettype
        ) as used(type)
        join pg_type u on u.oid = used.type
        join pg_type t on t.oid in (u.oid, u.typelem)
        join pg_class c on c.oid = t.typrelid
        where p.pronamespace = 'baseledger'::regnamespace and c.relkind <> 'c'`;
    expect(rows).toEqual([]);
  });

  test("keep their bodies as text", async () => {
    const rows = await ledger.admin`
      select proname from pg_proc
        where pronamespace = 'baseledger'::regnamespace and prosqlbody is not null`;
    expect(rows).toEqual([]);
  });

  // What is forbidden, and an example that the pattern matches.
  test.each([
    ["advisory locks", /advisory/, "perform pg_advisory_xact_lock(1)"],
    ["notifications", /\bnotify\b|pg_notify|\blisten\b/, "perform pg_notify('a', 'b')"],
    [
      "settings of the session",
      /current_setting(?!\('(?:server_version_num'|role'|baseledger\.key'))|set_config|\bset\s+local\b/,
      "set local x = 1",
    ],
    ["isolation levels", /isolation\s+level/, "set transaction isolation level serializable"],
    ["names of constraints", /constraint_name|on constraint/, "on conflict on constraint x_pkey"],
    [
      "data-modifying CTEs",
      /\bas\s+((not\s+)?materialized\s+)?\(\s*(insert|update|delete|merge)\b/,
      "with x as (insert into baseledger.events",
    ],
    [
      "a clock or a random number in an update",
      /update\s+baseledger\.[^;]*(_timestamp\b|\bnow\(|random)/,
      "update baseledger.wallets w set last_event_at = clock_timestamp()",
    ],
    ["sequences", /nextval|currval/, "nextval('s')"],
    ["transaction ids", /\btxid_|\bxid8?\b|pg_current_/, "pg_current_xact_id()"],
    [
      "dynamic statements",
      /(;|\b(begin|then|else|loop|in|for|query))\s+execute\b/,
      "begin execute format('x')",
    ],
  ])("do without %s", (_what, pattern, example) => {
    expect(example).toMatch(pattern);
    const found = sources.filter(({ source }) => pattern.test(source)).map(({ name }) => name);
    expect(found).toEqual([]);
  });

  test("of one wallet restrict every table of every statement to it", async () => {
    const ofOne = await ledger.admin<{ name: string }[]>`
      select proname as name from pg_proc
        where pronamespace = 'baseledger'::regnamespace
          and proargnames[1] = 'p_wallet_id'
          and proname <> 'verify'`;
    const names = new Set(ofOne.map(({ name }) => name));
    // Branches that run for several wallets only: a call for one does not reach them.
    const ofSeveral = /^( *)if p_wallet_id(?:s is not| is) null then\n[\s\S]*?^\1(?=else|end if)/gm;
    const unrestricted = (statement: string): boolean => {
      const tables =
        statement.match(
          /\b(from|join|update)\s+baseledger\.(wallets|events|reservations|grants|keys|limits|counters)\b/g,
        ) ?? [];
      const bound = statement.match(/\bwallet_id = (p_wallet_id|\w+\.wallet_id)/g) ?? [];
      return bound.length < tables.length;
    };
    expect(unrestricted("delete from baseledger.events e where e.seq = 1")).toBe(true);
    expect(unrestricted("update baseledger.wallets w set seq = 1 where w.seq = 2")).toBe(true);
    const branches =
      "  if p_wallet_id is null then\n    a;\n    if b then\n    end if;\n  else\n    c;";
    expect(branches.replaceAll(ofSeveral, "$1")).toBe("  else\n    c;");
    const statements = sources
      .filter(({ name }) => names.has(name))
      .flatMap(({ source }) => source.replaceAll(ofSeveral, "$1").split(";"));
    expect(statements.filter((each) => each.includes(" baseledger.events e"))).not.toEqual([]);
    expect(statements.filter(unrestricted)).toEqual([]);
  });

  test("lock several wallets in byte order, with one statement each", () => {
    const transfer = sources.find(({ name }) => name === "transfer")?.source ?? "";
    expect(transfer).toMatch(/least\(p_from collate "C", p_to collate "C"\)/);
    expect(transfer.match(/for no key update/g)).toHaveLength(1);
  });

  test("wait for the lock of one wallet at a time, or not at all", () => {
    const locks = sources
      .filter(({ name }) => name !== "transfer")
      .flatMap(({ source }) => source.split(";"))
      .filter((statement) => statement.includes("for no key update"));
    expect(locks.length).toBeGreaterThan(1);
    const waiting = locks.filter(
      (statement) => !/for no key update\s+(of \w\s+)?skip locked/.test(statement),
    );
    expect(waiting.filter((each) => !/\bwallet_id = (p_wallet_id|v_id)\b/.test(each))).toEqual([]);
  });

  test("of triggers read their own row only", () => {
    const triggers = sources.filter(({ name }) => name.startsWith("tg_"));
    expect(triggers).toHaveLength(1);
    expect(triggers.filter(({ source }) => /\b(from|into|update)\s/.test(source))).toEqual([]);
  });

  test("refuse a wallet id that is null", async () => {
    const rows = await ledger.admin<{ name: string; call: string }[]>`
      select p.proname as name,
          'select * from baseledger.' || p.proname || '(' || (
            select string_agg('null::' || format_type(t, null), ', ' order by n)
              from unnest(p.proargtypes::oid[]) with ordinality as a(t, n)
          ) || ')' as call
        from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
          and p.prosecdef
          and p.proargnames[1] in ('p_wallet_id', 'p_from')
          -- null means all wallets there
          and p.proname not in ('verify', 'add_webhook', 'list_webhooks')`;
    expect(rows.length).toBeGreaterThan(32);
    for (const { call } of rows) {
      await expectRefusal("LGARG", ledger.admin.unsafe(call));
    }
  });
});
