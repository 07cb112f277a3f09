import { anthropic } from "@ai-sdk/anthropic";
import { streamText, wrapLanguageModel } from "ai";
import { createIdempotencyKey, createLedger } from "../src/index.ts";
import { budget } from "../src/meter/ai-sdk/index.ts";

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: 1_000_000_000n }); // a dollar, in nano-dollars

const middleware = budget({ ledger, wallet: walletId });
const model = wrapLanguageModel({ model: anthropic("claude-haiku-4-5"), middleware });

const providerOptions = { baseledger: { labels: { user: "ann" } } };
const { textStream } = streamText({ model, prompt: "Say hello.", providerOptions });
for await (const text of textStream) process.stdout.write(text);

const [line] = await ledger.spending({ walletId, by: ["user", "model"] });
console.log(`\n${line?.labelValues}: ${line?.amount} nano-dollars`);
await ledger.close();
