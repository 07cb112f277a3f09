import type postgres from "postgres";
import { type BenchDatabase, clientOf, connectAs } from "./server.ts";
import { postBatch } from "./statements.ts";
import { type Call, HOT, type NextCall, nextKey, walletId } from "./workload.ts";

/** Wallets whose events are loaded in bulk instead of being commands. */
export interface Past {
  readonly walletIds: readonly string[];
  /** Calls that each wallet has reserved and settled. */
  readonly calls: number;
  /** Reservations that each has made after them, past their deadline and not swept. */
  readonly due: number;
}

/*
 * Inserts a wallet with its open reservations, and returns its events. A loop, because each hash
 * needs the one before; the ledger's own _encode_event encodes them. Events are a millisecond apart,
 * from a day ago on: room for 86 million. Calls are numbered from p_first_call on, so that their
 * keys are as long as those of the measured calls.
 */
const ADD_WALLET = `
  create or replace function bench_add_wallet(
    p_wallet_id text,
    p_calls integer,
    p_due integer,
    p_first_call bigint,
    p_holds bigint[],
    p_costs bigint[]
  )
  returns setof baseledger.events
  language plpgsql
  as $$
  declare
    e baseledger.events;
    v_first_due integer := 3 + 2 * p_calls;
    v_call bigint := p_first_call;
    v_next_deadline timestamptz;
  begin
    e.wallet_id := p_wallet_id;
    e.actor := 'bench';
    e.metadata := '{}';
    e.available := 0;
    e.reserved := 0;
    e.spent := 0;
    e.occurred_at := now() - interval '1 day';
    e.hash := decode(repeat('00', 32), 'hex');
    for v_seq in 1 .. 2 + 2 * p_calls + p_due loop
      e.seq := v_seq;
      e.occurred_at := e.occurred_at + interval '1 ms';
      if v_seq = 1 then
        e.event := 'opened';
        e.details := '{"unit": "USD", "scale": 9, "overdraft_limit": null}';
      elsif v_seq = 2 then
        e.event := 'credited';
        e.details := null;
        e.idempotency_key := 'funds';
        e.amount := 1000000000000000; -- more than a run can spend
        e.available := e.amount;
      elsif v_seq % 2 = 1 or v_seq >= v_first_due then
        e.event := 'reserved';
        e.reservation_id := 'past-' || v_call;
        e.idempotency_key := e.reservation_id;
        e.amount := p_holds[1 + v_call % cardinality(p_holds)];
        e.available := e.available - e.amount;
        e.reserved := e.reserved + e.amount;
        e.expires_at := e.occurred_at + interval '10 minutes';
        if v_seq >= v_first_due then
          insert into baseledger.reservations
              (wallet_id, reservation_id, amount, settled, held, expires_at)
            values (e.wallet_id, e.reservation_id, e.amount, 0, e.amount, e.expires_at);
          v_next_deadline := coalesce(v_next_deadline, e.expires_at);
          v_call := v_call + 1;
        end if;
      else
        e.event := 'settled';
        e.idempotency_key := e.reservation_id || '-cost';
        e.available := e.available + e.reserved;
        e.reserved := 0;
        e.amount := p_costs[1 + v_call % cardinality(p_costs)];
        e.available := e.available - e.amount;
        e.spent := e.spent + e.amount;
        e.expires_at := null;
        v_call := v_call + 1;
      end if;
      e.hash := sha256(e.hash || baseledger._encode_event(
        e.wallet_id, e.seq, e.event, e.reservation_id, e.amount, e.available, e.reserved, e.spent,
        e.expires_at, e.occurred_at, e.idempotency_key, e.actor, e.metadata, e.details
      ));
      return next e;
    end loop;
    insert into baseledger.wallets (wallet_id, unit, scale, available, reserved, spent, seq, hash,
        last_event_at, next_deadline)
      values (e.wallet_id, 'USD', 9, e.available, e.reserved, e.spent, e.seq, e.hash,
        e.occurred_at, v_next_deadline);
  end
  $$`;

// From so many events on, it is quicker to drop the indexes and to build them from all rows.
const WORTH_NEW_INDEXES = 300_000;

/**
 * Loads wallets with their past, as the superuser: the same rows as if all of it had been commands,
 * so that `verify` finds nothing. Each past is loaded in a session of its own.
 */
