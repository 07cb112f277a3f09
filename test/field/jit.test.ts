import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres } from "../../src/embedded/index.ts";
import { findInstalled } from "../support/installed.ts";
import { createDatabase } from "../support/server.ts";
import { install } from "../support/template.ts";

// Compiling a plan takes about 100 ms, a command less than one, so that no statement of the ledger may
// be compiled, whatever its estimated cost. auto_explain reports for each statement of a function the
// settings it was planned with, and what was compiled.

const folder = mkdtempSync(join(tmpdir(), "baseledger-jit-"));
// The server may run as another user.
chmodSync(folder, 0o755);
const installed = findInstalled(folder);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Calls of every public function, one for each path with other statements. */
const CALLS = [
  "open_wallet('w')",
  "open_wallet('w')",
  "open_wallet('v')",
  "credit('w', 1000, 'c')",
  "reserve('w', 5, 'r1')",
  "reserve('w', 5, 'r2', '1 hour', 'id', 1)",
  "reserve('w', 5, 'r1')",
  "extend('w', 'r1', '1 hour', 'e1', 9)",
  "settle('w', 'r1', 3, 's1', false)",
  "settle('w', 'r1', 3, 's2')",
  "refund('w', 'r1', 1, 'f1')",
  "cancel('w', 'id', 'x1')",
  "charge('w', 5, 'h1')",
  "withdraw('w', 5, 'wd')",
  "transfer('w', 'v', 5, 't1')",
  "freeze_wallet('w', 'stop')",
  "unfreeze_wallet('w', 'go')",
  "set_limit('w', 'day', 100000, 'day', p_alert_at => '{50}')",
  "set_limit('w', 'run', null, 'ever', '{run}')",
  "set_limit_for('w', 'run', '{7}', 1000)",
  "set_limit('w', 'gone', 5, 'hour')",
  "remove_limit('w', 'gone')",
  "set_low_balance('w', '{5}')",
  "limits('w')",
  "reserve('w', 5, 'r3', p_metadata => '{\"run\": \"7\"}')",
  "clear_counters()",
  "close_wallet('v', 'end')",
  "reopen_wallet('v', 'go')",
  "set_overdraft_limit('v', 5)",
  "charge('v', 5, 'h2', p_already_spent => true)",
  "reservation('w', 'r1')",
  "reservation('w', 'id')",
  "receipt('w', 'r1')",
  "list_wallets('w', 'USD', false, null, 'v')",
  "open_wallet('shut', p_restricted => true)",
  "credit('shut', 1000, 'c')",
  "allow('shut', current_user::text, '{\"a\": \"b\"}', '{c}')",
  "reserve('shut', 5, 'r1')",
  "reservation('shut', 'r1')",
  "receipt('shut', 'r1')",
  "balance('shut')",
  "disallow('shut', current_user::text)",
  "create_key('shut', p_idempotency_key => 'k')",
  "create_key('shut', p_idempotency_key => 'k')",
  "revoke_key('shut', (select key_id from baseledger.list_keys('shut')))",
  "list_grants('shut')",
  "list_keys('shut')",
  `post('w', '[{"op": "reserve", "amount": 1, "idempotency_key": "b1", "ttl": 60},
    {"op": "reserve", "amount": 1, "idempotency_key": "b2", "ttl": 1},
    {"op": "reserve", "amount": 5000, "idempotency_key": "b3"},
    {"op": "cancel", "reservation_id": "r1", "idempotency_key": "b4"},
    {"op": "settle", "reservation_id": "b1", "amount": 1, "idempotency_key": "b5"}]')`,
  "post('w', '[]')",
  `post_funds('w', '[{"op": "credit", "amount": 1, "idempotency_key": "b6"},
    {"op": "refund", "reservation_id": "h1", "amount": 1, "idempotency_key": "b7"}]')`,
  `post_many('[{"wallet_id": "w", "op": "reserve", "amount": 1, "idempotency_key": "m1", "ttl": 60},
    {"wallet_id": "v", "op": "reserve", "amount": 1, "idempotency_key": "m1", "ttl": 60},
    {"wallet_id": "w", "op": "settle", "amount": 1, "idempotency_key": "m2", "reservation_id": "m1"},
    {"wallet_id": "v", "op": "cancel", "idempotency_key": "m2", "reservation_id": "b1"},
    {"wallet_id": "nobody", "op": "charge", "amount": 1, "idempotency_key": "m3"}]')`,
  "post_many('[]')",
  "open_wallet('z')",
  "credit('z', 10, 'c')",
  "set_low_balance('z', '{5}')",
  "add_webhook('z', 'https://a.example.com', p_idempotency_key => 'h1')",
  "add_webhook('z', 'https://a.example.com', p_idempotency_key => 'h1')",
  "withdraw('z', 6, 'wd')",
  "queue_deliveries()",
  "start_delivery('z', 4, 1, (select webhook_id from baseledger.list_webhooks() limit 1))",
  "finish_delivery('z', 4, 1, (select webhook_id from baseledger.list_webhooks() limit 1), 'no')",
  "list_webhooks('z')",
  "remove_webhook((select webhook_id from baseledger.list_webhooks() limit 1))",
  "alert_counts()",
  "wallet_metrics()",
  "limit_metrics()",
  "expire_due()",
  "next_due()",
  "sweep_status()",
  "balance('w')",
  "balance_at('w', clock_timestamp())",
  "balance_at('w', '2020-01-01')",
  "statement('w')",
  "spending('w')",
  "spending('w', p_by => '{user,model}', p_per => 'day')",
  `set_price('p/m', '{"input": 5, "output": 7}')`,
  `set_prices('[{"model": "p/m", "rates": {"input": 5, "output": 7}},
    {"model": "p/other", "rates": {"input": 5}}, {"model": "p/name", "alias_of": "p/m"}]')`,
  "list_prices('p/')",
  `quote('{"model": "p/name", "input": 5}')`,
  `quotes('[{"model": "p/name", "input": 5}, {"model": "p/m", "input": 5}]')`,
  `affordable('{"model": "p/name", "input": 5}', 5)`,
  "verify()",
  "verify('w')",
  "verify_rights()",
  "wallets_ahead()",
  "doctor()",
];

