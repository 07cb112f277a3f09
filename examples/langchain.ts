import { ChatOpenAI } from "@langchain/openai";
import { createIdempotencyKey, createLedger } from "../src/index.ts";
import { meteredFetch } from "../src/meter/index.ts";

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: 10_000_000_000n }); // 10 dollars, in nano-dollars

const fetch = meteredFetch({ ledger, wallet: walletId, labels: { app: "support" } });
const model = new ChatOpenAI({ model: "gpt-5", configuration: { fetch } });

console.log((await model.invoke("Say hello.")).text);
console.log((await ledger.balance({ walletId })).spent, "nano-dollars spent");
await ledger.close();
