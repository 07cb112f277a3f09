// What metered fetch refuses, holds and sends, and whose money it is.
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLedger } from "../../src/client/index.ts";
import { NotSettledError } from "../../src/errors/index.ts";
import { type MeteredFetchOptions, meteredFetch } from "../../src/meter/index.ts";
import { importSeed } from "../../src/prices/index.ts";
import { createClient, urlOf } from "../client/support.ts";
import { call, createLedger as createTestLedger, holdLock } from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { count, DOLLAR, fails, type Meter, MOST, SDKS, startMeter } from "./support.ts";

let meter: Meter;
let wallet: string;
beforeAll(async () => {
  meter = await startMeter();
});
afterAll(() => meter[Symbol.asyncDispose]());
beforeEach(async () => {
  meter.fake.faults = {};
  wallet = await meter.wallet();
});

type Options = Partial<MeteredFetchOptions>;

const TOKEN = { input: 2_000n, output: 10_000n };
const messages = [{ role: "user" as const, content: "Hi" }];
const asked = { model: "gpt-5", messages, max_completion_tokens: MOST };

function openai(options: Options = {}, retries = 2): OpenAI {
  const via = meter.fetch({ wallet, provider: "openai", ...options });
  return new OpenAI({
    apiKey: "k",
    baseURL: `${meter.fake.url}/v1`,
    fetch: via,
    maxRetries: retries,
  });
}

/** The code of a refusal. */
async function codeOf(answer: Response): Promise<string> {
  const { error } = (await answer.json()) as { readonly error: { readonly code: string } };
  return error.code;
}

/** Sends a body as it is, and gives the answer. */
async function post(path: string, body: unknown, options: Options = {}, headers = {}) {
  const via = meter.fetch({ wallet, provider: "openai", ...options });
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return via(`${meter.fake.url}${path}`, { method: "POST", body: text, headers });
}

describe("refused, in the form of the provider's errors, and not tried again", () => {
  test.each(SDKS)("$name", async (sdk) => {
    const poor = await meter.wallet(1n);
    const seen = meter.fake.seen.length;
    let tries = 0;
    const metered = meter.fetch({ wallet: poor, provider: sdk.provider });
    const via: typeof fetch = (input, init) => {
      tries += 1;
      return metered(input, init);
    };
    const error = await fails(sdk.client(meter.fake, via, 2).whole());
    expect([error.status ?? (error as { statusCode?: number }).statusCode, tries]).toEqual([
      402, 1,
    ]);
    expect(error.message).toContain("insufficient funds");
    await fails(count(sdk.client(meter.fake, via, 2).stream()));
    expect([tries, meter.fake.seen.length]).toEqual([2, seen]);
    expect(await meter.books(poor)).toEqual({ spent: 0n, reserved: 0n });
  });

  test.each([
    ["a model without a price", "/v1/chat/completions", { ...asked, model: "gpt-6" }, 402, "LGPRC"],
    ["a variant", "/v1/chat/completions", { ...asked, service_tier: "flex" }, 402, "LGPRC"],
    ["a kind", "/v1/chat/completions", { ...asked, web_search_options: {} }, 402, "LGPRC"],
    ["a path", "/v1/batches", {}, 403, "not_metered"],
    ["a body", "/v1/chat/completions", "{", 403, "unreadable"],
    ["a field", "/v1/chat/completions", { ...asked, surprise: 1 }, 403, "not_understood"],
    [
      "a hosted tool",
      "/v1/responses",
      { model: "gpt-5", input: "x", tools: [{ type: "code_interpreter" }] },
      403,
      "unsupported_tool",
    ],
    ["no bound", "/v1/embeddings", { model: "text-embedding-3-small", input: "x" }, 200, undefined],
  ] as const)("%s", async (_, path, body, status, code) => {
    const seen = meter.fake.seen.length;
    const answer = await post(path, body);
    expect(answer.status).toBe(status);
    const { error } = (await answer.json()) as { error?: { code: string } };
    expect(error?.code).toBe(code);
    expect(meter.fake.seen.length).toBe(seen + (status === 200 ? 1 : 0));
    expect((await meter.books(wallet)).reserved).toBe(0n);
  });

  test("what the ledger says is in the answer", async () => {
    const answer = await post("/v1/chat/completions", { ...asked, model: "gpt-6" });
    expect(await answer.json()).toMatchObject({
      error: { code: "LGPRC", detail: { reason: "model", model: "openai/gpt-6" } },
    });
    await meter.operator.setLimit({
      walletId: wallet,
      limitId: "few",
      amount: 0n,
      per: "day",
      of: "calls",
    });
    const limited = await post("/v1/chat/completions", asked);
    expect(await limited.json()).toMatchObject({
      error: { code: "LGLIM", detail: { limitId: "few", reason: "exhausted" } },
    });
  });

  test("no wallet, and one that does not exist", async () => {
    const none = await post("/v1/chat/completions", asked, { wallet: () => undefined });
    expect([none.status, await codeOf(none)]).toEqual([403, "no_wallet"]);
    const gone = await post("/v1/chat/completions", asked, { wallet: "gone" });
    expect([gone.status, await codeOf(gone)]).toEqual([402, "LGWNF"]);
  });

  test("a model whose price has no bound for what it may use", async () => {
    const file = await toFile(Buffer.from("no sound"), "a.wav");
    const error = await fails(openai().audio.transcriptions.create({ model: "whisper-1", file }));
    expect(error).toMatchObject({ status: 403, code: "no_bound" });
  });

  test("a ledger that cannot be reached", async () => {
    const closed = createClient(meter.database);
    await closed.close();
    const answer = await post("/v1/chat/completions", asked, { ledger: closed });
    expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([503, "false"]);
    expect(await codeOf(answer)).toBe("ledger_unavailable");
  });

  test("labels that limits could not count are a mistake of the program's", async () => {
    await expect(post("/v1/chat/completions", asked, { labels: { user: "" } })).rejects.toThrow(
      TypeError,
    );
  });
});

