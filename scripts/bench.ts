// npm run bench: batches through `post` against the naive statement that people write today, in
// one run, interleaved. The server is a real one with fsync on; client and server share the machine.
import postgres from "postgres";
import { startPostgres } from "../src/embedded.ts";
import { migrate } from "../src/migrate.ts";

const WALLETS = 10_000;
const CLIENTS = 8;
const COMMANDS = 100;
const ROUNDS = Number(process.argv[2] ?? 5);
const SECONDS = Number(process.argv[3] ?? 3);

await using server = await startPostgres({
  settings: {
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    shared_buffers: "1GB",
    max_wal_size: "8GB",
  },
});
await migrate(server.url);
const sql = postgres(server.url, { max: CLIENTS, onnotice: () => undefined });
const walletOf = (n: number): string => `w${String(n).padStart(5, "0")}`;
let sent = 0;

await sql`create table balances (id text primary key, balance bigint not null)`;
await sql`create table balance_log (
  log_id bigint generated always as identity primary key, id text not null, amount bigint not null,
  at timestamptz not null default now())`;
await sql`insert into balances select 'w' || lpad(g::text, 5, '0'), 1000000000000
  from generate_series(0, ${WALLETS - 1}) g`;
await sql`select count(*) from generate_series(0, ${WALLETS - 1}) g
  cross join lateral (select 'w' || lpad(g::text, 5, '0') offset 0) as w(id)
  cross join lateral baseledger.open_wallet(w.id) as o
  cross join lateral baseledger.credit(o.wallet_id, 1000000000000, 'seed') as c`;
await sql.unsafe("vacuum analyze");

/** One prepared statement: no reservation, no idempotency, no audit. One operation. */
async function naive(id: string): Promise<number> {
  await sql`with u as (
    update balances set balance = balance - 10 where id = ${id} and balance >= 10 returning id
  ) insert into balance_log (id, amount) select id, 10 from u`;
  return 1;
}

/** Reservations with their settlements: as many operations as commands. */
async function batch(id: string): Promise<number> {
  const commands = Array.from({ length: COMMANDS / 2 }, () => {
    const call = `call-${sent++}`;
    return [
      { op: "reserve", idempotency_key: call, amount: 100, ttl: 600 },
      { op: "settle", idempotency_key: `${call}-cost`, reservation_id: call, amount: 60 },
    ];
  }).flat();
  const receipts = await sql`
    select refused from baseledger.post(${id}, ${JSON.stringify(commands)}::text::jsonb)`;
  if (receipts.length !== COMMANDS || receipts.some(({ refused }) => refused)) {
    throw new Error("a command of a batch was refused");
  }
  return COMMANDS;
}

/** Operations a second that all clients together get done. */
async function measure(operation: (id: string) => Promise<number>, id: () => string) {
  const start = performance.now();
  const end = start + SECONDS * 1000;
  const done = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      let count = 0;
      while (performance.now() < end) count += await operation(id());
      return count;
    }),
  );
  return done.reduce((a, b) => a + b) / ((performance.now() - start) / 1000);
}

const spread = (): string => walletOf(Math.floor(Math.random() * WALLETS));
const hot = (): string => walletOf(0);
const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const ratios = { spread: [] as number[], hot: [] as number[] };
for (let round = 1; round <= ROUNDS; round++) {
  for (const [name, id] of Object.entries({ spread, hot })) {
    const base = await measure(naive, id);
    const ours = await measure(batch, id);
    ratios[name as keyof typeof ratios].push(ours / base);
    const figures = `${Math.round(base)} naive, ${Math.round(ours)} in batches of ${COMMANDS}`;
    console.log(`${round}  ${name.padEnd(6)}  ${figures}: ${(ours / base).toFixed(1)} ×`);
  }
}
for (const [name, values] of Object.entries(ratios)) {
  const range = `${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}`;
  console.log(`${name.padEnd(6)}  median ${median(values).toFixed(1)} ×  (${range})`);
}
const [unsound] = await sql`select count(*) as n from baseledger.verify()`;
console.log(`verify: ${unsound?.n} discrepancies`);
await sql.end();
