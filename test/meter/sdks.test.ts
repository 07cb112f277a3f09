// The real SDKs against the fake provider: they understand it, whole, streamed, and however bytes arrive; and
// metering understands what they send, reads what they used, and lets them read the same.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOpenAI } from "@langchain/openai";
import { Agent, OpenAIProvider, Runner, setTracingDisabled } from "@openai/agents";
import { embed, generateImage, generateText, type LanguageModel, streamText } from "ai";
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { tap } from "../../src/meter/sse.ts";
import { type Kinds, readCall } from "../../src/meter/wire/index.ts";
import { TEXT } from "../support/fake-answers.ts";
import { type FakeProvider, type Faults, startFakeProvider } from "../support/fake-provider.ts";

let fake: FakeProvider;
/** How requests are sent, and what the last one was found to have used. */
let send: typeof fetch;
let found: { readonly kinds: Kinds | undefined; readonly complete: boolean } | undefined;
const via: typeof fetch = (input, init) => send(input, init);
let openai: OpenAI;
let anthropic: Anthropic;
let google: GoogleGenAI;

const messages = [{ role: "user" as const, content: "Say hello" }];
const key = { apiKey: "none", fetch: via };

beforeAll(async () => {
  fake = await startFakeProvider();
  openai = new OpenAI({ ...key, baseURL: `${fake.url}/v1`, maxRetries: 0 });
  anthropic = new Anthropic({ ...key, baseURL: fake.url, maxRetries: 0 });
  google = new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl: fake.url, fetch: via } });
  setTracingDisabled(true);
});
afterAll(() => fake[Symbol.asyncDispose]());
beforeEach(() => {
  fake.faults = {};
  send = fetch;
  found = undefined;
});

interface Said {
  readonly text: string;
  readonly output: number | undefined;
}

/** Ways to ask for TEXT, each with the SDK's own reading of text and output tokens. */
const calls: Readonly<Record<string, () => Promise<Said>>> = {
  async "openai, chat"() {
    const { choices, usage } = await openai.chat.completions.create({ model: "gpt-5", messages });
    return { text: choices[0]?.message.content ?? "", output: usage?.completion_tokens };
  },
  async "openai, chat, streamed"() {
    const stream = openai.chat.completions.stream({
      model: "gpt-5",
      messages,
      stream_options: { include_usage: true },
    });
    const { choices, usage } = await stream.finalChatCompletion();
    return { text: choices[0]?.message.content ?? "", output: usage?.completion_tokens };
  },
  async "openai, responses"() {
    const { output_text, usage } = await openai.responses.create({ model: "gpt-5", input: "Hi" });
    return { text: output_text, output: usage?.output_tokens };
  },
  async "openai, responses, streamed"() {
    const stream = openai.responses.stream({ model: "gpt-5", input: "Hi" });
    const { output_text, usage } = await stream.finalResponse();
    return { text: output_text, output: usage?.output_tokens };
  },
  async anthropic() {
    const body = { model: "claude-haiku-4-5", max_tokens: 1000, messages };
    return anthropicSaid(await anthropic.messages.create(body));
  },
  async "anthropic, streamed"() {
    const body = { model: "claude-haiku-4-5", max_tokens: 1000, messages };
    return anthropicSaid(await anthropic.messages.stream(body).finalMessage());
  },
  async "google genai"() {
    const asked = { model: "gemini-2.5-pro", contents: "Hi" };
    const { text = "", usageMetadata } = await google.models.generateContent(asked);
    return { text, output: geminiOutput(usageMetadata) };
  },
  async "google genai, streamed"() {
    const asked = { model: "gemini-2.5-pro", contents: "Hi" };
    let text = "";
    let output: number | undefined;
    for await (const part of await google.models.generateContentStream(asked)) {
      text += part.text ?? "";
      output = geminiOutput(part.usageMetadata);
    }
    return { text, output };
  },
  ...ofAiSdk("openai", () => createOpenAI({ ...key, baseURL: `${fake.url}/v1` })("gpt-5")),
  ...ofAiSdk("openai chat", () =>
    createOpenAI({ ...key, baseURL: `${fake.url}/v1` }).chat("gpt-5"),
  ),
  ...ofAiSdk("anthropic", () =>
    createAnthropic({ ...key, baseURL: `${fake.url}/v1` })("claude-haiku-4-5"),
  ),
  ...ofAiSdk("google", () =>
    createGoogle({ ...key, baseURL: `${fake.url}/v1beta` })("gemini-2.5-pro"),
  ),
  ...ofAiSdk("openai-compatible", () =>
    createOpenAICompatible({
      name: "x",
      baseURL: `${fake.url}/v1`,
      includeUsage: true,
      fetch: via,
    })("m"),
  ),
  ...ofLangChain("openai", () => {
    const configuration = { baseURL: `${fake.url}/v1`, fetch: via };
    return new ChatOpenAI({ apiKey: "none", model: "gpt-5", configuration, maxRetries: 0 });
  }),
  ...ofLangChain(
    "anthropic",
    () =>
      new ChatAnthropic({
        apiKey: "none",
        clientOptions: { fetch: via },
        model: "claude-haiku-4-5",
        anthropicApiUrl: fake.url,
        maxRetries: 0,
      }),
  ),
  async "openai agents"() {
    const { finalOutput, rawResponses } = await runner().run(agent(), "Hi");
    return { text: finalOutput ?? "", output: rawResponses[0]?.usage.outputTokens };
  },
  async "openai agents, streamed"() {
    const result = await runner().run(agent(), "Hi", { stream: true });
    await result.completed;
    return { text: result.finalOutput ?? "", output: result.rawResponses[0]?.usage.outputTokens };
  },
};

