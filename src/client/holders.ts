import type { Queryable } from "../wire/call.ts";
import { withoutHoles } from "../wire/holes.ts";
import { type Observed, observe } from "./backends.ts";
import type { Holder } from "./errors.ts";
import type { Place, Places } from "./places.ts";

/** Who keeps statements waiting, by what these wait for. */
export interface Holders {
  /** Who was seen last to keep a subject. */
  of(subject: unknown): readonly Holder[];
  /** Asks for them if a statement takes long; what is returned stops that. */
  askFor(subject: unknown, statement: Observed, patience: number): () => void;
  /** The subject is free. */
  forget(subject: unknown): void;
}

const ASK_AFTER_MS = 200;
const ASK_AGAIN_AFTER_MS = 5_000;
const MOST = 1_000;

/** Finds out who keeps statements waiting, so that an error can tell. */
export function createHolders(sql: Queryable, places: Places): Holders {
  const known = new Map<unknown, { seen: readonly Holder[]; askAgainAt: number }>();

  function ask(subject: unknown, statement: Observed): void {
    const start = async (place: Place) => {
      const backend = statement.isRunning() ? statement.backend() : undefined;
      if (backend !== undefined) await note(subject, backend);
      place.leave("served");
    };
    places.enter({ subject: {}, slow: false, start });
  }

  async function note(subject: unknown, backend: number): Promise<void> {
    if (known.size >= MOST) known.clear();
    const noted = { seen: known.get(subject)?.seen ?? [], askAgainAt: now() + ASK_AGAIN_AFTER_MS };
    known.set(subject, noted);
    // What cannot be found out is not told.
    const found = await findHolders(sql, backend).catch(() => []);
    if (found.length > 0) noted.seen = found;
  }

  return {
    of: (subject) => known.get(subject)?.seen ?? [],
    askFor(subject, statement, patience) {
      const isEarly = now() < (known.get(subject)?.askAgainAt ?? 0);
      if (patience <= ASK_AFTER_MS || isEarly) return () => undefined;
      const timer = setTimeout(ask, ASK_AFTER_MS, subject, statement).unref();
      return () => clearTimeout(timer);
    },
    forget: (subject) => known.delete(subject),
  };
}

const now = () => performance.now();

/** Who holds what a process of the server waits for, as far as this login may see it. */
async function findHolders(sql: Queryable, backend: number): Promise<readonly Holder[]> {
  const answer = await observe(sql)
    .sql.unsafe(
      "with recursive ahead(pid) as (" +
        // Behind a pooler the number is not that of a process: then no one of this login waits.
        "select b.pid from pg_catalog.pg_stat_activity a " +
        "cross join lateral unnest(pg_catalog.pg_blocking_pids(a.pid)) as b(pid) " +
        "where a.pid = $1::text::integer and a.usename = session_user " +
        "and a.wait_event_type = 'Lock' " +
        "union " +
        "select b.pid from ahead a " +
        "cross join lateral unnest(pg_catalog.pg_blocking_pids(a.pid)) as b(pid)) " +
        "select h.pid, h.usename, h.application_name, to_json(h.xact_start) #>> '{}' " +
        "from ahead a join pg_catalog.pg_stat_activity h on h.pid = a.pid " +
        "where pg_catalog.cardinality(pg_catalog.pg_blocking_pids(a.pid)) = 0 " +
        "order by h.xact_start, h.pid limit 3",
      [String(backend)],
      { prepare: true },
    )
    .raw();
  return withoutHoles(answer).map((row) => {
    const [pid, user = null, application = null, since] = row.map(
      (value) => value?.toString("utf8") ?? null,
    );
    const at = since ? new Date(since) : null;
    return { pid: Number(pid), user, application, since: at };
  });
}
