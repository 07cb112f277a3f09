// Middleware of the AI SDK, in three of its versions, against the fake provider: what is booked, to the
// nano-dollar, and that nothing stays held.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai7 from "ai";
import { MockLanguageModelV4 } from "ai/test";
import * as ai5 from "ai5";
import { createAnthropic as createAnthropic5 } from "ai5-anthropic";
import { createOpenAI as createOpenAI5 } from "ai5-openai";
import * as ai6 from "ai6";
import { createAnthropic as createAnthropic6 } from "ai6-anthropic";
import { createOpenAI as createOpenAI6 } from "ai6-openai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  InsufficientFundsError,
  LimitReachedError,
  PriceNotFoundError,
} from "../../src/errors/index.ts";
import { type BudgetOptions, budget, NoBoundError, NotSent } from "../../src/meter/ai-sdk/index.ts";
import { TEXT } from "../support/fake-answers.ts";
import { until } from "../support/until.ts";
import { fails, type Meter, MOST, startMeter } from "./support.ts";

let meter: Meter;
let wallet: string;

beforeAll(async () => {
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
  meter = await startMeter();
});
afterAll(() => meter[Symbol.asyncDispose]());
beforeEach(async () => {
  meter.fake.faults = {};
  wallet = await meter.wallet();
});
afterEach(async () => {
  await until("nothing is held", async () => (await meter.books(wallet)).reserved === 0n);
});

const middleware = (options: Partial<BudgetOptions> = {}) =>
  budget({ ledger: meter.ledger, wallet, ...options });
const spent = async () => (await meter.books(wallet)).spent;
const lastEnd = async () => (await meter.ends(wallet)).at(-1);

interface Asked {
  readonly abortSignal?: AbortSignal;
  readonly providerOptions?: Record<string, Record<string, ai5.JSONValue>>;
  readonly maxOutputTokens?: number;
  readonly maxRetries?: number;
}
interface Way {
  readonly cost: bigint;
  whole(asked?: Asked, options?: Partial<BudgetOptions>): Promise<string>;
  /** The parts of a stream, as the SDK gives them. */
  stream(
    asked?: Asked,
    options?: Partial<BudgetOptions>,
  ): AsyncIterable<{ type: string; error?: unknown }>;
}

const given = { prompt: "Say hello", maxRetries: 0, maxOutputTokens: MOST };
const quiet = { onError: () => undefined };

type Model7 = Parameters<typeof ai7.wrapLanguageModel>[0]["model"];
type Model6 = Parameters<typeof ai6.wrapLanguageModel>[0]["model"];
type Model5 = Parameters<typeof ai5.wrapLanguageModel>[0]["model"];

function with7(cost: bigint, make: (url: string) => Model7): Way {
  const model = (options?: Partial<BudgetOptions>) =>
    ai7.wrapLanguageModel({ model: make(meter.fake.url), middleware: middleware(options) });
  return {
    cost,
    whole: async (asked, options) =>
      (await ai7.generateText({ ...given, ...asked, model: model(options) })).text,
    stream: (asked, options) =>
      ai7.streamText({ ...given, ...quiet, ...asked, model: model(options) }).fullStream,
  };
}

function with6(cost: bigint, make: (url: string) => Model6): Way {
  const model = (options?: Partial<BudgetOptions>) =>
    ai6.wrapLanguageModel({ model: make(meter.fake.url), middleware: middleware(options) });
  return {
    cost,
    whole: async (asked, options) =>
      (await ai6.generateText({ ...given, ...asked, model: model(options) })).text,
    stream: (asked, options) =>
      ai6.streamText({ ...given, ...quiet, ...asked, model: model(options) }).fullStream,
  };
}

function with5(cost: bigint, make: (url: string) => Model5): Way {
  const model = (options?: Partial<BudgetOptions>) =>
    ai5.wrapLanguageModel({ model: make(meter.fake.url), middleware: middleware(options) });
  return {
    cost,
    whole: async (asked, options) =>
      (await ai5.generateText({ ...given, ...asked, model: model(options) })).text,
    stream: (asked, options) =>
      ai5.streamText({ ...given, ...quiet, ...asked, model: model(options) }).fullStream,
  };
}