test("a request that costs nothing is passed on", async () => {
  const via = meter.fetch({ wallet: "gone", provider: "openai" });
  const answer = await via(`${meter.fake.url}/v1/models`, {
    headers: { "x-baseledger-user": "a" },
  });
  expect(answer.status).toBe(404);
  expect(meter.fake.seen.at(-1)?.headers).not.toHaveProperty("x-baseledger-user");
});

describe("the hold", () => {
  test("is the bytes of the body, what templates add, and the most output", async () => {
    const body = JSON.stringify(asked);
    await post("/v1/chat/completions", body);
    const input = BigInt(Buffer.byteLength(body) + 1_000);
    expect(await meter.holds(wallet)).toEqual([input * TOKEN.input + BigInt(MOST) * TOKEN.output]);
  });

  test("is of each choice, and of the model's most output without a limit", async () => {
    const body = JSON.stringify({ model: "gpt-5", messages, n: 2 });
    await post("/v1/chat/completions", body, { wallet: await meter.wallet(1_000n * DOLLAR) });
    await post("/v1/chat/completions", body);
    const input = BigInt(Buffer.byteLength(body) + 1_000);
    expect(await meter.holds(wallet)).toEqual([input * TOKEN.input + 2n * 128_000n * TOKEN.output]);
  });

  test("is the context window for what is only referred to", async () => {
    const content = [{ type: "image_url", image_url: { url: "https://example.com/a.png" } }];
    await post("/v1/chat/completions", { ...asked, messages: [{ role: "user", content }] });
    expect(await meter.holds(wallet)).toEqual([
      400_000n * TOKEN.input + BigInt(MOST) * TOKEN.output,
    ]);
  });

  test("is what was counted", async () => {
    await post("/v1/chat/completions", asked, { countInput: async ({ model }) => model.length });
    const broken = () => Promise.reject(new Error("no count"));
    await post("/v1/chat/completions", asked, { countInput: broken });
    const [counted = 0n, bound = 0n] = await meter.holds(wallet);
    expect(counted).toBe(12n * TOKEN.input + BigInt(MOST) * TOKEN.output);
    expect(bound).toBeGreaterThan(counted);
  });

  test("is the longest sound where seconds cost", async () => {
    meter.fake.usage.transcription = { type: "duration", seconds: 12.1 };
    const file = await toFile(Buffer.from("no sound"), "a.wav");
    await openai({ longest: 60 }).audio.transcriptions.create({ model: "whisper-1", file });
    expect([await meter.holds(wallet), await meter.books(wallet)]).toEqual([
      [60n * 100_000n],
      { spent: 13n * 100_000n, reserved: 0n },
    ]);
  });
});

test("what has no text", async () => {
  meter.fake.usage.transcription = {
    type: "tokens",
    input_tokens: 140,
    output_tokens: 30,
    input_token_details: { text_tokens: 10, audio_tokens: 130 },
  };
  const sdk = openai();
  await sdk.embeddings.create({ model: "text-embedding-3-small", input: "x" });
  await sdk.images.generate({ model: "gpt-image-1", prompt: "a tree" });
  const stream = await sdk.images.generate({
    model: "gpt-image-1",
    prompt: "a tree",
    stream: true,
  });
  await count(stream);
  const file = await toFile(Buffer.from("no sound"), "a.wav");
  await sdk.audio.transcriptions.create({ model: "gpt-4o-transcribe", file });
  const speech = {
    model: "gpt-4o-mini-tts",
    input: "x",
    voice: "alloy",
    stream_format: "sse",
  } as const;
  await (await sdk.audio.speech.create(speech)).text();
  const ends = await meter.ends(wallet);
  expect(ends.map(({ amount, basis }) => [amount, basis])).toEqual([
    [7n * 20n, "usage"],
    [50n * 5_000n + 1_056n * 40_000n, "usage"],
    [50n * 5_000n + 1_056n * 40_000n, "usage"],
    [10n * 2_500n + 130n * 6_000n + 30n * 10_000n, "usage"],
    [14n * 600n + 101n * 12_000n, "usage"],
  ]);
});

