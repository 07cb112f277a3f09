// An upgrade while sessions of the previous version are in the middle of a command: the old body of
// a function goes on, with types and tables that have changed.
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { migrate } from "../../src/migrate/index.ts";
import { earlierRelease, releaseOnTop } from "../support/release.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";
import { compare, startLoad } from "./load.ts";

const WALLETS = ["a", "b", "c", "d"];
const AGENT = "upgrade_test_agent";
// The errors after which docs/upgrading.md asks other drivers to send again.
const RETRIED = ["0A000", "42804", "42846", "42704", "42883", "XX000"];

let directory: string;
let database: TestDatabase;
let admin: postgres.Sql;
let url: string;

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), "upgrade-"));
  database = await createDatabase("empty");
  admin = postgres(database.url, {
    max: 2,
    onnotice: () => undefined,
    types: { bigint: postgres.BigInt },
  }) as unknown as postgres.Sql;
  const address = new URL(database.url);
  Object.assign(address, { username: AGENT, password: "secret" });
  url = address.href;
});

afterEach(async () => {
  await admin.end();
  await database.drop();
  fs.rmSync(directory, { recursive: true });
});

// In the end everything is there again, as another version that fits the functions.
const CHANGE_ALL = `
  do $$
  declare
    v_type regclass;
    v_function text;
  begin
    for v_type in
      select c.oid from pg_class c
        where c.relnamespace = 'baseledger'::regnamespace and c.relkind = 'c'
    loop
      execute format('alter type %s add attribute later integer', v_type);
      execute format('alter type %s drop attribute later', v_type);
    end loop;
    for v_function in
      select pg_get_functiondef(p.oid) from pg_proc p
        where p.pronamespace = 'baseledger'::regnamespace
    loop
      execute v_function;
    end loop;
  end $$;`;

const upgrades = [
  ["adds a column to the journal", "alter table baseledger.events add column later integer;"],
  ["changes every type and replaces every function", CHANGE_ALL],
] as const;

describe.each(upgrades)("an upgrade that %s", (_, change) => {
  test("is not noticed by callers of the client", async () => {
    await install();
    await using ledger = createLedger(url, { connections: 4 });
    // Each connection has planned its commands before: as the wallets are locked, it has one of them.
    for (const round of ["first", "second"]) {
      const calls = await whileLocked(
        () => WALLETS.map((walletId) => reserve(ledger, walletId, `before ${round}`)),
        async () => undefined,
      );
      await Promise.all(calls);
    }

    const calls = await duringUpgrade(releaseOnTop(directory, [change]), () =>
      WALLETS.map(async (walletId) => {
        const { reservationId } = await reserve(ledger, walletId, "during");
        return ledger.settle({ walletId, reservationId, amount: 2n });
      }),
    );
    const receipts = await Promise.all(calls);
    expect(receipts.map(({ event, spent }) => [event, spent])).toEqual(
      WALLETS.map(() => ["settled", 2n]),
    );
    expect(await eventsOf("during")).toBe(WALLETS.length);
    expect(await admin`select * from baseledger.verify()`).toEqual([]);
  });

  test("fails plain sessions once, with a documented code, and nothing done", async () => {
    await install();
    const clients = await Promise.all(WALLETS.map(() => plainSession()));
    const reserveAll = (key: string) =>
      clients.map((client, i) => reservePlainly(client, WALLETS[i] ?? "", key));
    await Promise.all(reserveAll("before"));
    const sent = await duringUpgrade(releaseOnTop(directory, [change]), () =>
      reserveAll("during").map((each) =>
        each.then(
          () => "done",
          (error: { code: string }) => error.code,
        ),
      ),
    );
    const codes = await Promise.all(sent);
    expect(codes.filter((code) => code !== "done" && !RETRIED.includes(code))).toEqual([]);
    expect(await eventsOf("during")).toBe(codes.filter((code) => code === "done").length);
    // Sent again with the same key in the same session, it is done, and only once.
    await Promise.all(reserveAll("during"));
    expect(await eventsOf("during")).toBe(WALLETS.length);
    await Promise.all(clients.map((client) => client.end()));
  });
});

test("an upgrade from the first migration to the last is not noticed by callers under load", async () => {
  await install(earlierRelease(directory, 1));
  await using ledger = createLedger(url, { connections: 4 });
  const load = startLoad(ledger, WALLETS, 12);
  await until("there is load", () => load.receipts.size > 100);
  await migrate(database.url, earlierRelease(directory));
  const before = load.receipts.size;
  await until("the load goes on", () => load.receipts.size > before + 100);
  await load.stop();
  expect(load.errors).toEqual([]);
  await compare({ admin }, load.receipts);
  expect(await admin`select * from baseledger.verify()`).toEqual([]);
});

async function install(from: { directory?: string } = {}): Promise<void> {
  await migrate(database.url, from);
  await admin.unsafe(`
    do $$ begin
      create role ${AGENT} login password 'secret' in role baseledger_agent;
    exception when duplicate_object or unique_violation then null; end $$;
    select baseledger.open_wallet(w) from unnest('{${WALLETS}}'::text[]) w;
    select baseledger.credit(w, 1000000, 'funds') from unnest('{${WALLETS}}'::text[]) w`);
}

/** Sends commands that wait for their wallet inside the ledger's functions during the upgrade. */
function duringUpgrade<T>(to: { directory: string }, send: () => T): Promise<T> {
  return whileLocked(send, () => migrate(database.url, to));
}

async function whileLocked<T>(send: () => T, act: () => Promise<unknown>): Promise<T> {
  const holder = await admin.reserve();
  await holder`begin`;
  await holder`select from baseledger.wallets for no key update`;
  const sent = send();
  await until("sessions are in the middle of a command", async () => {
    const [row] = await admin<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity
        where datname = ${database.name} and usename = ${AGENT} and wait_event_type = 'Lock'`;
    return row?.n === WALLETS.length;
  });
  await act();
  await holder`commit`;
  holder.release();
  return sent;
}

function reserve(ledger: Ledger, walletId: string, key: string) {
  return ledger.reserve({ walletId, amount: 10n, idempotencyKey: key });
}

async function plainSession(): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  return client;
}

async function reservePlainly(client: pg.Client, walletId: string, key: string): Promise<void> {
  const text = "select * from baseledger.reserve($1, 10, $2)";
  await client.query({ name: "reserve", text, values: [walletId, key] });
}

async function eventsOf(key: string): Promise<number> {
  const [row] = await admin<{ n: number }[]>`
    select count(*)::int as n from baseledger.events where idempotency_key = ${key}`;
  return row?.n ?? 0;
}