const ways: Readonly<Record<string, Faults>> = {
  "as one": {},
  "byte by byte, compressed, with CRLF": { chunk: 1, gzip: true, newline: "\r\n" },
  "in events of many lines": { multiline: true },
};
/** Its reader of events takes one line for each. */
const ONE_LINE = "google genai, streamed";

describe.each(Object.entries(ways))("%s", (_, faults) => {
  test.each(Object.entries(calls))("%s", async (name, call) => {
    fake.faults = name === ONE_LINE ? { ...faults, multiline: false } : faults;
    const { text, output } = await call();
    expect({ text, output }).toEqual({ text: TEXT, output: 300 });
  });
});

describe("through metering", () => {
  const used = (name: string) => {
    if (/anthropic/.test(name)) {
      return { input: 50, cache_read: 1000, cache_write_5m: 400, cache_write_1h: 500, output: 300 };
    }
    return { input: /google/.test(name) ? 207 : 200, cache_read: 1000, output: 300 };
  };

  test.each(Object.entries(calls))("%s", async (name, call) => {
    send = metered;
    fake.faults = { chunk: 3, newline: "\r\n" };
    const { text, output } = await call();
    expect({ text, output }).toEqual({ text: TEXT, output: 300 });
    expect(found).toMatchObject({ kinds: used(name), complete: true });
  });

  test("a stream whose usage was not asked for has none for its reader", async () => {
    send = metered;
    const stream = await openai.chat.completions.create({ model: "gpt-5", messages, stream: true });
    for await (const { choices, usage } of stream) {
      expect(choices.length).toBe(1);
      expect(usage ?? null).toBeNull();
    }
    expect(found?.kinds).toEqual({ input: 200, cache_read: 1000, output: 300 });
  });

  test("what has no text", async () => {
    send = metered;
    await openai.embeddings.create({ model: "text-embedding-3-small", input: "x" });
    expect(found?.kinds).toEqual({ input: 7 });
    await google.models.embedContent({ model: "gemini-embedding-001", contents: "x" });
    expect(found?.kinds).toEqual({ input: 1200 });
    await openai.images.generate({ model: "gpt-image-1", prompt: "a tree" });
    expect(found?.kinds).toEqual({ input: 50, output_image: 1056 });
    const file = await toFile(Buffer.from("no sound"), "a.wav");
    await openai.audio.transcriptions.create({ model: "gpt-4o-transcribe", file });
    expect(found?.kinds).toEqual({ input: 10, input_audio: 130, output: 30 });
  });
});