const apiKey = "none";
const OPENAI = 3_600_000n;
const ANTHROPIC = 3_150_000n;
const GOOGLE = 3_614_000n;
const ways: Readonly<Record<string, Way>> = {
  "7, openai": with7(OPENAI, (url) => createOpenAI({ apiKey, baseURL: `${url}/v1` })("gpt-5")),
  "7, openai chat": with7(OPENAI, (url) =>
    createOpenAI({ apiKey, baseURL: `${url}/v1` }).chat("gpt-5"),
  ),
  "7, anthropic": with7(ANTHROPIC, (url) =>
    createAnthropic({ apiKey, baseURL: `${url}/v1` })("claude-haiku-4-5"),
  ),
  "7, google": with7(GOOGLE, (url) =>
    createGoogle({ apiKey, baseURL: `${url}/v1beta` })("gemini-2.5-pro"),
  ),
  "6, openai": with6(OPENAI, (url) => createOpenAI6({ apiKey, baseURL: `${url}/v1` })("gpt-5")),
  "6, openai chat": with6(OPENAI, (url) =>
    createOpenAI6({ apiKey, baseURL: `${url}/v1` }).chat("gpt-5"),
  ),
  "6, anthropic": with6(ANTHROPIC, (url) =>
    createAnthropic6({ apiKey, baseURL: `${url}/v1` })("claude-haiku-4-5"),
  ),
  "5, openai": with5(OPENAI, (url) => createOpenAI5({ apiKey, baseURL: `${url}/v1` })("gpt-5")),
  "5, openai chat": with5(OPENAI, (url) =>
    createOpenAI5({ apiKey, baseURL: `${url}/v1` }).chat("gpt-5"),
  ),
  "5, anthropic": with5(ANTHROPIC, (url) =>
    createAnthropic5({ apiKey, baseURL: `${url}/v1` })("claude-haiku-4-5"),
  ),
};
const openai = ways["7, openai"] as Way;
const anthropic = ways["7, anthropic"] as Way;

async function textOf(stream: AsyncIterable<object>): Promise<string> {
  let text = "";
  for await (const part of stream) {
    if ("text" in part && typeof part.text === "string") text += part.text;
  }
  return text;
}

/** Reads so many parts with text, then does something. */
async function readSome(stream: AsyncIterable<{ type: string }>, then: () => void): Promise<void> {
  let seen = 0;
  for await (const { type } of stream) {
    if (type === "text-delta" && ++seen === 2) then();
  }
}

describe.each(Object.entries(ways))("AI SDK %s", (_, way) => {
  test("books a whole answer, to the nano-dollar", async () => {
    expect(await way.whole()).toBe(TEXT);
    expect(await spent()).toBe(way.cost);
    expect(await lastEnd()).toMatchObject({ event: "settled", basis: "usage" });
  });

  test("books a stream, before its reader sees its end", async () => {
    expect(await textOf(way.stream())).toBe(TEXT);
    expect(await spent()).toBe(way.cost);
  });

  test("books a stream that its reader leaves", async () => {
    for await (const { type } of way.stream()) if (type === "text-delta") break;
    await until("it is booked", async () => (await spent()) === way.cost);
  });

  test("books the hold when the caller aborts a stream", async () => {
    meter.fake.faults = { events: 6, stall: true };
    const controller = new AbortController();
    await readSome(way.stream({ abortSignal: controller.signal }), () => controller.abort());
    await until("it has ended", async () => (await meter.ends(wallet)).length === 1);
    expect(await lastEnd()).toMatchObject({ basis: "hold", why: "aborted" });
    expect([await spent()]).toEqual(await meter.holds(wallet));
  });

  test("books the hold for a stream that the provider cuts short", async () => {
    for (const faults of [{ events: 3 }, { events: 3, cut: true }, { events: 3, error: true }]) {
      meter.fake.faults = faults;
      await textOf(way.stream()).catch(() => undefined);
    }
    const ends = await meter.ends(wallet);
    expect(ends.map(({ basis }) => basis)).toEqual(["hold", "hold", "hold"]);
    const holds = await meter.holds(wallet);
    expect(await spent()).toBe(holds.reduce((sum, each) => sum + each));
  });

  test("books the hold where usage is missing", async () => {
    meter.fake.faults = { noUsage: true };
    // Some versions fail without usage.
    await way.whole().catch(() => undefined);
    await textOf(way.stream()).catch(() => undefined);
    const ends = await meter.ends(wallet);
    expect(ends.map(({ basis }) => basis)).toEqual(["hold", "hold"]);
  });

  test("cancels what the provider refuses, and what was never sent", async () => {
    for (const status of [400, 429, 500]) {
      meter.fake.faults = { status };
      await fails(way.whole());
    }
    const ends = await meter.ends(wallet);
    expect(ends.map(({ event }) => event)).toEqual(["cancelled", "cancelled", "cancelled"]);
    expect(await spent()).toBe(0n);
  });

  test("books the hold where the work may have been done", async () => {
    for (const faults of [{ status: 504 }, { reset: "before" }, { reset: "headers" }] as const) {
      meter.fake.faults = faults;
      await fails(way.whole());
    }
    const ends = await meter.ends(wallet);
    expect(ends.map(({ basis }) => basis)).toEqual(["hold", "hold", "hold"]);
  });

  test("refuses what the wallet cannot pay, with the error of the ledger, once", async () => {
    const poor = await meter.wallet(1_000n);
    const before = meter.fake.seen.length;
    const asked = { providerOptions: { baseledger: { wallet: poor } }, maxRetries: 2 };
    let tries = 0;
    const labels = () => ({ try: String(++tries) });
    expect(await fails(way.whole(asked, { labels }))).toBeInstanceOf(InsufficientFundsError);
    expect(tries).toBe(1);
    const errors = [];
    for await (const part of way.stream(asked)) if (part.type === "error") errors.push(part.error);
    expect(errors[0]).toBeInstanceOf(InsufficientFundsError);
    expect(meter.fake.seen.length).toBe(before);
  });
});

