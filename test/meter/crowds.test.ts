// Many calls: at once on a small budget, cut into pieces by the network, and one after the other for long.
import v8 from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/until.ts";
import { count, type Meter, MOST, SDKS, startMeter } from "./support.ts";

let meter: Meter;
beforeAll(async () => {
  meter = await startMeter();
});
afterAll(() => meter[Symbol.asyncDispose]());

const URL = "https://api.openai.com/v1/chat/completions";
const body = JSON.stringify({
  model: "gpt-5",
  messages: [{ role: "user", content: "Hi" }],
  max_completion_tokens: MOST,
  stream: true,
});
const HOLD = BigInt(Buffer.byteLength(body) + 1_000) * 2_000n + BigInt(MOST) * 10_000n;
const COST = 3_600_000n;

describe("1,000 calls at once on what ten may cost", () => {
  test.each([
    ["at once", 0],
    ["waiting for each other", 60],
  ])("%s", async (_, wait) => {
    const funds = 10n * HOLD;
    const wallet = await meter.wallet(funds);
    let open = 0;
    let most = 0;
    let sent = 0;
    const provider: typeof fetch = async (input, init) => {
      sent += 1;
      open += 1;
      most = Math.max(most, open);
      const url = String(input).replace("https://api.openai.com", meter.fake.url);
      const answer = await fetch(url, init);
      open -= 1;
      return answer;
    };
    const via = meter.fetch({ wallet, fetch: provider, wait });
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async () => {
        const answer = await via(URL, { method: "POST", body });
        await answer.text();
        return answer.status;
      }),
    );
    const done = answers.filter((status) => status === 200).length;
    expect(answers.filter((status) => status === 402).length).toBe(1_000 - done);
    expect(sent).toBe(done);
    // What may be open at once is what the wallet can hold.
    expect(most).toBeLessThanOrEqual(10);
    const { spent, reserved } = await meter.books(wallet);
    expect([spent, reserved]).toEqual([BigInt(done) * COST, 0n]);
    expect(spent).toBeLessThanOrEqual(funds);
    // Those who wait get all that is left, down to less than one may cost.
    if (wait > 0) expect(funds - spent).toBeLessThan(HOLD);
    else expect(done).toBeGreaterThanOrEqual(10);
  });
});

describe("an answer cut at any byte", () => {
  test.each(SDKS.slice(0, 4))("$name", async (sdk) => {
    const wallet = await meter.wallet();
    let places: readonly number[] = [];
    const cut: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const at = [0, ...places.map((place) => place % bytes.length), bytes.length].sort(
        (a, b) => a - b,
      );
      const parts = at.slice(1).map((to, i) => bytes.subarray(at[i], to));
      return new Response(ReadableStream.from(parts.filter(({ length }) => length > 0)), answer);
    };
    const via = meter.fetch({ wallet, provider: sdk.provider, fetch: cut });
    const client = sdk.client(meter.fake, via);
    let calls = 0n;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(4_000), { maxLength: 50 }),
        fc.boolean(),
        async (at, streams) => {
          places = at;
          await (streams ? count(client.stream()) : client.whole());
          calls += 1n;
          // Some SDKs are done before the connection is, and do not wait for the settlement.
          await until("it is booked", async () => (await meter.books(wallet)).reserved === 0n);
          expect((await meter.books(wallet)).spent).toBe(calls * sdk.cost);
        },
      ),
      { numRuns: 40 },
    );
  });
});

test("memory stays flat over thousands of streams", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const wallet = await meter.wallet(10_000n * HOLD);
  const chunks = [
    ...Array.from({ length: 20 }, () => ({
      choices: [{ index: 0, delta: { content: "x".repeat(200) } }],
    })),
    { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
    { choices: [], usage: { prompt_tokens: 1_200, completion_tokens: 300 } },
  ].map((chunk) => Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`));
  const headers = { "content-type": "text/event-stream" };
  const provider: typeof fetch = async () => new Response(ReadableStream.from(chunks), { headers });
  const via = meter.fetch({ wallet, fetch: provider });
  // As a program has it that ends all its calls by one signal.
  const { signal } = new AbortController();
  const used: number[] = [];
  for (let round = 0; round < 5; round++) {
    for (let batch = 0; batch < 20; batch++) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, i) => {
          const answer = await via(URL, { method: "POST", body, signal });
          if (i % 2 === 0) await answer.text();
          else await answer.body?.cancel();
        }),
      );
    }
    collect();
    used.push(process.memoryUsage().heapUsed / 2 ** 20);
  }
  const { reserved } = await meter.books(wallet);
  expect(reserved).toBe(0n);
  const [, second = 0, , , last = 0] = used;
  expect(last - second, used.join(" ")).toBeLessThan(8);
});
