import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startPostgres } from "../../src/embedded/index.ts";
import { findInstalled } from "../support/installed.ts";
import { PRIMARY_SETTINGS, type Standby, startStandby } from "../support/standby.ts";
import { install } from "../support/template.ts";
import { until } from "../support/until.ts";

// A hot standby answers as of the last transaction that it has replayed, not as of its clock: by the
// clock, deadlines have passed of holds that the primary has since extended or settled.

const folder = mkdtempSync(join(tmpdir(), "baseledger-standby-"));
// The servers may run as another user.
chmodSync(folder, 0o755);
const installed = findInstalled(folder);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Read {
  readonly balance: string;
  readonly past: string;
  readonly view: string;
  readonly open: string | null;
  readonly asOf: string;
}

describe("a hot standby", () => {
  if (!installed) {
    test.skip("no PostgreSQL of 15 or later is installed here with pg_basebackup");
    return;
  }
  let primary: Server;
  let standby: Standby;
  let onPrimary: postgres.Sql;
  let onStandby: postgres.Sql;

  beforeAll(async () => {
    primary = await startPostgres({ package: installed.package, settings: PRIMARY_SETTINGS });
    await install(primary.url);
    standby = await startStandby(installed, primary, folder);
    onPrimary = postgres(primary.url, { max: 1 });
    onStandby = postgres(standby.url, { max: 1 });
  });
  afterAll(async () => {
    await onStandby?.end();
    await onPrimary?.end();
    await standby?.[Symbol.asyncDispose]();
    await primary?.stop();
  });

  const replayed = async () => {
    const [head] = await onPrimary`select pg_current_wal_lsn()::text as lsn`;
    await until("the standby has replayed it", async () => {
      const [row] = await onStandby<{ there: boolean }[]>`
        select pg_last_wal_replay_lsn() >= ${head?.lsn}::text::pg_lsn as there`;
      return row?.there;
    });
  };

  const read = async (sql: postgres.Sql): Promise<Read | undefined> => {
    const [row] = await sql<Read[]>`
      select b.reserved || '/' || b.spent as balance, p.reserved || '/' || p.spent as past,
          v.reserved || '/' || v.spent as view,
          (select sum(held)::text from baseledger.open_reservations) as open,
          b.as_of::text as "asOf"
        from baseledger.balance('w') b, baseledger.balance_at('w', 'infinity') p,
          baseledger.wallet_balances v
        where v.wallet_id = 'w'`;
    return row;
  };
  /**
   * Reserves 60, pauses the standby, and extends the reservation before its deadline. Returns that
   * deadline. If the machine is too slow for the extension, tries again with a longer one.
   */
  const extendUnseen = async () => {
    for (let ttl = 2; ; ttl *= 3) {
      const [held] = await onPrimary<{ id: string; deadline: string }[]>`
        select reservation_id as id, expires_at::text as deadline
          from baseledger.reserve('w', 60, ${`short ${ttl}`}, make_interval(secs => ${ttl}))`;
      await onPrimary`select baseledger.credit('w', 1, ${`a commit after ${ttl}`})`;
      await replayed();
      await onStandby`select pg_wal_replay_pause()`;
      const id = held?.id ?? "";
      const [extended] = await onPrimary<{ refused: string | null }[]>`
        select refused from baseledger.post('w', jsonb_build_array(jsonb_build_object(
          'op', 'extend', 'reservation_id', ${id}::text, 'ttl', 3600, 'idempotency_key', 'beat')))`;
      if (extended?.refused === null) return held?.deadline ?? "";
      await onStandby`select pg_wal_replay_resume()`;
    }
  };
  const sameEverywhere = (balances: string, open: string | null) => ({
    balance: balances,
    past: balances,
    view: balances,
    open,
  });

  test("counts as returned only what was due as of the last replayed transaction", async () => {
    await onPrimary`select baseledger.open_wallet('w'), baseledger.credit('w', 100, 'funds'),
      baseledger.reserve('w', 10, 'long')`;
    const deadline = await extendUnseen();
    await until("the first deadline has passed", async () => {
      const [row] = await onStandby<{ past: boolean }[]>`
        select clock_timestamp() > ${deadline}::text::timestamptz as past`;
      return row?.past;
    });

    const behind = await read(onStandby);
    expect(behind).toMatchObject(sameEverywhere("70/0", "70"));
    const [honest] = await onStandby<{ honest: boolean }[]>`
      select ${behind?.asOf ?? ""}::text::timestamptz <= pg_last_xact_replay_timestamp() as honest`;
    expect(honest).toEqual({ honest: true });
    expect(await read(onPrimary)).toMatchObject(sameEverywhere("70/0", "70"));

    await onPrimary`select baseledger.settle('w', reservation_id, 50, 'end')
      from baseledger.open_reservations where reservation_id <> 'long'`;
    await onStandby`select pg_wal_replay_resume()`;
    await replayed();
    expect(await read(onStandby)).toMatchObject(sameEverywhere("10/50", "10"));
    expect([...(await onStandby`select * from baseledger.verify()`)]).toEqual([]);
  });
});
