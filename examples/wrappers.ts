import postgres from "postgres";
import * as ledger from "../src/index.ts";

const sql = postgres(process.env.DATABASE_URL ?? "", { onnotice: () => undefined });
const walletId = `acme-${ledger.createIdempotencyKey()}`; // a new wallet each time that this is run

await ledger.openWallet(sql, { walletId });
await ledger.credit(sql, { walletId, amount: 10_000_000_000n, idempotencyKey: "invoice-17" });

// Before the call: hold the most that it may cost.
const held = await ledger.reserve(sql, {
  walletId,
  amount: 250_000_000n,
  idempotencyKey: "call-1",
  ttl: "2 minutes",
});
console.log(held.event, held.amount, "available", held.available);

// After it: book what it did cost.
const settled = await ledger.settle(sql, {
  walletId,
  reservationId: "call-1",
  amount: 181_500_000n,
  idempotencyKey: "call-1-cost",
});
console.log(settled.event, settled.amount, "available", settled.available);

// Refusals are errors with a class and typed fields.
try {
  await ledger.reserve(sql, { walletId, amount: 99_000_000_000n, idempotencyKey: "call-2" });
} catch (error) {
  if (!(error instanceof ledger.InsufficientFundsError)) throw error;
  console.log("refused:", error.reason, "short of", error.shortfall);
}

// One commit or none: the reservation and the row of the job that it is for.
await sql`create table if not exists jobs (name text)`;
await sql.begin(async (tx) => {
  await ledger.reserve(tx, { walletId, amount: 1_000n, idempotencyKey: "call-3" });
  await tx`insert into jobs (name) values ('call-3')`;
});

console.log(await ledger.verify(sql, { walletId }));
await sql.end();