describe("with less than the bound", () => {
  const body = JSON.stringify(asked);
  const input = BigInt(Buffer.byteLength(body) + 1_000) * TOKEN.input;

  test("the limit is what the wallet affords", async () => {
    wallet = await meter.wallet(input + 700n * TOKEN.output + 9_999n);
    const answer = await post("/v1/chat/completions", body, { shrinkTo: 500 });
    expect([answer.status, meter.fake.seen.at(-1)?.body.max_completion_tokens]).toEqual([200, 700]);
    expect(await meter.books(wallet)).toEqual({ spent: 3_600_000n, reserved: 0n });
  });

  test("not below the least", async () => {
    wallet = await meter.wallet(input + 499n * TOKEN.output);
    const answer = await post("/v1/chat/completions", body, { shrinkTo: 500 });
    expect([answer.status, await codeOf(answer)]).toEqual([402, "LGNSF"]);
  });

  test("not where there is enough", async () => {
    await post("/v1/chat/completions", body, { shrinkTo: 500 });
    expect(meter.fake.seen.at(-1)?.body.max_completion_tokens).toBe(MOST);
  });

  test("an aborted stream books the limit that was sent", async () => {
    meter.fake.usage.messages = { input_tokens: 50, output_tokens: 300 };
    meter.fake.faults = { events: 5, stall: true };
    const claude = { model: "claude-haiku-4-5", max_tokens: MOST, messages, stream: true };
    const text = JSON.stringify(claude);
    const held = BigInt(Buffer.byteLength(text) + 1_000) * 1_000n + 600n * 5_000n;
    wallet = await meter.wallet(held);
    const answer = await post("/v1/messages", text, { shrinkTo: 500, provider: "anthropic" });
    const reader = answer.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await until("it is booked", async () => (await meter.books(wallet)).reserved === 0n);
    expect((await meter.books(wallet)).spent).toBe(50n * 1_000n + 600n * 5_000n);
  });
});

test("an aborted stream books no more than its hold", async () => {
  meter.fake.usage.messages = { input_tokens: 50_000, output_tokens: 300 };
  meter.fake.faults = { events: 5, stall: true };
  const claude = { model: "claude-haiku-4-5", max_tokens: MOST, messages, stream: true };
  const answer = await post("/v1/messages", claude, { provider: "anthropic" });
  const reader = answer.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await until("it is booked", async () => (await meter.books(wallet)).reserved === 0n);
  const [hold] = await meter.holds(wallet);
  const end = { event: "settled", amount: hold, basis: "hold", why: "aborted" };
  expect(await meter.ends(wallet)).toEqual([end]);
});

describe("wallet and labels", () => {
  test("by a function, and by headers that are not sent", async () => {
    const [named, found] = [await meter.wallet(), await meter.wallet()];
    await post("/v1/chat/completions", asked, {}, { "x-baseledger-wallet": named });
    expect(meter.fake.seen.at(-1)?.headers).not.toHaveProperty("x-baseledger-wallet");
    await post(
      "/v1/chat/completions",
      asked,
      {
        wallet: ({ headers }) => headers.get("x-baseledger-who") ?? undefined,
        labels: ({ headers, model }) => ({ run: headers.get("x-baseledger-run") ?? "", of: model }),
      },
      { "x-baseledger-who": found, "x-baseledger-run": "run-7" },
    );
    expect(Object.keys(meter.fake.seen.at(-1)?.headers ?? {})).not.toContain("x-baseledger-run");
    for (const each of [named, found]) {
      expect(await meter.books(each)).toEqual({ spent: 3_600_000n, reserved: 0n });
    }
    const [row] = await meter.database.auditor`
      select metadata from baseledger.journal where wallet_id = ${found} and event = 'reserved'`;
    expect(row?.metadata).toEqual({ run: "run-7", of: "openai/gpt-5" });
  });
});

describe("waiting", () => {
  test("for funds that other calls hold", async () => {
    const sdk = openai({ wait: 30 });
    const { available } = await meter.ledger.balance({ walletId: wallet });
    const other = await meter.ledger.hold({ walletId: wallet, amount: available });
    const answer = sdk.chat.completions.create(asked);
    await other.cancel();
    expect((await answer).choices).toHaveLength(1);
  });

  test("not for what will not come", async () => {
    wallet = await meter.wallet(1n);
    const error = await fails(openai({ wait: 600 }).chat.completions.create(asked));
    expect(error.status).toBe(402);
  });
});

