import { setImmediate } from "node:timers/promises";
import type postgres from "postgres";
import { createLedger, type Ledger, type LedgerOptions } from "../../src/client/ledger.ts";
import type { Queryable } from "../../src/wire/call.ts";
import { loginOf, type TestLedger } from "../support/ledger.ts";
import { templateServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** The address of a test's database, with the login of a role. */
export function urlOf(ledger: TestLedger, role: Parameters<typeof loginOf>[0] = "agent"): string {
  const url = new URL(`/${ledger.name}`, templateServer().serverUrl);
  url.username = loginOf(role);
  url.password = "secret";
  return url.href;
}

/** A client with an agent's login, and a pool of its own. */
export function createClient(ledger: TestLedger, options?: LedgerOptions): Ledger {
  return createLedger(urlOf(ledger), options);
}

/** Counts the batches that go through a pool: of one wallet, and of several. */
export function countPosts(sql: postgres.Sql | Queryable): {
  readonly sql: Queryable;
  posts: number;
  several: number;
} {
  const counted = {
    posts: 0,
    several: 0,
    sql: {
      ...("options" in sql && { options: sql.options }),
      unsafe(query: string, parameters: (string | null)[], options: { prepare: boolean }) {
        if (query.includes('"post"')) counted.posts += 1;
        if (query.includes('"post_many"')) counted.several += 1;
        return sql.unsafe(query, parameters, options);
      },
    },
  };
  return counted;
}

/** How many events each transaction has written, in order. */
export async function eventsByTransaction(ledger: TestLedger, walletId: string) {
  const rows = await ledger.admin<{ events: number }[]>`
    select count(*)::integer as events
      from baseledger.events
      where wallet_id = ${walletId} and event not in ('opened', 'credited')
      group by xmin::text
      order by min(seq)`;
  return rows.map(({ events }) => events);
}

/** Whether a promise has settled by now. */
export function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([settled, setImmediate(false)]);
}

/** The error of this class that a promise rejects with. */
export async function rejection<E extends Error>(
  // biome-ignore lint/suspicious/noExplicitAny: the arguments of a constructor do not matter here.
  Class: abstract new (...args: any[]) => E,
  attempt: Promise<unknown>,
): Promise<E> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Class) return error;
    throw error;
  }
  throw new Error(`it did not reject with ${Class.name}`);
}

/** Waits until so many sessions of a test's database are blocked; returns their processes. */
export function untilBlocked(ledger: TestLedger, count: number): Promise<number[]> {
  return until(`${count} connections wait for a lock`, async () => {
    const blocked = await ledger.admin<{ pid: number }[]>`
      select pid from pg_stat_activity
        where datname = ${ledger.name} and cardinality(pg_blocking_pids(pid)) > 0`;
    return blocked.length === count && blocked.map(({ pid }) => pid);
  });
}
