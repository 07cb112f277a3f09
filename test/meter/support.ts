// A ledger with a few prices, a fake provider, and the SDKs that call it through a metered fetch.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { generateText, type LanguageModel, streamText } from "ai";
import OpenAI from "openai";
import { expect } from "vitest";
import { createLedger, type Ledger } from "../../src/client/index.ts";
import type { SetPriceArgs } from "../../src/generated/index.ts";
import type { Metadata } from "../../src/json/index.ts";
import { type MeteredFetchOptions, meteredFetch } from "../../src/meter/index.ts";
import { createClient, urlOf } from "../client/support.ts";
import { type FakeProvider, startFakeProvider } from "../support/fake-provider.ts";
import { checkInvariants } from "../support/invariants.ts";
import { createLedger as createTestLedger, type TestLedger } from "../support/ledger.ts";

export const DOLLAR = 1_000_000_000n;

/** Nano-dollars for a token are the rate in nano-dollars for a million. */
const perToken = (nanos: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(nanos).map(([kind, n]) => [kind, n * 1_000_000]));

/** What the fake provider's models cost, in nano-dollars for a token. */
export const RATES = {
  "openai/gpt-5": { input: 2_000, cache_read: 200, output: 10_000 },
  "anthropic/claude-haiku-4-5": {
    input: 1_000,
    cache_read: 100,
    cache_write_5m: 1_250,
    cache_write_1h: 2_000,
    output: 5_000,
  },
  "google/gemini-2.5-pro": { input: 2_000, cache_read: 200, output: 10_000 },
  "openai/text-embedding-3-small": { input: 20 },
  "google/gemini-embedding-001": { input: 150 },
  "openai/gpt-image-1": { input: 5_000, input_image: 10_000, output_image: 40_000 },
  "openai/gpt-4o-transcribe": { input: 2_500, input_audio: 6_000, output: 10_000 },
  "openai/gpt-4o-mini-tts": { input: 600, output_audio: 12_000 },
  "openai/whisper-1": { seconds: 100_000 },
} as const;

const LIMITS: Readonly<Record<string, Pick<SetPriceArgs, "contextWindow" | "maxOutput">>> = {
  "openai/gpt-5": { contextWindow: 400_000n, maxOutput: 128_000n },
  "anthropic/claude-haiku-4-5": { contextWindow: 200_000n, maxOutput: 64_000n },
  "google/gemini-2.5-pro": { contextWindow: 1_000_000n, maxOutput: 64_000n },
  "openai/gpt-image-1": { maxOutput: 10_000n },
  "openai/gpt-4o-transcribe": { contextWindow: 16_000n, maxOutput: 2_000n },
  "openai/gpt-4o-mini-tts": { maxOutput: 2_000n },
};

/** How a call has ended in the books. */
export interface Booked {
  readonly event: string;
  readonly amount: bigint;
  readonly basis: string | undefined;
  readonly why: string | undefined;
}

export interface Meter extends AsyncDisposable {
  readonly database: TestLedger;
  readonly fake: FakeProvider;
  readonly ledger: Ledger;
  readonly operator: Ledger;
  /** Opens a wallet. */
  wallet(funds?: bigint): Promise<string>;
  /** A metered fetch for the fake provider. */
  fetch(options: Omit<MeteredFetchOptions, "ledger">): typeof fetch;
  /** What is held and spent. */
  books(wallet: string): Promise<{ spent: bigint; reserved: bigint }>;
  /** The ends of calls, in their order. */
  ends(wallet: string): Promise<Booked[]>;
  /** What was held for each call. */
  holds(wallet: string): Promise<bigint[]>;
}

let wallets = 0;