describe("a call", () => {
  test("has its wallet and labels by providerOptions, and by functions", async () => {
    const other = await meter.wallet();
    await meter.operator.setLimit({
      walletId: other,
      limitId: "of-bob",
      of: "calls",
      amount: 1n,
      per: "day",
      by: ["user"],
    });
    const options = { wallet: () => other, labels: () => ({ user: "ann", team: "red" }) };
    await openai.whole({}, options);
    const asked = { providerOptions: { baseledger: { labels: { user: "bob" } } } };
    await openai.whole(asked, options);
    expect(await fails(openai.whole(asked, options))).toBeInstanceOf(LimitReachedError);
    const lines = await meter.operator.spending({ walletId: other, by: ["user", "team", "model"] });
    expect(lines.map(({ labelValues }) => labelValues)).toEqual([
      ["ann", "red", "openai/gpt-5"],
      ["bob", "red", "openai/gpt-5"],
    ]);
    await openai.whole({ providerOptions: { baseledger: { wallet } } }, options);
    expect(await spent()).toBe(OPENAI);
  });

  test("is not made where nobody says who pays", async () => {
    const asked = { providerOptions: { baseledger: { wallte: wallet } } };
    expect(await fails(openai.whole(asked))).toMatchObject({ code: "unreadable" });
    const error = await fails(openai.whole({}, { wallet: () => undefined }));
    expect(error).toBeInstanceOf(NotSent);
    expect(error).toMatchObject({ code: "no_wallet" });
  });

  test("is not made if its model has no price, or options whose cost is unknown", async () => {
    const before = meter.fake.seen.length;
    const unknown = with7(0n, (url) =>
      createOpenAI({ apiKey, baseURL: `${url}/v1` })("gpt-5-unheard-of"),
    );
    expect(await fails(unknown.whole())).toBeInstanceOf(PriceNotFoundError);
    const asked = (name: string, options: Record<string, ai5.JSONValue>) => ({
      providerOptions: { [name]: options },
    });
    expect(await fails(openai.whole(asked("openai", { serviceTier: "flex" })))).toMatchObject({
      code: "LGPRC",
      reason: "variant",
    });
    expect(await fails(anthropic.whole(asked("anthropic", { speed: "fast" })))).toMatchObject({
      code: "LGPRC",
      reason: "variant",
    });
    const container = asked("anthropic", { container: { id: "c" } });
    expect(await fails(anthropic.whole(container))).toMatchObject({ code: "not_understood" });
    expect(meter.fake.seen.length).toBe(before);
    // Those for another provider do not matter.
    await openai.whole(asked("anthropic", { speed: "fast" }));
    expect(await spent()).toBe(OPENAI);
  });

  test("with tools of the provider's is made only where these have a bound and a price", async () => {
    const tools = (tool: ai7.Tool) => ({ tools: { tool } });
    const call = (model: Model7, tool: ai7.Tool) =>
      ai7.generateText({
        ...given,
        ...tools(tool),
        model: ai7.wrapLanguageModel({ model, middleware: middleware() }),
      });
    const claude = createAnthropic({ apiKey, baseURL: `${meter.fake.url}/v1` });
    const gpt = createOpenAI({ apiKey, baseURL: `${meter.fake.url}/v1` });
    expect(
      await fails(call(gpt("gpt-5"), gpt.tools.codeInterpreter({}) as ai7.Tool)),
    ).toMatchObject({ code: "unsupported_tool" });
    const search = (maxUses?: number) =>
      claude.tools.webSearch_20250305(maxUses === undefined ? {} : { maxUses }) as ai7.Tool;
    expect(await fails(call(claude("claude-haiku-4-5"), search()))).toMatchObject({
      code: "unsupported_tool",
    });
    expect(await fails(call(claude("claude-haiku-4-5"), search(2)))).toMatchObject({
      code: "LGPRC",
      kind: "web_searches",
    });
  });

  test("waits for funds that another call holds", async () => {
    await openai.whole();
    const [hold = 0n] = await meter.holds(wallet);
    const small = await meter.wallet(hold + OPENAI);
    const both = [1, 2].map(() => openai.whole({}, { wallet: small, wait: 30 }));
    expect(await Promise.all(both)).toEqual([TEXT, TEXT]);
    expect(await meter.books(small)).toEqual({ spent: 2n * OPENAI, reserved: 0n });
  });

  test("is shrunk to what the wallet can pay", async () => {
    const small = await meter.wallet(8_000_000n);
    const short = { providerOptions: { baseledger: { wallet: small } } };
    expect(await fails(openai.whole(short))).toBeInstanceOf(InsufficientFundsError);
    await openai.whole(short, { shrinkTo: 100 });
    const limit = meter.fake.seen.at(-1)?.body.max_output_tokens;
    expect(limit).toBeGreaterThanOrEqual(100);
    expect(limit).toBeLessThan(MOST);
    expect(await meter.books(small)).toEqual({ spent: OPENAI, reserved: 0n });
  });

  test("holds the thinking that the SDK adds to Claude's limit", async () => {
    const thinking = { type: "enabled", budgetTokens: 2_000 };
    await anthropic.whole({ providerOptions: { anthropic: { thinking } } });
    expect(meter.fake.seen.at(-1)?.body.max_tokens).toBe(3_000);
    await anthropic.whole();
    const [more = 0n, less = 0n] = await meter.holds(wallet);
    // 2,000 tokens of output, and some for the text of the options.
    expect(more - less).toBeGreaterThanOrEqual(2_000n * 5_000n);
    expect(more - less).toBeLessThan(2_000n * 5_000n + 200n * 1_000n);
    await ai7.generateText({
      ...given,
      reasoning: "high",
      model: ai7.wrapLanguageModel({
        model: createAnthropic({ apiKey, baseURL: `${meter.fake.url}/v1` })("claude-haiku-4-5"),
        middleware: middleware(),
      }),
    });
    const sent = BigInt(meter.fake.seen.at(-1)?.body.max_tokens);
    const [, , chosen = 0n] = await meter.holds(wallet);
    expect(sent).toBeGreaterThan(BigInt(MOST));
    expect(chosen).toBeGreaterThan(sent * 5_000n);
  });

  test("that writes to Claude's cache is held at the price of that", async () => {
    const cached = (ttl: string) => ({
      providerOptions: { anthropic: { cacheControl: { type: "ephemeral", ttl } } },
    });
    await anthropic.whole();
    await anthropic.whole(cached("5m"));
    await anthropic.whole(cached("1h"));
    const [plain = 0n, short = 0n, long = 0n] = await meter.holds(wallet);
    const output = 1_000n * 5_000n;
    const ratio = (hold: bigint) => Number(hold - output) / Number(plain - output);
    expect(ratio(short)).toBeGreaterThanOrEqual(1.25);
    expect(ratio(long)).toBeGreaterThanOrEqual(2);
    expect(await spent()).toBe(3n * ANTHROPIC);
  });

  test("with a file holds the whole window", async () => {
    const content = [
      { type: "text" as const, text: "What is this?" },
      { type: "file" as const, data: new Uint8Array(10), mediaType: "image/png" },
    ];
    await ai7.generateText({
      messages: [{ role: "user", content }],
      maxOutputTokens: MOST,
      model: ai7.wrapLanguageModel({
        model: createOpenAI({ apiKey, baseURL: `${meter.fake.url}/v1` })("gpt-5"),
        middleware: middleware(),
      }),
    });
    expect(await meter.holds(wallet)).toEqual([400_000n * 2_000n + 1_000n * 10_000n]);
    expect(await spent()).toBe(OPENAI);
  });

  test("is counted by countInput", async () => {
    await openai.whole({}, { countInput: ({ model }) => (model === "openai/gpt-5" ? 10 : 0) });
    expect(await meter.holds(wallet)).toEqual([10n * 2_000n + 1_000n * 10_000n]);
  });

  test("is drained to its end where that is asked for", async () => {
    meter.fake.faults = { delay: 5 };
    const controller = new AbortController();
    const stream = openai.stream({ abortSignal: controller.signal }, { abandoned: "drain" });
    await readSome(stream, () => controller.abort());
    await until("it is booked", async () => (await spent()) === OPENAI);
  });
});

