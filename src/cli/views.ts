/*
 * The command line's own SQL (that of `top` is in top-sample.ts). The generated wrappers call
 * functions; this reads views, for which the right to select from them (baseledger_auditor) is
 * enough, so that an auditor may do the same in psql.
 */
import type postgres from "postgres";
import type { EventType } from "../generated/index.ts";
import type { Json } from "../json/index.ts";
import { call, type Queryable, read } from "../wire/index.ts";

/** Runs an empty query, which shows that there is a connection. */
export async function ping(sql: postgres.ISql): Promise<void> {
  await sql`select`;
}

/** What only a client can find out about its connection. */
export interface Surroundings {
  /** Whether the server itself answers, and not a pooler. */
  readonly isDirect: boolean;
  /** How far the server's clock is ahead of this machine's, at least; 0 if it cannot be measured. */
  readonly secondsAhead: number;
}

/** Asks the server for its process and its time. */
export async function lookAround(sql: postgres.Sql): Promise<Surroundings> {
  const asked = Date.now();
  const answer = await sql<{ pid: number; now: number }[]>`
    select pg_backend_pid() as pid, extract('epoch' from clock_timestamp())::float8 * 1000 as now`;
  const answered = Date.now();
  const [{ pid, now } = { pid: 0, now: asked }] = answer;
  return {
    // The server sends its process id when a connection starts; a pooler sends another one.
    isDirect: answer.state.pid === pid,
    // The server read its clock between these two times of ours.
    secondsAhead: (now - Math.min(Math.max(now, asked), answered)) / 1000,
  };
}

/** How large a ledger is. */
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
 * Counts the events that all sessions have written, from the server's statistics: any login may
 * ask, and the size of the journal does not matter. Null while there are no statistics.
 */
export async function eventsWritten(sql: postgres.ISql): Promise<number | null> {
  const [row] = await sql<{ written: string }[]>`
    select n_tup_ins as written
      from pg_catalog.pg_stat_all_tables
      where schemaname = 'baseledger' and relname = 'events'`;
  return row ? Number(row.written) : null;
}

/** A wallet in a list; amounts are in its smallest step. */
export interface ListedWallet {
  readonly walletId: string;
  readonly unit: string;
  readonly scale: number;
  readonly available: bigint;
  readonly reserved: bigint;
  readonly spent: bigint;
  /** Held by reservations past their deadline, and not booked as expired yet. */
  readonly due: bigint;
  /** Null: none. */
  readonly overdraftLimit: bigint | null;
  readonly frozen: boolean;
  readonly closed: boolean;
  readonly restricted: boolean;
  readonly limited: boolean;
  readonly events: bigint;
  readonly lastEventAt: Date;
}

const listedWallet = call.row<ListedWallet>({
  walletId: ["b.wallet_id", read.text],
  unit: ["b.unit", read.text],
  scale: ["b.scale", read.number],
  available: ["b.available", read.bigint],
  reserved: ["b.reserved", read.bigint],
  spent: ["b.spent", read.bigint],
  due: ["coalesce(j.reserved, b.reserved) - b.reserved", read.bigint],
  overdraftLimit: ["b.overdraft_limit", read.orNull(read.bigint)],
  frozen: ["b.frozen", read.boolean],
  closed: ["b.closed", read.boolean],
  restricted: ["b.restricted", read.boolean],
  limited: ["b.limited", read.boolean],
  events: ["b.seq", read.bigint],
  lastEventAt: ["to_json(b.last_event_at)", read.timestamp],
});

/** Which wallets to list. */
export interface WalletRange {
  /** What their ids begin with. */
  readonly prefix: string;
  /** Those behind this id. */
  readonly after: string;
  readonly limit: number;
  /** Null: of any unit. */
  readonly unit: string | null;
  /** Null: whether frozen or not. */
  readonly frozen: boolean | null;
  /** Null: whether closed or not. */
  readonly closed: boolean | null;
}

