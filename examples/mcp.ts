import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";
import { createIdempotencyKey, createLedger } from "../src/index.ts";
import { budgeted } from "../src/meter/index.ts";

const ledger = createLedger(process.env.DATABASE_URL);
const walletId = `acme-${createIdempotencyKey()}`; // a new wallet each time that this is run
await ledger.openWallet({ walletId });
await ledger.credit({ walletId, amount: 50_000_000n }); // 5 cents, in nano-dollars

// A search costs up to 2 cents; the handler reports what it did cost.
const search = budgeted(
  ledger,
  { wallet: walletId, amount: 20_000_000n, name: "search" },
  async (reservation, { query }: { query: string }) => {
    reservation.spend(15_000_000n);
    return { content: [{ type: "text" as const, text: `Found ${query}.` }] };
  },
);
const server = new McpServer({ name: "shop", version: "1.0.0" });
server.registerTool("search", { inputSchema: { query: z.string() } }, search);

// A client, as an agent has it.
const client = new Client({ name: "agent", version: "1.0.0" });
const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
await Promise.all([server.connect(serverSide), client.connect(clientSide)]);
for (const query of ["shoes", "socks", "hats", "gloves"]) {
  const { content, isError } = await client.callTool({ name: "search", arguments: { query } });
  console.log(isError ? "refused:" : "answered:", JSON.stringify(content));
}
console.log((await ledger.balance({ walletId })).spent, "nano-dollars spent");
await client.close();
await ledger.close();
