import { Agent, OpenAIProvider, Runner } from "@openai/agents";
import OpenAI from "openai";
import { createIdempotencyKey, createLedger } from "../src/index.ts";
import { meteredFetch } from "../src/meter/index.ts";

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: 10_000_000_000n }); // 10 dollars, in nano-dollars

const openAIClient = new OpenAI({ fetch: meteredFetch({ ledger, wallet: walletId }) });
const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient }) });

const agent = new Agent({ name: "Greeter", instructions: "Be brief.", model: "gpt-5" });
console.log((await runner.run(agent, "Say hello.")).finalOutput);
console.log((await ledger.balance({ walletId })).spent, "nano-dollars spent");
await ledger.close();
