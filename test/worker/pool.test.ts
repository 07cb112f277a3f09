import { run } from "graphile-worker";
import type pg from "pg";
import { test } from "vitest";
import { silence } from "../../src/worker/logger.ts";
import { createPool } from "../../src/worker/pool.ts";
import { createDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

// An unhandled rejection fails the run of vitest, so this also tests that there is none.
test("a runner that ends while its LISTEN breaks releases its connection once", async () => {
  await using database = await createDatabase("empty");
  const pool = createPool(database.url, silence);
  let breakOff: (() => void) | undefined;
  let released = 0;
  const connect = pool.connect.bind(pool) as (given: Connected) => void;
  pool.connect = ((given?: Connected) => {
    if (!given) return (connect as unknown as () => Promise<pg.PoolClient>)();
    return connect((error, client, release) => {
      if (!client) return given(error, client, release);
      const query = client.query.bind(client) as (...args: unknown[]) => unknown;
      client.query = ((...args: unknown[]) => {
        if (!String(args[0]).startsWith("LISTEN")) return query(...args);
        return new Promise((_, reject) => {
          breakOff = () => reject(new Error("Connection terminated unexpectedly"));
        });
      }) as typeof client.query;
      given(error, client, (...how) => {
        released += 1;
        release?.(...how);
      });
    });
  }) as typeof pool.connect;

  const runner = await run({ pgPool: pool, taskList: {}, noHandleSignals: true });
  await until("it listens", () => breakOff !== undefined);
  const stopped = runner.stop();
  breakOff?.();
  await stopped;
  await until("graphile-worker has released it twice", () => released === 2);
  await pool.end();
});

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: ((destroy?: Error | boolean) => void) | undefined,
) => void;
