import { createLedger, formatAmount, OutcomeUnknownError, parseAmount } from "../src/index.ts";

const usd = (text: string) => parseAmount(text, 9); // dollars in nano-dollars, exactly
const walletId = "acme-stream";

await using ledger = createLedger(process.env.DATABASE_URL ?? "");
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: usd("1.00") });

async function show(what: string): Promise<void> {
  const { spent, reserved } = await ledger.balance({ walletId });
  console.log(`${what}: spent ${formatAmount(spent, 9)}, held ${formatAmount(reserved, 9)}`);
}

/** Stands for a model that streams its answer. */
async function* streamModel(signal: AbortSignal): AsyncGenerator<string> {
  for (const token of ["Once", "upon", "a", "time", "there", "was"]) {
    signal.throwIfAborted();
    yield token;
  }
}

// A stream costs as far as it came. Its reader leaves after three tokens: these are settled, and
// the rest is given back. `reservation.signal` aborts when the reader's does, or the hold is lost.
const reader = new AbortController();
const answer: string[] = [];
const streaming = ledger.guard(
  { walletId, amount: usd("0.25"), signal: reader.signal },
  async (reservation) => {
    for await (const token of streamModel(reservation.signal)) {
      reservation.spend(usd("0.001"));
      answer.push(token);
      if (answer.length === 3) reader.abort();
    }
  },
);
await streaming.catch((error: unknown) => {
  if (error !== reader.signal.reason) throw error;
});
await show(`aborted after "${answer.join(" ")}"`);

// Without a callback. Whatever the block leaves unsettled, `await using` settles or cancels.
{
  await using step = await ledger.hold({ walletId, amount: usd("0.10"), ttl: "1 minute" });
  await step.extend(usd("0.40")); // it takes a larger model: hold more
  await show("two models asked");
  await step.settle(usd("0.32"), { model: "large" });
}
await show("step settled");

// A job that is run again when nobody knows whether it was booked: with a key of its own it is
// booked once. The client has sent it again by itself, for 30 seconds, before it says so.
const job = { walletId, amount: usd("0.05"), idempotencyKey: "job-17" };
let answers = 0;
/** Stands for a network that loses the first answer. */
async function chargeJob() {
  const receipt = await ledger.charge(job);
  answers += 1;
  if (answers === 1) throw new OutcomeUnknownError(job, 30);
  return receipt;
}
const receipt = await chargeJob().catch((error: unknown) => {
  if (error instanceof OutcomeUnknownError) return chargeJob();
  throw error;
});
await show(`job ${receipt.replayed ? "was booked before" : "is booked now"}`);