describe("what has no text", () => {
  test("embeddings", async () => {
    const { data, usage } = await openai.embeddings.create({
      model: "text-embedding-3-small",
      input: "x",
    });
    expect([data[0]?.embedding, usage]).toEqual([[0.5, 0.25], fake.usage.embeddings]);
    const model = createOpenAI({ ...key, baseURL: `${fake.url}/v1` }).embedding(
      "text-embedding-3-small",
    );
    const { embedding, usage: said } = await embed({ model, value: "x" });
    expect([embedding, said.tokens]).toEqual([[0.5, 0.25], 7]);
    const gemini = await google.models.embedContent({
      model: "gemini-embedding-001",
      contents: "x",
    });
    expect(gemini.embeddings?.[0]?.values).toEqual([0.5, 0.25]);
  });

  test("images", async () => {
    const asked = { model: "gpt-image-1", prompt: "a tree" };
    const { data, usage } = await openai.images.generate(asked);
    expect([data?.length, usage?.output_tokens]).toEqual([1, 1056]);
    const completed = [];
    for await (const event of await openai.images.generate({ ...asked, stream: true })) {
      if (event.type === "image_generation.completed") completed.push(event.usage.output_tokens);
    }
    expect(completed).toEqual([1056]);
    const model = createOpenAI({ ...key, baseURL: `${fake.url}/v1` }).image("gpt-image-1");
    expect((await generateImage({ model, prompt: "a tree" })).usage.outputTokens).toBe(1056);
  });

  test("sound", async () => {
    const file = await toFile(Buffer.from("no sound"), "a.wav");
    const asked = { model: "gpt-4o-transcribe", file };
    const { text, usage } = await openai.audio.transcriptions.create(asked);
    expect([text, usage]).toEqual([TEXT, fake.usage.transcription]);
    const types = [];
    for await (const event of await openai.audio.transcriptions.create({
      ...asked,
      stream: true,
    })) {
      types.push(event.type);
    }
    expect(types.at(-1)).toBe("transcript.text.done");
    const spoken = await openai.audio.speech.create({
      model: "gpt-4o-mini-tts",
      input: "x",
      voice: "alloy",
      stream_format: "sse",
    });
    expect(await spoken.text()).toContain('"speech.audio.done","usage":{"input_tokens":14');
  });
});

describe("faults", () => {
  const ask = () => openai.chat.completions.create({ model: "gpt-5", messages });
  const askStreamed = async () => {
    const stream = await openai.chat.completions.create({ model: "gpt-5", messages, stream: true });
    let parts = 0;
    for await (const _ of stream) parts += 1;
    return parts;
  };

  test("are errors of the SDK where the provider fails", async () => {
    fake.faults = { status: 429 };
    await expect(ask()).rejects.toMatchObject({ status: 429 });
    fake.faults = { status: 500 };
    await expect(ask()).rejects.toMatchObject({ status: 500 });
    fake.faults = { reset: "before" };
    await expect(ask()).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
    fake.faults = { reset: "headers" };
    await expect(ask()).rejects.toThrow();
    await expect(askStreamed()).rejects.toThrow();
    fake.faults = { events: 2, cut: true };
    await expect(askStreamed()).rejects.toThrow();
    fake.faults = { events: 2, error: true };
    await expect(askStreamed()).rejects.toThrow("the model failed");
  });

  test("are not always noticed by the SDK", async () => {
    fake.faults = { events: 2 };
    expect(await askStreamed()).toBe(2);
    fake.faults = { noUsage: true };
    expect((await ask()).usage).toBeUndefined();
  });

  test("end after so many requests, so that a retry succeeds", async () => {
    fake.faults = { status: 500, times: 1 };
    const { usage } = await openai.chat.completions.create(
      { model: "gpt-5", messages },
      { maxRetries: 1 },
    );
    expect(usage?.completion_tokens).toBe(300);
  });

  test("can be asked for by a request", async () => {
    const headers = { "x-fake": JSON.stringify({ status: 418 } satisfies Faults) };
    const asked = openai.chat.completions.create({ model: "gpt-5", messages }, { headers });
    await expect(asked).rejects.toMatchObject({ status: 418 });
  });

  test("show whether the connection was closed early", async () => {
    fake.faults = { events: 2, stall: true };
    const stream = await openai.chat.completions.create({ model: "gpt-5", messages, stream: true });
    for await (const _ of stream) break;
    expect(await fake.seen.at(-1)?.closedEarly).toBe(true);
    fake.faults = {};
    await askStreamed();
    expect(await fake.seen.at(-1)?.closedEarly).toBe(false);
  });
});