/** Lists wallets in the order of their ids, by the primary key. */
export function listWallets(
  sql: Queryable,
  { after, closed, frozen, limit, prefix, unit }: WalletRange,
): Promise<ListedWallet[]> {
  return call.many(
    sql,
    listedWallet,
    `select ${listedWallet.columns}
      from (
        select *
          from baseledger.wallet_balances
          where wallet_id > $1::text and starts_with(wallet_id, $2::text)
            and ($4::text is null or unit = $4::text)
            and ($5::text is null or frozen = $5::text::boolean)
            and ($6::text is null or closed = $6::text::boolean)
          order by wallet_id
          limit $3::text::bigint
      ) as b
      left join baseledger.journal j on j.wallet_id = b.wallet_id and j.seq = b.seq
      order by b.wallet_id`,
    [after, prefix, String(limit), unit, textOf(frozen), textOf(closed)],
  );
}

function textOf(flag: boolean | null): string | null {
  return flag === null ? null : String(flag);
}

const lowBalances = call.row<{ readonly amounts: readonly bigint[] }>({
  amounts: ["to_json(coalesce(low_balances, '{}'))", read.list(read.bigint)],
});

/** The amounts below which a wallet's funds alert; undefined for a login that may not see them. */
export async function lowBalancesOf(
  sql: Queryable,
  walletId: string,
): Promise<readonly bigint[] | undefined> {
  const query = `select ${lowBalances.columns} from baseledger.wallet_balances
    where wallet_id = $1::text`;
  try {
    return (await call.many(sql, lowBalances, query, [walletId]))[0]?.amounts;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === NO_RIGHT) return undefined;
    throw error;
  }
}

/** The SQLSTATE for a right that is missing. */
export const NO_RIGHT = "42501";

/** An alert, and what has become of it at one webhook. */
export interface Alert {
  readonly walletId: string;
  readonly seq: bigint;
  readonly number: number;
  readonly occurredAt: Date;
  /** limit or low_balance. */
  readonly kind: string;
  readonly threshold: bigint;
  readonly limitId: string | null;
  readonly labelValues: readonly string[] | null;
  readonly amount: bigint;
  readonly value: bigint;
  readonly startsAt: Date | null;
  readonly endsAt: Date | null;
  readonly webhookId: string | null;
  readonly state: string;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly unit: string;
  readonly scale: number;
}

const alert = call.row<Alert>({
  walletId: ["a.wallet_id", read.text],
  seq: ["a.seq", read.bigint],
  number: ["a.number", read.number],
  occurredAt: ["to_json(a.occurred_at)", read.timestamp],
  kind: ["a.kind", read.text],
  threshold: ["a.threshold", read.bigint],
  limitId: ["a.limit_id", read.orNull(read.text)],
  labelValues: ["to_json(a.label_values)", read.orNull(read.list(read.text))],
  amount: ["a.amount", read.bigint],
  value: ["a.value", read.bigint],
  startsAt: ["to_json(nullif(a.starts_at, '-infinity'))", read.orNull(read.timestamp)],
  endsAt: ["to_json(nullif(a.ends_at, 'infinity'))", read.orNull(read.timestamp)],
  webhookId: ["a.webhook_id", read.orNull(read.text)],
  state: ["a.state", read.text],
  attempts: ["a.attempts", read.number],
  lastError: ["a.last_error", read.orNull(read.text)],
  unit: ["b.unit", read.text],
  scale: ["b.scale", read.number],
});

/** The last alerts of a wallet, or of all, the latest first. */
export function lastAlerts(
  sql: Queryable,
  walletId: string | null,
  limit: number,
): Promise<Alert[]> {
  const query = `select ${alert.columns}
    from (
      select *
        from baseledger.alerts
        where $1::text is null or wallet_id = $1::text
        order by occurred_at desc, seq desc, number desc, webhook_id
        limit $2::text::bigint
    ) as a
    join baseledger.wallet_balances b on b.wallet_id = a.wallet_id
    order by a.occurred_at desc, a.seq desc, a.number desc, a.webhook_id`;
  return call.many(sql, alert, query, [walletId, String(limit)]);
}

