import {
  createIdempotencyKey,
  createLedger,
  formatAmount,
  InsufficientFundsError,
  parseAmount,
} from "../src/index.ts";

const usd = (text: string) => parseAmount(text, 9); // dollars in nano-dollars, exactly
const show = (amount: bigint) => `${formatAmount(amount, 9)} USD`;

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: usd("10.00") });

/** A stand-in for a model call: 1,200 tokens in, some out. */
async function callModel(): Promise<{ text: string; cost: bigint }> {
  return { text: "Hello!", cost: usd("0.0065") };
}

// Holds 25 cents, keeps the hold alive while the callback runs, then settles what it reports. If
// the callback throws before it has reported anything, the hold is cancelled, or `onThrow` says
// what to book. If this process dies, the hold ends at its deadline.
const text = await ledger.guard(
  { walletId, amount: usd("0.25"), ttl: "2 minutes" },
  async (reservation) => {
    const answer = await callModel();
    reservation.spend(answer.cost);
    return answer.text;
  },
);
console.log(text, show((await ledger.balance({ walletId })).available), "left");

// 100 concurrent calls ask for 25 dollars, and there are 10. With `wait`, the late ones get what the
// others return. Their commands share round trips and commits.
const calls = Array.from({ length: 100 }, async () =>
  ledger.guard({ walletId, amount: usd("0.25"), wait: 30 }, async (reservation) => {
    reservation.spend((await callModel()).cost);
  }),
);
await Promise.all(calls);
const { available, reserved, spent } = await ledger.balance({ walletId });
console.log(show(available), "left,", show(reserved), "held,", show(spent), "spent");

// What is not there cannot be reserved: the callback does not run.
try {
  await ledger.guard({ walletId, amount: usd("99.00") }, callModel);
} catch (error) {
  if (!(error instanceof InsufficientFundsError)) throw error;
  console.log(`refused: ${error.reason}, short of ${show(error.shortfall)}`);
}
await ledger.close();