describe("what the answer says", () => {
  const tier = async (name: string) => {
    const via: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init);
      return Response.json({ ...((await answer.json()) as object), service_tier: name });
    };
    await post("/v1/chat/completions", asked, { fetch: via });
    return (await meter.ends(wallet)).at(-1);
  };

  test("a variant with a price of its own is booked by that", async () => {
    await meter.operator.setPrice({
      model: "openai/gpt-5",
      variant: "priority",
      rates: { input: 4e9, cache_read: 4e8, output: 2e10 },
    });
    expect(await tier("priority")).toMatchObject({ amount: 7_200_000n, basis: "usage" });
  });

  test("one without a price books the hold", async () => {
    const [hold] = [await tier("scale"), ...(await meter.holds(wallet))].slice(1);
    expect((await meter.ends(wallet)).at(-1)).toEqual({
      event: "settled",
      amount: hold,
      basis: "hold",
      why: "unpriced",
    });
  });

  test("a kind without a price: what is cheaper counts as input, else the hold is booked", async () => {
    await meter.operator.setPrice({ model: "openai/plain", rates: { input: 2e9, output: 1e10 } });
    const via =
      (usage: object): typeof fetch =>
      async () =>
        Response.json({ choices: [], usage });
    const cached = {
      prompt_tokens: 10,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens: 1,
    };
    await post("/v1/chat/completions", { ...asked, model: "plain" }, { fetch: via(cached) });
    const spoken = { ...cached, completion_tokens_details: { audio_tokens: 1 } };
    await post("/v1/chat/completions", { ...asked, model: "plain" }, { fetch: via(spoken) });
    const [, hold] = await meter.holds(wallet);
    expect(await meter.ends(wallet)).toMatchObject([
      { amount: 30_000n, basis: "usage" },
      { amount: hold, basis: "hold", why: "unpriced" },
    ]);
  });

  test("more than was held is booked in full", async () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5_000 };
    const via: typeof fetch = async () => Response.json({ choices: [], usage });
    await post("/v1/chat/completions", asked, { fetch: via });
    expect((await meter.books(wallet)).spent).toBe(10n * TOKEN.input + 5_000n * TOKEN.output);
  });

  test("what the call has cost is in a header", async () => {
    const answer = await post("/v1/chat/completions", asked);
    expect(answer.headers.get("x-baseledger-cost")).toBe("3600000");
  });
});

test("a settlement that the database does not take leaves the answer, and is reported", async () => {
  const ledger = createClient(meter.database, { retryFor: 1 });
  const errors: unknown[] = [];
  let unlock: () => Promise<void> = async () => undefined;
  const via: typeof fetch = async (input, init) => {
    unlock = await holdLock(meter.database, wallet);
    return fetch(input, init);
  };
  const onError = (error: unknown) => errors.push(error);
  const answer = await post("/v1/chat/completions", asked, { ledger, fetch: via, onError });
  expect(await answer.json()).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  await until("it is reported", () => errors.length > 0);
  await unlock();
  const [error] = errors as NotSettledError[];
  expect(error).toBeInstanceOf(NotSettledError);
  expect((await meter.books(wallet)).reserved).toBeGreaterThan(0n);
  await meter.ledger.settle(error as NotSettledError);
  expect(await meter.books(wallet)).toEqual({ spent: 3_600_000n, reserved: 0n });
  await ledger.close();
});

test("with the prices that come with the package", async () => {
  const database = await createTestLedger();
  await importSeed(database.operator);
  meter.fake.usage.messages = { input_tokens: 50, output_tokens: 300 };
  const ledger = createLedger(urlOf(database));
  const paid: Record<string, bigint> = {};
  for (const sdk of SDKS) {
    await call(database.operator, "open_wallet", { wallet_id: sdk.name });
    await call(database.operator, "credit", {
      wallet_id: sdk.name,
      amount: DOLLAR,
      idempotency_key: "f",
    });
    const via = meteredFetch({ ledger, wallet: sdk.name, provider: sdk.provider });
    await sdk.client(meter.fake, via).whole();
    paid[sdk.provider] = (await ledger.balance({ walletId: sdk.name })).spent;
  }
  // 50 of input, or 200 and 207, 1,000 that were cached, 300 of output: at the list prices.
  expect(paid).toEqual({
    openai: 200n * 1_250n + 1_000n * 125n + 300n * 10_000n,
    anthropic: 50n * 1_000n + 300n * 5_000n,
    google: 207n * 1_250n + 1_000n * 125n + 300n * 10_000n,
  });
  await ledger.close();
  await database[Symbol.asyncDispose]();
});
