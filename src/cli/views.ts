/*
 * The command line's own SQL. It stands here, by exception, because the wrappers are generated
 * from functions, and what follows reads views: nothing but the right to select from them
 * (baseledger_auditor) is needed, and an auditor may do the same in psql.
 */
import type postgres from "postgres";

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
