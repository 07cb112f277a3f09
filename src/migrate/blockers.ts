import { setTimeout as pause } from "node:timers/promises";
import type postgres from "postgres";

/** A session that holds a lock which a migration needs, as far as the server shows it to the login. */
export interface Blocker {
  /** Process id of the session; null for a prepared transaction, which has none. */
  readonly pid: number | null;
  /** Its `application_name`, or the name of the prepared transaction. */
  readonly application: string;
  readonly login: string | null;
  /** Its state, e.g. `active`, `idle in transaction`; null where the server does not show it. */
  readonly state: string | null;
  /** How long its transaction has been open, in seconds; null where the server does not show it. */
  readonly transactionAge: number | null;
}

/** Watches what blocks a session. */
export interface Watch {
  /** Ends the watching, and returns the blockers seen last. */
  stop(): Promise<readonly Blocker[]>;
}

const EVERY_MS = 100;

// Also what blocks the blockers: an ALTER that waits itself ends when what it waits for ends.
const BLOCKERS = `
  with recursive blocker (pid) as (
    select pg_catalog.unnest(pg_catalog.pg_blocking_pids($1))
    union
    select pg_catalog.unnest(pg_catalog.pg_blocking_pids(b.pid)) from blocker b where b.pid > 0
  )
  select b.pid, coalesce(a.application_name, '') as application, a.usename::text as login, a.state,
      extract(epoch from clock_timestamp() - a.xact_start)::float8 as age
    from blocker b
    left join pg_catalog.pg_stat_activity a on a.pid = b.pid
    where b.pid > 0
  union all
  select null, x.gid, x.owner::text, 'prepared',
      extract(epoch from clock_timestamp() - x.prepared)::float8
    from pg_catalog.pg_prepared_xacts x
    where x.database = pg_catalog.current_database()
      and exists (select from blocker b where b.pid = 0)
  order by age desc nulls last`;

/**
 * Watches what blocks the session `pid`, from another connection. When `signal` is aborted, it
 * cancels that session's statements repeatedly: a cancellation between two statements is lost.
 */
export function watchBlockers(beside: postgres.Sql, pid: number, signal?: AbortSignal): Watch {
  const stopped = new AbortController();
  let seen: readonly Blocker[] = [];
  const watch = async () => {
    for (;;) {
      await pause(EVERY_MS, undefined, { signal: stopped.signal });
      if (signal?.aborted) {
        await beside.unsafe("select pg_catalog.pg_cancel_backend($1)", [pid]);
      } else {
        const rows = await beside.unsafe<BlockerRow[]>(BLOCKERS, [pid]);
        if (rows.length > 0) seen = rows.map(blockerOf);
      }
    }
  };
  // Without a second connection the migration goes on, and names no blockers.
  const done = watch().catch(() => undefined);
  return {
    async stop() {
      stopped.abort();
      await done;
      return seen;
    },
  };
}

/** Describes a blocker: what a person needs to find it, and to decide whether to end it. */
export function formatBlocker(blocker: Blocker): string {
  const { pid, application, login, state, transactionAge: age } = blocker;
  const facts = [
    ...(pid !== null && application ? [application] : []),
    ...(login === null ? ["a process of the server"] : [`login ${login}`]),
    ...(state === null || pid === null ? [] : [state]),
    ...(age === null ? [] : [`transaction open for ${formatDuration(age)}`]),
  ];
  const who = pid === null ? `prepared transaction ${application}` : `pid ${pid}`;
  return `${who} (${facts.join(", ")})`;
}

/** Formats seconds, from two minutes on as minutes. */
export function formatDuration(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

interface BlockerRow {
  readonly pid: number | null;
  readonly application: string;
  readonly login: string | null;
  readonly state: string | null;
  readonly age: number | null;
}

function blockerOf({ age, ...row }: BlockerRow): Blocker {
  return { ...row, transactionAge: age };
}
