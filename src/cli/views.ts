/*
 * The command line's own SQL. It stands here, by exception, because the wrappers are generated
 * from functions, and what follows reads views: nothing but the right to select from them
 * (baseledger_auditor) is needed, and an auditor may do the same in psql.
 */
import type postgres from "postgres";

/** Asks the server for nothing: there is a connection then. */
export async function ping(sql: postgres.ISql): Promise<void> {
  await sql`select`;
}

/** What a client finds out of the way to the server. */
export interface Surroundings {
  /** The server itself answers, and not a pooler in its stead. */
  readonly isDirect: boolean;
  /** How far the server's clock is ahead of this machine's at least; 0 if that cannot be told. */
  readonly secondsAhead: number;
}

/** Asks the server who and how late it is. */
export async function lookAround(sql: postgres.Sql): Promise<Surroundings> {
  const asked = Date.now();
  const answer = await sql<{ pid: number; now: number }[]>`
    select pg_backend_pid() as pid, extract('epoch' from clock_timestamp())::float8 * 1000 as now`;
  const answered = Date.now();
  const [{ pid, now } = { pid: 0, now: asked }] = answer;
  return {
    // The server names its process when it greets; a pooler greets in its stead.
    isDirect: answer.state.pid === pid,
    // It was so late for the server at some time in between.
    secondsAhead: (now - Math.min(Math.max(now, asked), answered)) / 1000,
  };
}

/** What there is to verify. */
export interface LedgerSize {
  readonly wallets: number;
  readonly events: number;
}

/** Counts wallets and their events: reads a row a wallet, and no event. */
export async function ledgerSize(sql: postgres.ISql): Promise<LedgerSize> {
  const [row] = await sql<{ wallets: string; events: string }[]>`
    select count(*) as wallets, coalesce(sum(seq), 0) as events
      from baseledger.wallet_balances`;
  return { wallets: Number(row?.wallets), events: Number(row?.events) };
}

/** A wallet, or an id that events or reservations have without one. */
export interface KnownWallet {
  readonly walletId: string;
  /** Null if there is no such wallet. */
  readonly events: number | null;
}

/**
 * Every wallet id that occurs anywhere, in order. The journal is read by one probe of its key for
 * each id, not by its events.
 */
export async function knownWallets(sql: postgres.ISql): Promise<KnownWallet[]> {
  const rows = await sql<{ wallet_id: string; events: string | null }[]>`
    with recursive journaled as (
      (select j.wallet_id from baseledger.journal j order by j.wallet_id limit 1)
      union all
      select (
          select j.wallet_id from baseledger.journal j
            where j.wallet_id > k.wallet_id
            order by j.wallet_id
            limit 1
        )
        from journaled k
        where k.wallet_id is not null
    ),
    known as (
      select wallet_id from journaled where wallet_id is not null
      union
      select wallet_id from baseledger.wallet_balances
      union
      select wallet_id from baseledger.open_reservations
    )
    select k.wallet_id, b.seq as events
      from known k
      left join baseledger.wallet_balances b using (wallet_id)
      order by k.wallet_id`;
  return rows.map(({ wallet_id, events }) => ({
    walletId: wallet_id,
    events: events === null ? null : Number(events),
  }));
}

/**
 * Events that were written to the journal by all sessions, as the server's own statistics know it:
 * any login may ask, and it costs nothing whatever the size. Null while there are none.
 */
export async function eventsWritten(sql: postgres.ISql): Promise<number | null> {
  const [row] = await sql<{ written: string }[]>`
    select n_tup_ins as written
      from pg_catalog.pg_stat_all_tables
      where schemaname = 'baseledger' and relname = 'events'`;
  return row ? Number(row.written) : null;
}

/** A wallet in a {@link Sample}; amounts are in its smallest step, as text. */
export interface SampledWallet {
  readonly walletId: string;
  readonly unit: string;
  readonly scale: number;
  readonly available: string;
  readonly reserved: string;
  readonly spent: string;
  readonly frozen: boolean;
  /** Held by reservations that are past their deadline, and not booked as expired yet. */
  readonly due: string;
  readonly open: number;
  /** Spent in the window. */
  readonly spending: string;
  /** Events in the window. */
  readonly events: number;
}

/** All wallets of one unit and scale together. */
export interface SampledUnit extends Omit<SampledWallet, "walletId" | "frozen" | "open" | "due"> {
  readonly wallets: number;
  /** Null if it was not looked for. */
  readonly due: string | null;
  readonly dueWallets: number | null;
}

