import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ClockedServer, skipped, startClocked } from "../support/faketime.ts";
import { install } from "../support/template.ts";

// A server's clock jumps ahead by 26 hours, for one event, and is right again.

const HOUR = 3600;

describe.skipIf(skipped)(`a clock that jumps ahead and back${skipped}`, () => {
  let clocked: ClockedServer;
  let sql: postgres.Sql;
  beforeAll(async () => {
    clocked = await startClocked();
    await install(clocked.server.url);
    sql = postgres(clocked.server.url, { max: 1 });
    await sql`select baseledger.open_wallet('w'), baseledger.credit('w', 100, 'funds')`;
  });
  afterAll(async () => {
    await sql?.end();
    await clocked?.[Symbol.asyncDispose]();
  });

  /** Sets the server's clock so many seconds ahead, and checks the whole hours by which it is. */
  const moveClock = async (seconds: number, hours: number) => {
    clocked.setAhead(seconds);
    const [row] = await sql<{ by: number }[]>`
      select round(extract('epoch' from clock_timestamp() - ${new Date()}) / 3600)::int as by`;
    expect(row?.by).toBe(hours);
  };
  const balance = async () => {
    const [row] = await sql<{ text: string; as_of: Date }[]>`
      select available || '/' || reserved || '/' || spent as text, as_of
        from baseledger.balance('w')`;
    const [viewed] = await sql<{ text: string }[]>`
      select available || '/' || reserved || '/' || spent as text
        from baseledger.wallet_balances where wallet_id = 'w'`;
    expect(viewed?.text).toBe(row?.text);
    return row?.text;
  };
  const ahead = async () => {
    const [row] = await sql<{ wallets: number; wallet_id: string | null; hours: number | null }[]>`
      select wallets::int, wallet_id,
          round(extract('epoch' from last_event_at - as_of) / 3600)::int as hours
        from baseledger.wallets_ahead()`;
    return row;
  };

  test("keeps deadlines by the clock and events in order", async () => {
    await moveClock(26 * HOUR, 26);
    await sql`select baseledger.reserve('w', 30, 'then', '1 hour')`;
    await moveClock(0, 0);
    expect(await balance()).toBe("70/30/0");
    expect(await ahead()).toEqual({ wallets: 1, wallet_id: "w", hours: 26 });

    const [held] = await sql<{ ttl: number; after: boolean }[]>`
      select extract('epoch' from r.expires_at - clock_timestamp())::float8 as ttl,
          r.occurred_at > clock_timestamp() + interval '25 hours' as after
        from baseledger.reserve('w', 20, 'now', '10 seconds') as r`;
    expect(held?.ttl).toBeGreaterThan(0);
    expect(held?.ttl).toBeLessThanOrEqual(10);
    expect(held?.after).toBe(true);
    const [again] = await sql`
      select replayed from baseledger.reserve('w', 20, 'now', '10 seconds')`;
    expect(again).toEqual({ replayed: true });

    await moveClock(11, 0);
    expect(await balance()).toBe("70/30/0");
    await sql`select baseledger.reserve('w', 70, 'all', '10 seconds')`;
    await moveClock(22, 0);
    const [swept] = await sql`select baseledger.expire_due() as expired`;
    expect(swept).toEqual({ expired: 1 });

    // What was held while the clock was ahead keeps its deadline; then the clock passes the last event.
    await moveClock(25 * HOUR, 25);
    expect(await balance()).toBe("70/30/0");
    await moveClock(28 * HOUR, 28);
    expect(await balance()).toBe("100/0/0");
    expect(await ahead()).toMatchObject({ wallets: 0 });
    await sql`select baseledger.reserve('w', 100, 'later', '10 seconds')`;

    const events = await sql<{ event: string; ahead: boolean; ordered: boolean }[]>`
      select event, details ? 'ahead_us' is true as ahead,
          occurred_at > lag(occurred_at, 1, '-infinity') over (order by seq) as ordered
        from baseledger.journal where wallet_id = 'w' order by seq`;
    expect(events.filter(({ ordered }) => !ordered)).toEqual([]);
    expect(events.map(({ event, ahead }) => (ahead ? `${event} ahead` : event))).toEqual([
      ...["opened", "credited", "reserved"],
      ...["reserved ahead", "expired ahead", "reserved ahead", "expired ahead"],
      ...["expired", "reserved"],
    ]);
    expect([...(await sql`select * from baseledger.verify()`)]).toEqual([]);
  });
});