describe("a model without an output limit of its own", () => {
  test("is refused where its price has none either", async () => {
    await meter.operator.setPrice({ model: "mock/a", rates: { input: 1000n, output: 1000n } });
    const model = ai7.wrapLanguageModel({
      model: new MockLanguageModelV4({ provider: "mock.chat", modelId: "a" }),
      middleware: middleware(),
    });
    const { maxOutputTokens: _, ...unlimited } = given;
    expect(await fails(ai7.generateText({ ...unlimited, model }))).toBeInstanceOf(NoBoundError);
  });
});

describe("models without text", () => {
  test("embeddings, also of many texts", async () => {
    const provider = createOpenAI({ apiKey, baseURL: `${meter.fake.url}/v1` });
    const model = ai7.wrapEmbeddingModel({
      model: provider.embedding("text-embedding-3-small"),
      middleware: middleware(),
    });
    await ai7.embed({ model, value: "x" });
    await ai7.embedMany({ model, values: ["a", "b", "c"] });
    expect(await spent()).toBe(2n * 7n * 20n);
    const model6 = ai6.wrapEmbeddingModel({
      model: createOpenAI6({ apiKey, baseURL: `${meter.fake.url}/v1` }).embedding(
        "text-embedding-3-small",
      ),
      middleware: middleware(),
    });
    await ai6.embed({ model: model6, value: "x" });
    expect(await spent()).toBe(3n * 7n * 20n);
  });

  test("images", async () => {
    const provider = createOpenAI({ apiKey, baseURL: `${meter.fake.url}/v1` });
    const image = provider.image("gpt-image-1");
    const model = ai7.wrapImageModel({ model: image, middleware: middleware() });
    await ai7.generateImage({ model, prompt: "a tree" });
    expect(await spent()).toBe(50n * 5_000n + 1_056n * 40_000n);
    const dalle = ai7.wrapImageModel({
      model: provider.image("dall-e-3"),
      middleware: middleware(),
    });
    expect(await fails(ai7.generateImage({ model: dalle, prompt: "x" }))).toMatchObject({
      code: "no_usage",
    });
  });
});

test("1,000 calls at once never spend more than a small budget", async () => {
  await openai.whole();
  const [hold = 0n] = await meter.holds(wallet);
  const small = await meter.wallet(5n * hold);
  const before = meter.fake.seen.length;
  const calls = Array.from({ length: 1_000 }, () => openai.whole({}, { wallet: small }));
  const done = await Promise.allSettled(calls);
  const made = done.filter(({ status }) => status === "fulfilled").length;
  expect(made).toBe(meter.fake.seen.length - before);
  expect(made).toBeGreaterThanOrEqual(5);
  expect(await meter.books(small)).toEqual({ spent: BigInt(made) * OPENAI, reserved: 0n });
  expect(BigInt(made) * OPENAI).toBeLessThanOrEqual(5n * hold);
});
