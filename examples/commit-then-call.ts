import postgres from "postgres";
import {
  createIdempotencyKey,
  createLedger,
  formatAmount,
  parseAmount,
  ReservationNotFoundError,
} from "../src/index.ts";

const usd = (text: string) => parseAmount(text, 9); // dollars in nano-dollars, exactly

const sql = postgres(process.env.DATABASE_URL ?? "", { onnotice: () => undefined });
const ledger = createLedger(sql);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: usd("10.00") });
await sql`create table if not exists summaries (id text primary key, summary text)`;

/** A stand-in for a model that takes a minute. */
async function callModel(): Promise<{ text: string; cost: bigint }> {
  return { text: "It was a dark and stormy night.", cost: usd("0.12") };
}

// A command locks its wallet until its transaction ends: nobody else can use the wallet meanwhile.
// So commit the hold, then call. Row and hold are committed together, or neither is.
async function begin(id: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`insert into summaries (id) values (${id})`;
    await ledger
      .with(tx)
      .reserve({ walletId, amount: usd("0.25"), ttl: "10 minutes", idempotencyKey: id });
  });
}

// After the call, result and cost commit together, too. Where the hold is gone (its transaction was
// rolled back after all, or the database restored from a backup), the cost is charged instead; the
// refused settlement has left its key free.
async function finish(id: string, { text, cost }: { text: string; cost: bigint }): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`update summaries set summary = ${text} where id = ${id}`;
    const amount = cost;
    const idempotencyKey = `${id}-cost`;
    try {
      // A savepoint: a refusal ends only what is within.
      const receipt = await tx.savepoint((inner) =>
        ledger.with(inner).settle({ walletId, reservationId: id, amount, idempotencyKey }),
      );
      console.log(receipt.event, formatAmount(receipt.amount, 9));
    } catch (error) {
      if (!(error instanceof ReservationNotFoundError)) throw error;
      const receipt = await ledger.with(tx).charge({ walletId, amount, idempotencyKey });
      console.log("no hold,", receipt.event, formatAmount(receipt.amount, 9));
    }
  });
}

const id = createIdempotencyKey();
await begin(id);
await finish(id, await callModel());

// The mistake: the call inside the transaction. It takes too long, the server ends the transaction
// (`idle_in_transaction_session_timeout`), and the hold is rolled back. The call is billed anyway.
const other = createIdempotencyKey();
const answer = await sql
  .begin(async (tx) => {
    await ledger.with(tx).reserve({ walletId, amount: usd("0.25"), idempotencyKey: other });
    throw Object.assign(new Error("terminated"), { answer: await callModel() });
  })
  .catch((error: { answer: Awaited<ReturnType<typeof callModel>> }) => error.answer);
await finish(other, answer);

const { available, reserved } = await ledger.balance({ walletId });
console.log(`${formatAmount(available, 9)} left, ${formatAmount(reserved, 9)} held`);
await ledger.close();
await sql.end();