/** The server of the tests has no LLVM, but that of Debian has. */
const servers = [
  { server: "the server of the tests", start: ours },
  { server: "an installed server", start: installed && (() => another(installed.package)) },
];

describe.each(servers)("on $server", ({ start }) => {
  if (!start) {
    test.skip("no PostgreSQL of 15 or later is installed here with its tools");
    return;
  }
  const notices: string[] = [];
  let sql: postgres.Sql;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const server = await start();
    sql = postgres(server.url, { max: 1, onnotice: ({ message = "" }) => notices.push(message) });
    stop = async () => {
      await sql.end();
      await server.stop();
    };
    await sql.unsafe(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_settings = on;
      set auto_explain.log_level = notice;
      set jit = on;
      set jit_above_cost = 0;`);
  });
  afterAll(() => stop());

  test("nothing that a function runs is compiled", async () => {
    const compiles = "select count(n * 2) from generate_series(1, 3) n where n > 1";
    const [llvm] = await sql<{ found: boolean }[]>`select pg_jit_available() as found`;
    await sql.unsafe(compiles);
    // Without this, no notice of compilation below would prove nothing.
    expect(notices.some((notice) => /^JIT:/m.test(notice))).toBe(llvm?.found);

    const wrong: string[] = [];
    let statements = 0;
    for (const call of CALLS) {
      notices.length = 0;
      const text = `select * from baseledger.${call}`;
      await sql.unsafe(text);
      // The caller's own statement does not count.
      const nested = notices.filter((notice) => !notice.includes(`Query Text: ${text}`));
      statements += nested.length;
      const planned = nested.filter(
        (n) => !/^Settings: .*jit = 'off'/m.test(n) || /^JIT:/m.test(n),
      );
      wrong.push(...planned.map((notice) => `${call}: ${notice}`));
    }
    expect(wrong).toEqual([]);
    expect(statements).toBeGreaterThan(4 * CALLS.length);
  });

  test("the calls cover every public function", async () => {
    const rows = await sql<{ name: string }[]>`
      select proname as name from pg_proc
        where pronamespace = 'baseledger'::regnamespace and proname !~ '^(_|tg_)'`;
    const called = new Set(CALLS.map((call) => call.slice(0, call.indexOf("("))));
    expect(rows.map(({ name }) => name).filter((name) => !called.has(name))).toEqual([]);
  });
});

async function ours() {
  const database = await createDatabase();
  return { url: database.url, stop: () => database.drop() };
}

async function another(name: string) {
  const server = await startPostgres({ package: name });
  await install(server.url);
  return server;
}