/** Sends a request as metering reads it, and reads its answer, without a ledger. */
async function metered(...[input, init]: Parameters<typeof fetch>): Promise<Response> {
  const request = new Request(input, init);
  const { method, headers } = request;
  const url = new URL(request.url);
  const provider = providers.find(([path]) => path.test(url.pathname))?.[1] ?? "openai";
  const body = new Uint8Array(await request.arrayBuffer());
  const call = await readCall({ method, url, headers, body }, { provider });
  if (call.is !== "metered") throw new Error(call.is === "refused" ? call.message : call.is);
  headers.delete("content-length");
  const answer = await fetch(url, { method, headers, body: call.send() });
  const streamed = answer.headers.get("content-type") === "text/event-stream";
  const reader = call.reader(streamed);
  if (!answer.body || !streamed) {
    reader.read(await answer.clone().json());
    found = reader.report();
    return answer;
  }
  const { stream } = tap(answer.body, {
    event: (data) => reader.read(data === "[DONE]" ? undefined : JSON.parse(data)),
    ended: () => {
      found = reader.report();
    },
    hides: true,
  });
  return new Response(stream, answer);
}

const providers: readonly (readonly [RegExp, string])[] = [
  [/messages$/, "anthropic"],
  [/v1beta/, "google"],
];

function ofAiSdk(name: string, model: () => LanguageModel): typeof calls {
  return {
    async [`ai sdk, ${name}`]() {
      const { text, usage } = await generateText({ model: model(), prompt: "Hi", maxRetries: 0 });
      return { text, output: usage.outputTokens };
    },
    async [`ai sdk, ${name}, streamed`]() {
      const { text, usage } = streamText({ model: model(), prompt: "Hi", maxRetries: 0 });
      return { text: await text, output: (await usage).outputTokens };
    },
  };
}

/** What both of LangChain's models are. */
interface Chat {
  invoke(prompt: string): Promise<ChatPart>;
  stream(prompt: string): Promise<AsyncIterable<ChatPart>>;
}
interface ChatPart {
  readonly text: string;
  readonly usage_metadata?: { readonly output_tokens: number } | undefined;
}

function ofLangChain(name: string, model: () => Chat): typeof calls {
  return {
    async [`langchain, ${name}`]() {
      const { text, usage_metadata } = await model().invoke("Hi");
      return { text, output: usage_metadata?.output_tokens };
    },
    async [`langchain, ${name}, streamed`]() {
      let text = "";
      let output = 0;
      for await (const part of await model().stream("Hi")) {
        text += part.text;
        // Anthropic's last count has those before it, though LangChain adds them up.
        output = Math.max(output, part.usage_metadata?.output_tokens ?? 0);
      }
      return { text, output };
    },
  };
}

function agent(): Agent {
  return new Agent({ name: "a", instructions: "Be brief.", model: "gpt-5" });
}

function runner(): Runner {
  return new Runner({ modelProvider: new OpenAIProvider({ openAIClient: openai }) });
}

function anthropicSaid({ content, usage }: Anthropic.Message): Said {
  const [block] = content;
  return { text: block?.type === "text" ? block.text : "", output: usage.output_tokens };
}

function geminiOutput(
  usage: { candidatesTokenCount?: number; thoughtsTokenCount?: number } | undefined,
): number {
  return (usage?.candidatesTokenCount ?? 0) + (usage?.thoughtsTokenCount ?? 0);
}