export async function startMeter(): Promise<Meter> {
  const database = await createTestLedger();
  const fake = await startFakeProvider();
  const ledger = createClient(database);
  const operator = createLedger(urlOf(database, "operator"));
  for (const [model, rates] of Object.entries(RATES)) {
    await operator.setPrice({ model, rates: perToken(rates), ...LIMITS[model] });
  }

  async function events(wallet: string, ...names: string[]) {
    return database.auditor<
      { event: string; amount: bigint; metadata: Metadata & { basis?: string; why?: string } }[]
    >`
      select event, amount, metadata from baseledger.journal
        where wallet_id = ${wallet} and event in ${database.auditor(names)} order by seq`;
  }

  return {
    database,
    fake,
    ledger,
    operator,
    async wallet(funds = 100n * DOLLAR) {
      const walletId = `meter-${++wallets}`;
      await operator.openWallet({ walletId });
      await operator.credit({ walletId, amount: funds });
      return walletId;
    },
    fetch: (options) => meteredFetch({ ledger, ...options }),
    async books(walletId) {
      const { spent, reserved } = await ledger.balance({ walletId });
      return { spent, reserved };
    },
    async ends(wallet) {
      const all = await events(wallet, "settled", "cancelled", "expired");
      return all.map(({ event, amount, metadata }) => ({
        event,
        amount,
        basis: metadata.basis,
        why: metadata.why,
      }));
    },
    async holds(wallet) {
      const all = await events(wallet, "reserved");
      return all.map(({ amount }) => amount);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([ledger.close(), operator.close()]);
      await checkInvariants(database);
      await database[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** Ways to ask a model, through a given fetch. */
export interface Client {
  /** The text of an answer. */
  whole(signal?: AbortSignal): Promise<string>;
  stream(signal?: AbortSignal): AsyncIterable<unknown>;
}

export interface Sdk {
  readonly name: string;
  readonly provider: "openai" | "anthropic" | "google";
  /** What an answer of the fake costs, to the nano-dollar. */
  readonly cost: bigint;
  /** Whether a stream says first what the input was. */
  readonly saysInput: boolean;
  /** Whether it tries again by itself. */
  readonly retries: boolean;
  client(fake: FakeProvider, via: typeof fetch, retries?: number): Client;
}

/** The most output that is asked for. */
export const MOST = 1_000;
const prompt = "Say hello";
const messages = [{ role: "user" as const, content: prompt }];

const openai = { provider: "openai", cost: 3_600_000n, saysInput: false, retries: true } as const;
const anthropic = {
  provider: "anthropic",
  cost: 3_150_000n,
  saysInput: true,
  retries: true,
} as const;
const google = { provider: "google", cost: 3_614_000n, saysInput: true, retries: false } as const;

export const SDKS: readonly Sdk[] = [
  {
    name: "openai, chat",
    ...openai,
    client(fake, via, maxRetries = 0) {
      const sdk = new OpenAI({ apiKey: "k", baseURL: `${fake.url}/v1`, fetch: via, maxRetries });
      const asked = { model: "gpt-5", messages, max_completion_tokens: MOST };
      return {
        async whole(signal) {
          const { choices } = await sdk.chat.completions.create(asked, { signal });
          return choices[0]?.message.content ?? "";
        },
        async *stream(signal) {
          yield* await sdk.chat.completions.create({ ...asked, stream: true }, { signal });
        },
      };
    },
  },
  {
    name: "openai, responses",
    ...openai,
    client(fake, via, maxRetries = 0) {
      const sdk = new OpenAI({ apiKey: "k", baseURL: `${fake.url}/v1`, fetch: via, maxRetries });
      const asked = { model: "gpt-5", input: prompt, max_output_tokens: MOST };
      return {
        whole: async (signal) => (await sdk.responses.create(asked, { signal })).output_text,
        async *stream(signal) {
          yield* await sdk.responses.create({ ...asked, stream: true }, { signal });
        },
      };
    },
  },
  {
    name: "anthropic",
    ...anthropic,
    client(fake, via, maxRetries = 0) {
      const sdk = new Anthropic({ apiKey: "k", baseURL: fake.url, fetch: via, maxRetries });
      const asked = { model: "claude-haiku-4-5", max_tokens: MOST, messages };
      return {
        async whole(signal) {
          const { content } = await sdk.messages.create(asked, { signal });
          return content[0]?.type === "text" ? content[0].text : "";
        },
        async *stream(signal) {
          yield* await sdk.messages.create({ ...asked, stream: true }, { signal });
        },
      };
    },
  },
  {
    name: "google genai",
    ...google,
    client(fake, via) {
      const httpOptions = { baseUrl: fake.url, fetch: via };
      const sdk = new GoogleGenAI({ apiKey: "k", httpOptions });
      const asked = (abortSignal?: AbortSignal) => ({
        model: "gemini-2.5-pro",
        contents: prompt,
        config: { maxOutputTokens: MOST, ...(abortSignal && { abortSignal }) },
      });
      return {
        whole: async (signal) => (await sdk.models.generateContent(asked(signal))).text ?? "",
        async *stream(signal) {
          yield* await sdk.models.generateContentStream(asked(signal));
        },
      };
    },
  },
  aiSdk("openai", openai, (url, via) =>
    createOpenAI({ apiKey: "k", baseURL: `${url}/v1`, fetch: via })("gpt-5"),
  ),
  aiSdk("anthropic", anthropic, (url, via) =>
    createAnthropic({ apiKey: "k", baseURL: `${url}/v1`, fetch: via })("claude-haiku-4-5"),
  ),
  aiSdk("google", google, (url, via) =>
    createGoogle({ apiKey: "k", baseURL: `${url}/v1beta`, fetch: via })("gemini-2.5-pro"),
  ),
];

function aiSdk(
  name: string,
  facts: Omit<Sdk, "name" | "client" | "retries">,
  model: (url: string, via: typeof fetch) => LanguageModel,
): Sdk {
  return {
    ...facts,
    name: `ai sdk, ${name}`,
    retries: true,
    client(fake, via, maxRetries = 0) {
      const asked = (abortSignal?: AbortSignal) => ({
        model: model(fake.url, via),
        prompt,
        maxRetries,
        maxOutputTokens: MOST,
        ...(abortSignal && { abortSignal }),
      });
      return {
        whole: async (signal) => (await generateText(asked(signal))).text,
        async *stream(signal) {
          const result = streamText({ ...asked(signal), onError: () => undefined });
          for await (const part of result.fullStream) {
            if (part.type === "error") throw part.error;
            if (part.type === "abort") throw new Error("aborted");
            if (part.type === "text-delta") yield part;
          }
        },
      };
    },
  };
}

/** Reads all of a stream, and gives the number of its parts. */
export async function count(stream: AsyncIterable<unknown>): Promise<number> {
  let parts = 0;
  for await (const _ of stream) parts += 1;
  return parts;
}

/** Expects a failure, and returns it. */
export async function fails(attempt: Promise<unknown>): Promise<Error & { status?: number }> {
  try {
    await attempt;
  } catch (error) {
    return error as Error & { status?: number };
  }
  expect.unreachable("it did not fail");
}
