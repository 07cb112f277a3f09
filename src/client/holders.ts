import type { Holder } from "../errors/index.ts";
import { call, type Queryable, read } from "../wire/index.ts";
import type { Slot, Slots } from "./slots.ts";
import { type Observed, observe } from "./statement.ts";

/** The sessions that block statements, by lock key, so that an error can name them. */
export interface Holders {
  /** The sessions that were last seen blocking statements of this key. */
  of(lockKey: unknown): readonly Holder[];
  /** Looks for them if the statement takes long; call what is returned when it has ended. */
  watch(lockKey: unknown, statement: Observed, lockTimeoutMs: number): () => void;
  /** Nothing is blocked any more. */
  forget(lockKey: unknown): void;
}

const LOOK_AFTER_MS = 200;
const LOOK_AGAIN_AFTER_MS = 5_000;
const MOST_KEYS = 1_000;

/** Finds the sessions that block statements. */
export function createHolders(sql: Queryable, slots: Slots): Holders {
  const known = new Map<unknown, { seen: readonly Holder[]; lookAgainAt: number }>();

  function look(lockKey: unknown, statement: Observed): void {
    const start = async (slot: Slot) => {
      const backend = statement.isRunning() ? statement.backend() : undefined;
      if (backend !== undefined) await record(lockKey, backend);
      slot.release("served");
    };
    slots.acquire({ lockKey: {}, slow: false, start });
  }

  async function record(lockKey: unknown, backend: number): Promise<void> {
    if (known.size >= MOST_KEYS) known.clear();
    const lookAgainAt = performance.now() + LOOK_AGAIN_AFTER_MS;
    const entry = { seen: known.get(lockKey)?.seen ?? [], lookAgainAt };
    known.set(lockKey, entry);
    // The error then names nobody.
    const found = await findHolders(sql, backend).catch(() => []);
    if (found.length > 0) entry.seen = found;
  }

  return {
    of: (lockKey) => known.get(lockKey)?.seen ?? [],
    watch(lockKey, statement, lockTimeoutMs) {
      const isEarly = performance.now() < (known.get(lockKey)?.lookAgainAt ?? 0);
      if (lockTimeoutMs <= LOOK_AFTER_MS || isEarly) return () => undefined;
      const timer = setTimeout(look, LOOK_AFTER_MS, lockKey, statement).unref();
      return () => clearTimeout(timer);
    },
    forget: (lockKey) => known.delete(lockKey),
  };
}

const holderRow = call.row<Holder>({
  pid: ["h.pid", read.number],
  user: ["h.usename", read.orNull(read.text)],
  application: ["h.application_name", read.orNull(read.text)],
  since: ["to_json(h.xact_start)", read.orNull(read.timestamp)],
});

/** The sessions at the head of the queue that a server process waits in, if this login sees them. */
function findHolders(sql: Queryable, backend: number): Promise<readonly Holder[]> {
  const query =
    "with recursive ahead(pid) as (" +
    // Behind a pooler the number is not that of a process: then no session of this login waits.
    "select b.pid from pg_catalog.pg_stat_activity a " +
    "cross join lateral unnest(pg_catalog.pg_blocking_pids(a.pid)) as b(pid) " +
    "where a.pid = $1::text::integer and a.usename = session_user " +
    "and a.wait_event_type = 'Lock' " +
    "union " +
    "select b.pid from ahead a " +
    "cross join lateral unnest(pg_catalog.pg_blocking_pids(a.pid)) as b(pid)) " +
    `select ${holderRow.columns} ` +
    "from ahead a join pg_catalog.pg_stat_activity h on h.pid = a.pid " +
    "where pg_catalog.cardinality(pg_catalog.pg_blocking_pids(a.pid)) = 0 " +
    "order by h.xact_start, h.pid limit 3";
  return call.many(observe(sql).sql, holderRow, query, [String(backend)]);
}
