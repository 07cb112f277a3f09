import { createLedger, formatAmount, InsufficientFundsError, parseAmount } from "../src/index.ts";

const usd = (text: string) => parseAmount(text, 9); // dollars in nano-dollars, exactly
const show = (amount: bigint) => `${formatAmount(amount, 9)} USD`;

await using ledger = createLedger(process.env.DATABASE_URL ?? "");
await ledger.openWallet({ walletId: "acme-guard" });
await ledger.credit({ walletId: "acme-guard", amount: usd("10.00") });

/** Stands for a call of a model: 1,200 tokens in, some out. */
async function callModel(): Promise<{ text: string; cost: bigint }> {
  return { text: "Hello!", cost: usd("0.0065") };
}

// Holds 25 cents, keeps the hold alive while the callback runs, then settles what it reports. If
// the callback throws before it has spent anything, the hold is cancelled; if this process dies,
// it is back at its deadline.
const text = await ledger.guard(
  { walletId: "acme-guard", amount: usd("0.25"), ttl: "2 minutes" },
  async (reservation) => {
    const answer = await callModel();
    reservation.spend(answer.cost);
    return answer.text;
  },
);
console.log(text, show((await ledger.balance({ walletId: "acme-guard" })).available), "left");

// Concurrent commands of one wallet share round trips and commits; each has its own answer.
const calls = Array.from({ length: 100 }, async () =>
  ledger.guard({ walletId: "acme-guard", amount: usd("0.25") }, async (reservation) => {
    reservation.spend(usd("0.001"));
  }),
);
const done = await Promise.allSettled(calls);
const granted = done.filter(({ status }) => status === "fulfilled").length;
const refused = done.filter(
  (call) => call.status === "rejected" && call.reason instanceof InsufficientFundsError,
).length;
console.log("all answered:", granted + refused === 100);
console.log("never more held than there was:", granted > 0 && refused > 0);