/** The ledger at an instant. */
export interface Sample {
  /** By the database's clock. */
  readonly at: string;
  readonly windowSeconds: number;
  readonly wallets: number;
  readonly events: number;
  readonly open: number;
  /** The longest that an expiry booked in the window came after its deadline; null without one. */
  readonly sweepLagSeconds: number | null;
  /** How many wallets have a last event that lies ahead of the clock. */
  readonly walletsAhead: number;
  /** Those of them that are furthest. */
  readonly ahead: readonly { readonly walletId: string; readonly bySeconds: number }[];
  readonly units: readonly SampledUnit[];
  /** Those that spent most in the window. */
  readonly top: readonly SampledWallet[];
}

/** What to look at. */
export interface SampleOptions {
  readonly windowSeconds: number;
  /** How many wallets to show one by one. */
  readonly limit: number;
  /** Look for what is due in all wallets, which takes the last event of each: some 10 µs. */
  readonly dueOfAll: boolean;
}

/**
 * Looks at the whole ledger, and at its busiest wallets. Reads the row of each wallet, the events
 * of the window, found by the wallet's key, and the open reservations; never the whole journal.
 */
export async function sample(
  sql: postgres.ISql,
  { windowSeconds, limit, dueOfAll }: SampleOptions,
): Promise<Sample> {
  const [row] = await sql<{ sample: string }[]>`
    with sampled as materialized (
      select b.wallet_id, b.unit, b.scale, b.available, b.reserved, b.spent, b.frozen, b.seq,
          b.last_event_at,
          extract('epoch' from b.ahead_by) as ahead,
          l.reserved - b.reserved as due,
          case when b.last_event_at > w.since then b.spent - coalesce(k.spent, 0) else 0 end
            as spending,
          a.events, a.lag
        from baseledger.wallet_balances b
        cross join (
          select statement_timestamp() - make_interval(secs => ${windowSeconds}) as since
        ) as w
        left join lateral (
          select j.reserved
            from baseledger.journal j
            where j.wallet_id = b.wallet_id and j.seq = b.seq and ${dueOfAll}::boolean
            limit 1
        ) as l on true
        left join lateral (
          select j.seq, j.spent
            from baseledger.journal j
            where j.wallet_id = b.wallet_id
              and j.occurred_at <= w.since
              and b.last_event_at > w.since
            order by j.seq desc
            limit 1
        ) as k on true
        cross join lateral (
          select count(*) as events,
              max(j.occurred_at - j.expires_at) filter (where j.event = 'expired') as lag
            from baseledger.journal j
            where j.wallet_id = b.wallet_id
              and j.seq > coalesce(k.seq, 0)
              and b.last_event_at > w.since
        ) as a
    ),
    busiest as (
      select s.*, s.spending / 10::numeric ^ s.scale as rank
        from sampled s
        order by rank desc, s.events desc, s.last_event_at desc, s.wallet_id
        limit ${limit}
    )
    select json_build_object(
      'at', statement_timestamp(),
      'windowSeconds', ${windowSeconds}::float8,
      'wallets', (select count(*) from sampled),
      'events', (select coalesce(sum(seq), 0) from sampled),
      'open', (select count(*) from baseledger.open_reservations),
      'sweepLagSeconds', (select extract('epoch' from max(lag)) from sampled),
      'walletsAhead', (select count(ahead) from sampled),
      'ahead', coalesce((
        select json_agg(a order by a."bySeconds" desc, a."walletId")
          from (
            select wallet_id as "walletId", ahead as "bySeconds"
              from sampled
              where ahead is not null
              order by ahead desc, wallet_id
              limit 3
          ) as a
      ), '[]'),
      'units', coalesce((
        select json_agg(u order by u.wallets desc, u.unit, u.scale)
          from (
            select unit, scale, count(*) as wallets, sum(available)::text as available,
                sum(reserved)::text as reserved, sum(spent)::text as spent, sum(due)::text as due,
                case when ${dueOfAll}::boolean then count(*) filter (where due > 0) end
                  as "dueWallets",
                sum(spending)::text as spending, sum(events) as events
              from sampled
              group by unit, scale
          ) as u
      ), '[]'),
      'top', coalesce((
        select json_agg(t order by t.place)
          from (
            select row_number() over (
                  order by rank desc, events desc, last_event_at desc, wallet_id
                ) as place,
                wallet_id as "walletId", unit, scale, available::text, reserved::text,
                spent::text, frozen, spending::text, events, (
                  select (j.reserved - b.reserved)::text
                    from baseledger.journal j
                    where j.wallet_id = b.wallet_id and j.seq = b.seq
                ) as due, (
                  select count(*)
                    from baseledger.open_reservations o
                    where o.wallet_id = b.wallet_id
                ) as open
              from busiest b
          ) as t
      ), '[]')
    )::text as sample`;
  return JSON.parse(row?.sample ?? "") as Sample;
}
