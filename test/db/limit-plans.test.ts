import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger, openWallet, type Session, type TestLedger } from "../support/ledger.ts";
import { copyTemplate, startTemplateServer } from "../support/template.ts";

// What limits read must not grow with the history of a wallet, nor with the number of counters, whatever
// the statistics of the tables are: see plans.test.ts.

const server = await startTemplateServer();
afterAll(() => server.stop());

const EVENTS = 20_000;
const OPEN = 200;
const COUNTERS = 5_000;
/** The most that a single command reads without limits. */
const FEW = 20;

const TABLES = ["wallets", "events", "reservations", "limits", "counters"];

/** A wallet with a long history, open reservations of many users, and limits with many counters. */
async function fill(ledger: TestLedger): Promise<void> {
  await openWallet(ledger, "hot", 1_000_000_000n);
  await ledger.admin.unsafe(`
    insert into baseledger.events (seq, amount, available, reserved, spent, occurred_at, event,
        wallet_id, reservation_id, idempotency_key, actor, metadata, hash)
      select w.seq + n, 1, w.available, w.reserved, w.spent,
          w.last_event_at + n * interval '1 microsecond', 'charged', w.wallet_id, 'old ' || n,
          'old ' || n, 'filler', '{"user": "old"}', w.hash
        from baseledger.wallets w, generate_series(1, ${EVENTS}) n where w.wallet_id = 'hot';
    update baseledger.wallets set seq = seq + ${EVENTS},
        last_event_at = last_event_at + ${EVENTS} * interval '1 microsecond'
      where wallet_id = 'hot'`);
  await ledger.agent.unsafe(`
    select count(baseledger.reserve('hot', 5, 'r' || n, '1 hour',
        p_metadata => jsonb_build_object('user', 'u' || n, 'team', 't' || n % 3)))
      from generate_series(1, ${OPEN}) n`);
  await ledger.agent`select baseledger.charge('hot', 9, 'charged')`;
  await ledger.operator`
    select baseledger.set_limit('hot', 'day', 1000, 'day', '{user}'),
      baseledger.set_limit('hot', 'ever', 1000, 'ever', '{user,team}'),
      baseledger.set_limit('hot', 'all', 100000, 'month'),
      baseledger.set_limit('hot', 'calls', 100000, 'year', '{team}', 'calls')`;
  await ledger.admin.unsafe(`
    insert into baseledger.counters
      select 'hot', l.limit_id, case l.limit_id when 'day' then array['x' || n]
          else array['x' || n, 't' || n % 3] end, null, 7, 0, l.starts_at, l.ends_at
        from baseledger.limits l, generate_series(1, ${COUNTERS}) n
        where l.limit_id in ('day', 'ever');
    insert into baseledger.counters
      select 'hot', 'day', array['past' || n], null, 7, 0, l.starts_at - interval '9 days',
          l.ends_at - interval '9 days'
        from baseledger.limits l, generate_series(1, 100) n where l.limit_id = 'day'`);
}

const analyse = (ledger: TestLedger) =>
  ledger.admin.unsafe(`analyze ${TABLES.map((table) => `baseledger.${table}`).join()}`);

type Statistics = readonly [name: string, before: boolean, after: boolean];
const statistics: Statistics[] = [
  ["never made", false, false],
  ["made while the tables were empty", true, false],
  ["made with everything in it", false, true],
];

describe.each(statistics)("with statistics %s", (_name, before, after) => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await createLedger(await copyTemplate(server));
    await ledger.admin.unsafe(
      TABLES.map((table) => `alter table baseledger.${table} set (autovacuum_enabled = off)`).join(
        ";",
      ),
    );
    if (before) await analyse(ledger);
    await fill(ledger);
    if (after) await analyse(ledger);
  });
  afterAll(() => ledger[Symbol.asyncDispose]());

  /** How many rows and index entries a statement reads; it is rolled back. */
  async function reads({ sql }: Session, statement: string): Promise<number> {
    const count = async () => {
      const [row] = await sql<{ sum: bigint }[]>`
        select sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid))
              ::bigint as sum
          from pg_class
          where relnamespace = 'baseledger'::regnamespace and relkind in ('r', 'i')`;
      return row?.sum ?? 0n;
    };
    await sql.unsafe("begin");
    const at = await count();
    await sql.unsafe(statement);
    const sum = Number((await count()) - at);
    await sql.unsafe("rollback");
    return sum;
  }

  const user = `p_metadata => '{"user": "x77", "team": "t2"}'`;
  test.each([
    ["select baseledger.set_limit('hot', 'new', 10, 'day')", 4 * OPEN + FEW],
    ["select baseledger.set_limit('hot', 'new', 10, 'day', '{user}')", 8 * OPEN + FEW],
    ["select baseledger.set_limit('hot', 'new', 9, 'ever', '{user}', 'open')", 8 * OPEN + FEW],
    ["select baseledger.set_limit('hot', 'new', 10, 'day', '{user}', 'calls')", 2 * FEW],
    ["select baseledger.set_limit('hot', 'day', 10, 'day', '{user}')", 2 * FEW],
    ["select baseledger.set_limit_for('hot', 'day', '{x77}', 10)", 2 * FEW],
    ["select baseledger.set_limit_for('hot', 'day', '{new}', 10)", 2 * FEW],
    ["select baseledger.remove_limit('hot', 'calls')", 2 * FEW],
    ["select * from baseledger.limits('hot', 'day', null, 10)", 2 * FEW],
    ["select * from baseledger.limits('hot', 'day', '{x4000}', 10)", 2 * FEW],
    [`select baseledger.reserve('hot', 1, 'n', ${user})`, 3 * FEW],
    [`select baseledger.charge('hot', 1, 'n', ${user})`, 3 * FEW],
    ["select baseledger.settle('hot', 'r7', 1, 'n')", 3 * FEW],
    ["select baseledger.extend('hot', 'r7', '1 hour', 'n', 9)", 3 * FEW],
    ["select baseledger.cancel('hot', 'r7', 'n')", 3 * FEW],
    ["select baseledger.refund('hot', 'charged', 1, 'n')", 3 * FEW],
  ])("%s reads a few rows", async (statement, limit) => {
    await using operator = await ledger.session("operator");
    expect(await reads(operator, statement)).toBeLessThanOrEqual(limit);
  });

  test("clearing counters reads those that it deletes", async () => {
    await using worker = await ledger.session("worker");
    const clear = "select baseledger.clear_counters(10)";
    expect(await reads(worker, clear)).toBeLessThanOrEqual(10 * FEW);
  });
});
