import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type postgres from "postgres";
import { type Bytes, createBytes } from "./bytes.ts";
import type { NextCall } from "./calls.ts";
import { ACTOR, eventsOf, METADATA, type Past, type PastEvent } from "./journal.ts";

// Events from which on indexes are better dropped, and made anew from all rows at once.
const WORTH_NEW_INDEXES = 300_000;

/** What a wallet is after its past, and what it holds. */
interface Present {
  readonly last: PastEvent;
  readonly due: readonly PastEvent[];
}

/**
 * Loads wallets with their past into a ledger in bulk: the same rows as if it had all been
 * commands, with the hashes of the chain, so that `verify` finds nothing. As the owner.
 */
export async function load(
  sql: postgres.Sql,
  pasts: readonly Past[],
  nextCall: NextCall,
): Promise<void> {
  const events = pasts.reduce((sum, { calls, due }) => sum + 2 + 2 * calls + due, 0);
  const restore = events < WORTH_NEW_INDEXES ? "" : await dropIndexes(sql);
  const presents: Present[] = [];
  await copy(sql, `events (${EVENT_COLUMNS})`, eventRows(pasts, nextCall, presents));
  await copy(sql, `wallets (${WALLET_COLUMNS})`, rows(presents, writeWallet));
  const due = presents.flatMap((present) => present.due);
  await copy(sql, `reservations (${RESERVATION_COLUMNS})`, rows(due, writeReservation));
  await sql.unsafe(restore);
  await sql.unsafe("vacuum (analyze) baseledger.events");
  await sql.unsafe("vacuum (analyze) baseledger.wallets");
  await sql.unsafe("vacuum (analyze) baseledger.reservations");
}

/** Drops the indexes of the journal, and returns how to make them again, whichever they are. */
async function dropIndexes(sql: postgres.Sql): Promise<string> {
  const indexes = await sql<{ drop: string; make: string }[]>`
    select
        case when c.oid is null then 'drop index ' || i.indexrelid::regclass
          else format('alter table baseledger.events drop constraint %I', c.conname) end as drop,
        case when c.oid is null then pg_get_indexdef(i.indexrelid)
          else format('alter table baseledger.events add constraint %I ', c.conname)
            || pg_get_constraintdef(c.oid) end as make
      from pg_index i
      left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid
      where i.indrelid = 'baseledger.events'::regclass
      order by i.indexrelid`;
  await sql.unsafe(indexes.map(({ drop }) => drop).join(";"));
  return indexes.map(({ make }) => make).join(";");
}

const HEADER = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);

async function copy(sql: postgres.Sql, into: string, data: Iterable<Buffer>): Promise<void> {
  const sink = await sql.unsafe(`copy baseledger.${into} from stdin (format binary)`).writable();
  const all = function* () {
    yield HEADER;
    yield* data;
    yield TRAILER;
  };
  await pipeline(Readable.from(all(), { objectMode: false }), sink);
}

function* rows<T>(items: Iterable<T>, write: (out: Bytes, item: T) => void): Generator<Buffer> {
  const out = createBytes();
  for (const item of items) {
    write(out, item);
    if (out.isFull()) yield Buffer.from(out.take());
  }
  yield Buffer.from(out.take());
}

function eventRows(
  pasts: readonly Past[],
  nextCall: NextCall,
  presents: Present[],
): Generator<Buffer> {
  const events = function* () {
    for (const past of pasts) {
      const due: PastEvent[] = [];
      const firstDue = 2 + 2 * past.calls;
      let last: PastEvent | undefined;
      for (const event of eventsOf(past, nextCall)) {
        last = event;
        if (event.seq > firstDue) due.push(event);
        yield event;
      }
      if (last) presents.push({ last, due });
    }
  };
  return rows(events(), writeEvent);
}

const EVENT_COLUMNS =
  "wallet_id, seq, event, reservation_id, amount, available, reserved, spent, expires_at, " +
  "occurred_at, idempotency_key, actor, metadata, details, hash";

function writeEvent(out: Bytes, event: PastEvent): void {
  out.int16(15);
  out.field(event.walletId);
  out.field64(event.seq);
  out.field(event.event);
  out.field(event.reservationId);
  out.field64(event.amount);
  out.field64(event.available);
  out.field64(event.reserved);
  out.field64(event.spent);
  out.field64(event.expiresAt);
  out.field64(event.occurredAt);
  out.field(event.key);
  out.field(ACTOR);
  out.field(jsonb(METADATA));
  out.field(event.details && jsonb(event.details));
  out.field(event.hash);
}

const WALLET_COLUMNS =
  "wallet_id, unit, scale, available, reserved, spent, seq, hash, last_event_at, next_deadline";

function writeWallet(out: Bytes, { last, due }: Present): void {
  out.int16(10);
  out.field(last.walletId);
  out.field(Buffer.from("USD"));
  out.field(Buffer.from([0, 9]));
  out.field64(last.available);
  out.field64(last.reserved);
  out.field64(last.spent);
  out.field64(last.seq);
  out.field(last.hash);
  out.field64(last.occurredAt);
  out.field64(due[0]?.expiresAt ?? null);
}

const RESERVATION_COLUMNS = "wallet_id, reservation_id, amount, settled, held, expires_at";

function writeReservation(out: Bytes, event: PastEvent): void {
  out.int16(6);
  out.field(event.walletId);
  out.field(event.reservationId);
  out.field64(event.amount);
  out.field64(0);
  out.field64(event.amount);
  out.field64(event.expiresAt);
}

// The binary form of a jsonb is its version, and then its text.
const VERSION = Buffer.from([1]);
const known = new Map<Buffer, Buffer>();

function jsonb(text: Buffer): Buffer {
  const made = known.get(text) ?? Buffer.concat([VERSION, text]);
  known.set(text, made);
  return made;
}
