// node test/bench/client.ts [rounds] [seconds] [callers]: callers that reserve and settle on one hot
// wallet through the client, against the naive statement on one hot row, interleaved in one run. The
// server is a real one with fsync on; client and server share the machine.
import postgres from "postgres";
import { createLedger } from "../../src/client/ledger.ts";
import { startPostgres } from "../../src/embedded.ts";
import { migrate } from "../../src/migrate.ts";

const ROUNDS = Number(process.argv[2] ?? 3);
const SECONDS = Number(process.argv[3] ?? 5);
const CALLERS = Number(process.argv[4] ?? 200);
const NAIVE_CLIENTS = 8;

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
const sql = postgres(server.url, { max: NAIVE_CLIENTS, onnotice: () => undefined });
await using ledger = createLedger(server.url);
const walletId = "hot";

await sql`create table balances (id text primary key, balance bigint not null)`;
await sql`create table balance_log (
  log_id bigint generated always as identity primary key, id text not null, amount bigint not null,
  at timestamptz not null default now())`;
await sql`insert into balances values (${walletId}, 1000000000000)`;
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: 1_000_000_000_000n });

/** What the callers of a measurement have seen: the milliseconds that each operation took. */
type Times = number[];

async function naive(times: Times): Promise<void> {
  const start = performance.now();
  await sql`with u as (
    update balances set balance = balance - 10 where id = ${walletId} and balance >= 10 returning id
  ) insert into balance_log (id, amount) select id, 10 from u`;
  times.push(performance.now() - start);
}

async function call(times: Times): Promise<void> {
  const start = performance.now();
  const { reservationId } = await ledger.reserve({ walletId, amount: 100n, ttl: 600 });
  const reserved = performance.now();
  await ledger.settle({ walletId, reservationId, amount: 60n });
  times.push(reserved - start, performance.now() - reserved);
}

/** Operations a second of so many callers together, and how long each took. */
async function measure(operation: (times: Times) => Promise<void>, callers: number) {
  const times: Times = [];
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + SECONDS * 1000;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() < end) await operation(times);
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  return {
    rate: times.length / seconds,
    latency: [0.5, 0.95, 0.99].map((share) => at(share).toFixed(1)).join(" / "),
    cpu: (user + system) / 1e6 / seconds,
  };
}

const ratios: number[] = [];
console.log(`round  naive/s  client/s  ratio  p50 / p95 / p99 ms  client's CPU  (${CALLERS} callers)`);
for (let round = 1; round <= ROUNDS; round++) {
  const base = await measure(naive, NAIVE_CLIENTS);
  const ours = await measure(call, CALLERS);
  ratios.push(ours.rate / base.rate);
  const figures = [
    String(round).padEnd(5),
    base.rate.toFixed(0).padStart(7),
    ours.rate.toFixed(0).padStart(8),
    (ours.rate / base.rate).toFixed(1).padStart(5),
    ours.latency.padStart(18),
    `${(ours.cpu * 100).toFixed(0)} %`.padStart(12),
  ];
  console.log(figures.join("  "));
}
ratios.sort((a, b) => a - b);
console.log(`median ${ratios[Math.floor(ratios.length / 2)]?.toFixed(1)} times naive`);

// A single caller has nobody to share a batch with: it must not pay for batching.
const alone = await measure(call, 1);
const single = await measure(async (times) => {
  const start = performance.now();
  await sql`select * from baseledger.reserve(
    ${walletId}, 100, ${crypto.randomUUID()}, ${"600 seconds"}::text::interval)`;
  times.push(performance.now() - start);
}, 1);
console.log(`one caller: ${alone.latency} ms; one SQL call of reserve: ${single.latency} ms`);

const unsound = await ledger.verify({ walletId });
console.log(`verify: ${unsound.length} discrepancies`);
await sql.end();
