/*
 * What the command line asks the auditor's views about wallets and reservations; as in views.ts,
 * its own SQL, for which the right to select from them is enough.
 */
import type { EventType } from "../generated/index.ts";
import { call, type Json, type Queryable, read } from "../wire/index.ts";

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
}

/** Lists wallets by their ids, found by the key; each is as of this moment. */
export function listWallets(
  sql: Queryable,
  { after, limit, prefix }: WalletRange,
): Promise<ListedWallet[]> {
  return call.many(
    sql,
    listedWallet,
    `select ${listedWallet.columns}
      from (
        select *
          from baseledger.wallet_balances
          where wallet_id > $1::text and starts_with(wallet_id, $2::text)
          order by wallet_id
          limit $3::text::bigint
      ) as b
      left join baseledger.journal j on j.wallet_id = b.wallet_id and j.seq = b.seq
      order by b.wallet_id`,
    [after, prefix, String(limit)],
  );
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
  /** What was settled beyond the hold. */
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

/** Tells how a reservation went; undefined if the wallet never had it. */
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
