import OpenAI from "openai";
import { createIdempotencyKey, createLedger } from "../src/index.ts";
import { meteredFetch } from "../src/meter/index.ts";

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: 5_000_000n }); // half a cent, in nano-dollars

const openai = new OpenAI({ fetch: meteredFetch({ ledger, wallet: walletId, shrinkTo: 100 }) });

for (let call = 1; call <= 3; call += 1) {
  try {
    const answer = await openai.responses.create({ model: "gpt-5", input: "Say hello." });
    console.log(answer.output_text, "for", answer.usage?.output_tokens, "tokens");
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    console.log("refused:", error.status, error.code);
  }
}
const { available, spent } = await ledger.balance({ walletId });
console.log(spent, "nano-dollars spent,", available, "left");
await ledger.close();
