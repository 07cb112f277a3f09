import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attempt, DENIED } from "../support/attempt.ts";
import { createGuarded } from "../support/guarded.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  type Arguments,
  balance,
  command,
  digest,
  expectRefusal,
  loginOf,
  post,
  postMany,
  type TestLedger,
} from "../support/ledger.ts";

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

describe("an agent cannot add funds to its budget", () => {
  const credit = `row('credit', 'k', null, 1000, null, null, true, '{}', null, null, null, null, 1, 1, null)
    ::baseledger._command`;
  const attacks: [string, ...string[]][] = [
    // by functions of other roles
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
    // by helpers
    ["_execute", `select baseledger._execute('w', array[${credit}])`],
    [
      "_execute, with several wallets",
      `select baseledger._execute(null, array[${credit}], p_wallet_ids => array['w'])`,
    ],
    ["_lock_several", "select baseledger._lock_several(array['w'], null)"],
    ["_execute_batch", `select baseledger._execute_batch('w', array[${credit}], false)`],
    ["_execute_single", `select baseledger._execute_single('w', ${credit})`],
    ["_sweep_wallets", "select baseledger._sweep_wallets(array['w'], 10)"],
    [
      "a helper as an aggregate",
      `create aggregate public.folding(jsonb) (
      sfunc = baseledger._compare_requests, stype = jsonb)`,
    ],
    [
      "a helper as an operator",
      `create operator public.@@@ (
      leftarg = jsonb, rightarg = jsonb, function = baseledger._compare_requests)`,
    ],
    [
      "a helper as a trigger",
      `create trigger t before insert on public.owned
      for each row execute function baseledger.tg_events__append_only()`,
    ],
    // by tables
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
      "through a view of its own",
      `create view public.mine as select * from baseledger.wallets`,
      "update public.mine set available = 1000000",
    ],
    [
      "by a rule of a view of its own",
      `create view public.mine as select 1 as x`,
      `create rule r as on update to public.mine do instead
        update baseledger.wallets set available = 1000000`,
      "update public.mine set x = 2",
    ],
    ["by a child of the table", "create table public.child () inherits (baseledger.wallets)"],
    ["by a partition", `alter table baseledger.wallets attach partition public.owned default`],
    ["by a foreign key", `create table public.child (w text references baseledger.wallets)`],
    ["by a copy of the table", "create table public.child (like baseledger.wallets)"],
    // by changing the schema
    [
      "replace a function",
      `create or replace function baseledger.balance(p_wallet_id text)
      returns baseledger.wallet_balance language sql as 'select null'`,
    ],
    [
      "overload a function",
      `create function baseledger._execute(text) returns text
      language sql as 'select null'`,
    ],
    ["alter a function", "alter function baseledger.reserve set search_path = public"],
    ["own a function", `alter function baseledger._execute owner to ${loginOf("agent")}`],
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
    // by becoming another role
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
      "a function of its own given to the owner",
      `create function public.f() returns bigint
      language sql security definer as 'update baseledger.wallets set available = 9 returning 1'`,
      "alter function public.f() owner to baseledger_owner",
    ],
    // by rights of the server
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

  // The codes of statements where PostgreSQL checks something else before the rights.
  const otherCodes: Record<string, string[]> = {
    "a cast between built-in types": ["42501", "42710"],
    "an extension": ["42501", "0A000", "58P01"],
    "by a partition": ["42501", "42809", "42P16"],
    load: ["42501"],
  };

  test.each(attacks)("by: %s", async (name, ...statements) => {
    expect(otherCodes[name] ?? [DENIED]).toContain(await attempt(ledger, "agent", ...statements));
    expect(await digest(ledger)).toBe(before);
  });

  test.each(attacks)("nor can an outsider, by: %s", async (name, ...statements) => {
    const code = await attempt(ledger, "outsider", ...statements);
    expect(otherCodes[name] ?? [DENIED]).toContain(code);
    expect(await digest(ledger)).toBe(before);
  });

  test("large objects, advisory locks and temporary tables change no row", async () => {
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
    ...["Reserve", "reserve ", "", "null", "_execute"],
  ];
  test.each(unknown)("post and post_many refuse the op %j", async (op) => {
    const commands = [
      { op, amount: 500, idempotency_key: "k" },
      { op, amount: -500, idempotency_key: "k", reservation_id: "charge" },
      { op, reservation_id: "open" },
    ];
    const receipts = await post(ledger.agent, "w", commands);
    expect(receipts.map(({ refused }) => refused)).toEqual(["LGUNK", "LGUNK", "LGUNK"]);
    const ofMany = ["w", "other", "none"].flatMap((wallet_id) =>
      commands.map((each) => ({ ...each, wallet_id })),
    );
    for (const role of ["agent", "operator"] as const) {
      const answers = await postMany(ledger[role], ofMany);
      expect(new Set(answers.map(({ refused }) => refused))).toEqual(new Set(["LGUNK"]));
    }
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
  test.each(negative)("%s refuses %o", async (name, args) => {
    const given = { ...args, idempotency_key: "k" };
    await expectRefusal("LGARG", command(ledger.agent, name, { wallet_id: "w", ...given }));
    const ttl = args.ttl === undefined ? {} : { ttl: args.ttl };
    const batched = { op: name, ...given, ...ttl };
    const [receipt] = await post(ledger.agent, "w", [batched]);
    expect(receipt?.refused).toBe("LGARG");
    const [ofMany] = await postMany(ledger.agent, [{ ...batched, wallet_id: "w" }]);
    expect(ofMany?.refused).toBe("LGARG");
    expect(await digest(ledger)).toBe(before);
  });

  // Internal fields of a command.
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
  test.each(smuggled)("post and post_many refuse %o", async (given) => {
    const smuggling = { ...given, idempotency_key: "k" };
    const [receipt] = await post(ledger.agent, "w", [smuggling]);
    expect(receipt?.refused).toBe("LGARG");
    // What post refuses as a field of its own is the wallet's name there.
    if (given.wallet_id !== undefined) return;
    const [ofMany] = await postMany(ledger.agent, [{ ...smuggling, wallet_id: "w" }]);
    expect(ofMany?.refused).toBe("LGARG");
    expect(await digest(ledger)).toBe(before);
  });

  // A reservation returns its funds once.
  const repeated: [string, string, Arguments][] = [
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
  test.each(repeated)("%s refuses %s %o", async (code, name, args) => {
    const given = { wallet_id: "w", idempotency_key: "k", ...args };
    await expectRefusal(code, command(ledger.agent, name, given));
    const ttl = args.ttl === undefined ? {} : { ttl: args.ttl };
    const [receipt] = await postMany(ledger.agent, [{ op: name, ...given, ...ttl }]);
    expect(receipt?.refused).toBe(code);
    expect(await digest(ledger)).toBe(before);
  });

  test("its own commands never increase the sum of its balances", async () => {
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

  test("nor do those of a batch over several wallets, in any of them", async () => {
    const sums = new Map<string, bigint>();
    for (const id of ["w", "other"]) {
      const { available, reserved, spent } = await balance(ledger.agent, id);
      sums.set(id, available + reserved + spent);
    }
    const session = await ledger.session("agent");
    await session.sql.unsafe("begin");
    const receipts = await postMany(
      session.sql,
      ["w", "other"].flatMap((wallet_id) => [
        { wallet_id, op: "reserve", amount: 100n, at_least: 1n, idempotency_key: "1" },
        { wallet_id, op: "extend", reservation_id: "1", ttl: 60, amount: 1n, idempotency_key: "2" },
        { wallet_id, op: "settle", reservation_id: "1", amount: 0n, idempotency_key: "3" },
        { wallet_id, op: "cancel", reservation_id: "open", idempotency_key: "4" },
        { wallet_id, op: "cancel", reservation_id: "theirs", idempotency_key: "5" },
        { wallet_id, op: "charge", amount: 1n, idempotency_key: "6" },
      ]),
    );
    expect(receipts.filter(({ refused }) => refused === null)).toHaveLength(10);
    expect(receipts.flatMap(({ refused }) => refused ?? [])).toEqual(["LGRNF", "LGRNF"]);
    for (const { wallet_id, available, reserved, spent, refused } of receipts) {
      if (refused !== null) continue;
      const sum = [available, reserved, spent].reduce(
        (all, each) => (all ?? 0n) + (each ?? 0n),
        0n,
      );
      expect([wallet_id, sum]).toEqual([wallet_id, sums.get(wallet_id)]);
    }
    await session.sql.unsafe("rollback");
    await session.sql.end();
  });
});
