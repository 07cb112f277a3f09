import {
  createIdempotencyKey,
  createLedger,
  formatAmount,
  OutcomeUnknownError,
  parseAmount,
} from "../src/index.ts";

const usd = (text: string) => parseAmount(text, 9); // dollars in nano-dollars, exactly

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: usd("1.00") });

async function show(what: string): Promise<void> {
  const { spent, reserved } = await ledger.balance({ walletId });
  console.log(`${what}: spent ${formatAmount(spent, 9)}, held ${formatAmount(reserved, 9)}`);
}

/** A stand-in for a model that streams its answer, and reports the cost only at its end. */
async function* streamModel(signal: AbortSignal): AsyncGenerator<{ text: string; cost?: bigint }> {
  for (const text of ["Once", "upon", "a", "time"]) {
    signal.throwIfAborted();
    yield { text };
  }
  yield { text: "…", cost: usd("0.0140") };
}

const PROMPT = usd("0.0100");
const TOKEN = usd("0.0010");

/** Streams an answer to a reader, who may leave: then the signal aborts, and the stream throws. */
async function streamTo(reader: AbortSignal, write: (text: string) => void): Promise<void> {
  let chunks = 0;
  // A provider bills a stream that is cut off, but the last chunk with its usage never arrives. If
  // the callback throws before it has reported, book the prompt, once the stream has begun, and what
  // has arrived. Without `onThrow` the hold would be cancelled, and nothing booked.
  const onThrow = () => (chunks === 0 ? 0n : PROMPT + TOKEN * BigInt(chunks));
  await ledger.guard(
    { walletId, amount: usd("0.25"), signal: reader, onThrow },
    async (reservation) => {
      // Aborts when the reader's signal does, or when the hold is lost.
      for await (const { text, cost } of streamModel(reservation.signal)) {
        chunks += 1;
        write(text);
        if (cost !== undefined) reservation.spend(cost);
      }
    },
  );
}

const words: string[] = [];
await streamTo(new AbortController().signal, (text) => words.push(text));
await show(`read "${words.join(" ")}"`);

const reader = new AbortController();
const cut: string[] = [];
try {
  await streamTo(reader.signal, (text) => {
    if (cut.push(text) === 2) reader.abort();
  });
} catch (error) {
  if (error !== reader.signal.reason) throw error;
}
await show(`cut off after "${cut.join(" ")}"`);
const last = (await ledger.statement({ walletId })).at(-1);
console.log(`on record: ${last?.event}, ${JSON.stringify(last?.metadata)}`);

// The bill may say more than was booked: charge the difference. (Less is a `refund`.)
await ledger.charge({ walletId, amount: usd("0.0005"), metadata: { bill: "2026-03" } });
await show("corrected by the bill");

// Without a callback: `close` settles or cancels what is still open, as `await using` would.
const step = await ledger.hold({ walletId, amount: usd("0.10"), ttl: "1 minute" });
try {
  await step.extend(usd("0.40")); // it takes a larger model: hold more
  await show("two models asked");
  await step.settle(usd("0.32"), { model: "large" });
} finally {
  await step.close();
}
await show("step settled");

// A job that is run again, because nobody knows whether it was booked: with a key of its own, it is
// booked once. The client retries by itself for 30 seconds before it throws OutcomeUnknownError.
const job = { walletId, amount: usd("0.05"), idempotencyKey: "job-17" };
let answers = 0;
/** Simulates a network that loses the first answer. */
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
await ledger.close();