export async function load(
  database: Pick<BenchDatabase, "admin" | "urls">,
  calls: readonly Call[],
  pasts: readonly Past[],
): Promise<void> {
  const { admin } = database;
  const events = pasts.reduce((sum, past) => sum + past.walletIds.length * eventsIn(past), 0);
  await admin.unsafe(ADD_WALLET);
  const restore = events < WORTH_NEW_INDEXES ? "" : await dropIndexes(admin);
  await Promise.all(pasts.map((past) => loadPast(database.urls.admin, calls, past)));
  await admin.unsafe(restore);
  for (const table of ["events", "wallets", "reservations"]) {
    await admin.unsafe(`vacuum (analyze) baseledger.${table}`);
  }
}

function eventsIn({ calls, due }: Past): number {
  return 2 + 2 * calls + due;
}

async function loadPast(
  url: string,
  calls: readonly Call[],
  { walletIds, calls: made, due }: Past,
): Promise<void> {
  await using owner = connectAs(url);
  const list = (values: readonly (string | bigint)[]) => `{${values.join()}}`;
  await owner.sql.unsafe(
    `insert into baseledger.events
      select e.*
        from unnest($1::text[]) with ordinality as wallet (id, n)
        cross join lateral bench_add_wallet(
          wallet.id, $2::integer, $3::integer, wallet.n * ($2 + $3), $4::bigint[], $5::bigint[]
        ) as e`,
    [
      list(walletIds),
      made,
      due,
      list(calls.map(({ hold }) => hold)),
      list(calls.map(({ cost }) => cost)),
    ],
  );
}

/** Drops the indexes of the journal, and returns the statements that create them again. */
async function dropIndexes(sql: postgres.Sql): Promise<string> {
  const indexes = await sql<{ drop: string; create: string }[]>`
    select
        case when c.oid is null then 'drop index ' || i.indexrelid::regclass
          else format('alter table baseledger.events drop constraint %I', c.conname) end as drop,
        case when c.oid is null then pg_get_indexdef(i.indexrelid)
          else format('alter table baseledger.events add constraint %I ', c.conname)
            || pg_get_constraintdef(c.oid) end as create
      from pg_index i
      left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid
      where i.indrelid = 'baseledger.events'::regclass
      order by i.indexrelid`;
  await sql.unsafe(indexes.map(({ drop }) => drop).join(";"));
  return indexes.map(({ create }) => create).join(";");
}

/** Loads so many events into a ledger: half of them the hot wallet's, half spread over others. */
export async function loadEvents(
  database: BenchDatabase,
  calls: readonly Call[],
  { wallets, events }: { readonly wallets: number; readonly events: number },
): Promise<void> {
  const others = Array.from({ length: wallets }, (_, index) => walletId(index));
  await load(database, calls, [
    { walletIds: [HOT], calls: Math.ceil(events / 4), due: 0 },
    { walletIds: others, calls: Math.ceil(events / 4 / wallets), due: 0 },
  ]);
  await vacuumAndCheckpoint(database.admin);
}

/** Makes the server write now what it would otherwise write during a measurement. */
export async function vacuumAndCheckpoint(admin: postgres.Sql): Promise<void> {
  await admin.unsafe("vacuum (analyze)");
  await admin.unsafe("checkpoint");
}

/**
 * Makes a call in each wallet. A page that changes for the first time after a checkpoint is logged
 * completely, once. In a running ledger that is over within a minute for the pages where a wallet's
 * next event goes, whatever the ledger's size; so it is done before anything is measured.
 */
export async function touchWallets(
  database: BenchDatabase,
  { wallets, nextCall }: { readonly wallets: number; readonly nextCall: NextCall },
): Promise<void> {
  const touch = async (client: number): Promise<void> => {
    // One transaction, as only the pages count.
    await clientOf(database, client).begin(async (tx) => {
      const touched: Promise<unknown>[] = [];
      for (let index = client; index < wallets; index += database.clients.length) {
        const [key, hold] = [nextKey(), `${nextCall().hold}`];
        touched.push(
          postBatch(tx, walletId(index), [
            { op: "reserve", idempotency_key: key, amount: hold, ttl: 3600 },
            { op: "settle", idempotency_key: `${key}-cost`, reservation_id: key, amount: hold },
          ]),
        );
      }
      await Promise.all(touched);
    });
  };
  await Promise.all(database.clients.map((_, client) => touch(client)));
}

/** How many events a ledger has. */
export async function countEvents({ admin }: Pick<BenchDatabase, "admin">): Promise<number> {
  const [row] = await admin<{ events: string }[]>`
    select coalesce(sum(seq), 0) as events from baseledger.wallets`;
  return Number(row?.events);
}
