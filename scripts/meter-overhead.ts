// node scripts/meter-overhead.ts
// Measures what metering adds to a call: by itself, and 200 at once. The provider is a server of this program's in
// a thread of its own, and answers at once; PostgreSQL keeps its data, on this machine.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import postgres from "postgres";
import { createLedger, type Ledger } from "../src/client/index.ts";
import { startPostgres } from "../src/embedded/index.ts";
import { meteredFetch } from "../src/meter/index.ts";
import { migrate } from "../src/migrate/index.ts";

const ROUNDS = 5;
const CALLS = 200;
const AT_ONCE = 200;
const DURABLE = { fsync: "on", synchronous_commit: "on", full_page_writes: "on" };

const body = JSON.stringify({
  model: "gpt-5",
  messages: [{ role: "user", content: "Say hello to everybody who reads this." }],
  max_completion_tokens: 1_000,
});
const headers = { "content-type": "application/json" };

if (isMainThread) await main();
else await serve();

/** A provider of one answer. */
async function serve(): Promise<void> {
  const answer = JSON.stringify({
    id: "x",
    object: "chat.completion",
    model: "gpt-5",
    choices: [
      { index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" },
    ],
    usage: { prompt_tokens: 1_200, completion_tokens: 300 },
  });
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(200, headers).end(answer));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  parentPort?.postMessage((server.address() as AddressInfo).port);
}

async function main(): Promise<void> {
  const worker = new Worker(new URL(import.meta.url));
  const [port] = (await once(worker, "message")) as [number];
  const server = await startPostgres({ settings: DURABLE });
  const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
  await migrate(sql);
  await sql.end();
  const ledger = createLedger(server.url);
  const url = `http://127.0.0.1:${port}/v1/chat/completions`;
  const metered = meteredFetch({ ledger, wallet: await openWallet(ledger), provider: "openai" });
  try {
    await measure(url, metered);
  } finally {
    await ledger.close();
    await server.stop();
    await worker.terminate();
  }
}

async function openWallet(ledger: Ledger): Promise<string> {
  const walletId = "overhead";
  await ledger.setPrice({ model: "openai/gpt-5", rates: { input: 1.25e9, output: 1e10 } });
  await ledger.openWallet({ walletId });
  await ledger.credit({ walletId, amount: 10n ** 15n });
  return walletId;
}

interface Figures {
  /** Milliseconds of each call, one after the other. */
  readonly single: number[];
  /** Milliseconds for all calls that are made at once. */
  readonly crowd: number[];
  /** Milliseconds of CPU time of this program for each call of a crowd. */
  readonly cpu: number[];
}

async function measure(url: string, metered: typeof fetch): Promise<void> {
  const plain: Figures = { single: [], crowd: [], cpu: [] };
  const held: Figures = { single: [], crowd: [], cpu: [] };
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [send, figures] of [[fetch, plain] as const, [metered, held] as const]) {
      const single = await oneByOne(send, url);
      const before = process.cpuUsage();
      const crowd = await atOnce(send, url);
      const { user, system } = process.cpuUsage(before);
      if (round === 0) continue;
      figures.single.push(...single);
      figures.crowd.push(crowd);
      figures.cpu.push((user + system) / 1_000 / AT_ONCE);
    }
  }
  const [p50, p99] = [0.5, 0.99].map((part) => [plain, held].map(({ single }) => at(single, part)));
  const [crowd, cpu] = (["crowd", "cpu"] as const).map((name) =>
    [plain, held].map((figures) => at(figures[name], 0.5)),
  );
  console.log("| | plain | metered |\n| --- | --- | --- |");
  console.log(row("a call, p50", p50));
  console.log(row("a call, p99", p99));
  console.log(row(`${AT_ONCE} calls at once`, crowd));
  console.log(row("CPU of the program, a call of these", cpu));
}

async function oneByOne(send: typeof fetch, url: string): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const start = performance.now();
    await ask(send, url);
    times.push(performance.now() - start);
  }
  return times;
}

async function atOnce(send: typeof fetch, url: string): Promise<number> {
  const start = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, () => ask(send, url)));
  return performance.now() - start;
}

async function ask(send: typeof fetch, url: string): Promise<void> {
  const answer = await send(url, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(await answer.text());
  await answer.json();
}

function at(times: readonly number[], part: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
}

function row(name: string, figures: readonly number[] = []): string {
  return `| ${[name, ...figures.map((ms) => `${ms.toFixed(1)} ms`)].join(" | ")} |`;
}