const countedRow = call.row({ of: ["details ->> 'of'", read.text] });

/** What a limit counted that was removed since: reads the wallet's journal backwards. */
export async function countedByRemoved(
  sql: Queryable,
  walletId: string,
  limitId: string,
): Promise<string | undefined> {
  const query = `select ${countedRow.columns}
    from baseledger.journal
    where wallet_id = $1::text and event = 'limit_set' and details ->> 'limit_id' = $2::text
    order by seq desc
    limit 1`;
  return (await call.many(sql, countedRow, query, [walletId, limitId]))[0]?.of;
}

/** How a reservation went; amounts are in its wallet's smallest step. */
export interface ReservationHistory {
  readonly walletId: string;
  readonly reservationId: string;
  /** open, settled, settled late, cancelled, expired; or due: past its deadline, and no more yet. */
  readonly status: string;
  readonly openedAt: Date;
  /** Granted in all. */
  readonly amount: bigint;
  readonly settled: bigint;
  /** In how many parts. */
  readonly settlements: bigint;
  /** What was settled above the hold; all that was settled late. */
  readonly overage: bigint;
  readonly released: bigint;
  readonly refunded: bigint;
  readonly held: bigint;
  readonly expiresAt: Date | null;
  readonly endedAt: Date | null;
}

const history = call.row<ReservationHistory>({
  walletId: ["h.wallet_id", read.text],
  reservationId: ["h.reservation_id", read.text],
  status: ["case when h.status = 'open' and o is null then 'due' else h.status end", read.text],
  openedAt: ["to_json(h.opened_at)", read.timestamp],
  amount: ["h.amount", read.bigint],
  settled: ["h.settled", read.bigint],
  settlements: ["h.settlements", read.bigint],
  overage: ["h.overage", read.bigint],
  released: ["h.released", read.bigint],
  refunded: ["h.refunded", read.bigint],
  held: ["h.held", read.bigint],
  expiresAt: ["to_json(h.expires_at)", read.orNull(read.timestamp)],
  endedAt: ["to_json(h.ended_at)", read.orNull(read.timestamp)],
});

/** Reads how a reservation went; undefined if the wallet never had it. */
export async function reservationHistory(
  sql: Queryable,
  walletId: string,
  reservationId: string,
): Promise<ReservationHistory | undefined> {
  const query = `select ${history.columns}
    from baseledger.reservation_history h
    left join baseledger.open_reservations o
      on o.wallet_id = h.wallet_id and o.reservation_id = h.reservation_id
    where h.wallet_id = $1::text and h.reservation_id = $2::text`;
  return (await call.many(sql, history, query, [walletId, reservationId]))[0];
}

/** An event of a reservation. */
export interface ReservationEvent {
  readonly seq: bigint;
  readonly occurredAt: Date;
  readonly event: EventType;
  readonly amount: bigint | null;
  readonly expiresAt: Date | null;
  readonly idempotencyKey: string | null;
  readonly actor: string;
  readonly metadata: Json;
}

const reservationEvent = call.row<ReservationEvent>({
  seq: ["seq", read.bigint],
  occurredAt: ["to_json(occurred_at)", read.timestamp],
  event: ["event", read.label<EventType>],
  amount: ["amount", read.orNull(read.bigint)],
  expiresAt: ["to_json(expires_at)", read.orNull(read.timestamp)],
  idempotencyKey: ["idempotency_key", read.orNull(read.text)],
  actor: ["actor", read.text],
  metadata: ["metadata", read.json],
});

/** The last events of a reservation, the earliest first. */
export async function reservationEvents(
  sql: Queryable,
  walletId: string,
  reservationId: string,
  limit: number,
): Promise<ReservationEvent[]> {
  const query = `select ${reservationEvent.columns}
    from baseledger.journal
    where wallet_id = $1::text and reservation_id = $2::text
    order by seq desc
    limit $3::text::bigint`;
  const values = [walletId, reservationId, String(limit)];
  return (await call.many(sql, reservationEvent, query, values)).reverse();
}
