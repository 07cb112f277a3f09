import Anthropic from "@anthropic-ai/sdk";
import { createIdempotencyKey, createLedger } from "../src/index.ts";
import { meteredFetch } from "../src/meter/index.ts";

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: 1_000_000_000n }); // a dollar, in nano-dollars

const anthropic = new Anthropic({ fetch: meteredFetch({ ledger, wallet: walletId }) });

const messages = [{ role: "user" as const, content: "Say hello." }];
const stream = anthropic.messages.stream({ model: "claude-haiku-4-5", max_tokens: 1000, messages });
console.log(await stream.finalText());

console.log((await ledger.balance({ walletId })).spent, "nano-dollars spent");
await ledger.close();
