import {
  createIdempotencyKey,
  createLedger,
  formatAmount,
  PriceNotFoundError,
  parseAmount,
  type Usage,
} from "../src/index.ts";

const usd = (text: string) => parseAmount(text, 9); // dollars in nano-dollars, exactly
const show = (amount: bigint) => `${formatAmount(amount, 9)} USD`;

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: usd("10.00") });

// An operator sets prices, once for all wallets: dollars a million tokens, in nano-dollars. To set the
// same again adds nothing. (`npx baseledger prices import` sets those of all well-known models.)
const model = "example/large";
const rates = { input: usd("1.25"), cache_read: usd("0.125"), output: usd("10") };
await ledger.setPrice({ model, rates });
const long = { input: usd("2.50"), cache_read: usd("0.25"), output: usd("15") };
await ledger.setPrice({ model, rates: long, above: 200_000n });

/** A stand-in for a model call; gives the usage that the provider reports. */
async function callModel(): Promise<{ text: string; usage: Usage }> {
  return { text: "Hello!", usage: { input: 200, cache_read: 1_000, output: 512 } };
}

// The service knows no price. It holds what the call may use at most, and reports what it has used.
const text = await ledger.guard(
  { walletId, usage: { model, input: 1_200, output: 4_000 } },
  async (reservation) => {
    console.log("held", show(reservation.amount));
    const answer = await callModel();
    reservation.spend(answer.usage);
    return answer.text;
  },
);
console.log(text, show((await ledger.balance({ walletId })).spent), "spent");

// How much output does what is left of 1 cent pay for, after this prompt? Ask for no more.
const prompt = { model, input: 1_200 };
const most = await ledger.affordable({ usage: prompt, amount: usd("0.01") });
console.log("a cent pays for", most, "tokens of output");

// The whole request has the price of its tier, once its input exceeds 200,000 tokens.
for (const input of [200_000, 200_001]) {
  const quote = await ledger.quote({ usage: { model, input } });
  console.log(input, "tokens of input:", show(quote.amount));
}

// An agent that makes several requests in one reservation reports each: each has a price of its own.
await ledger.guard({ walletId, amount: usd("0.50") }, async (reservation) => {
  for (let request = 1; request <= 3; request += 1) {
    reservation.spend({ model, input: 100_000, output: 100 }, { request });
  }
});

// A name, a variant or a kind without a price is refused, and nothing changes.
try {
  await ledger.charge({ walletId, usage: { model, input: 10, web_searches: 1 } });
} catch (error) {
  if (!(error instanceof PriceNotFoundError)) throw error;
  console.log(`refused: ${model} has no price for the ${error.reason} ${error.kind}`);
}

// The journal has the usage of each event, and the row of the price: an auditor computes it again.
const { spent } = await ledger.balance({ walletId });
console.log(show(spent), "spent in", (await ledger.statement({ walletId })).length, "events");
await ledger.close();
