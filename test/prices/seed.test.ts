// Well-known models by the seed: what calls cost to the nano-dollar, worked out by hand from the
// providers' list prices. A dollar per million tokens is 1,000 nano-dollars a token. Where prices
// have changed, the call has a date.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importSeed } from "../../src/prices/index.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await createLedger();
  await importSeed(ledger.operator);
});

afterAll(() => ledger[Symbol.asyncDispose]());

type Usage = Readonly<Record<string, number>>;
type Call = readonly [model: string, usage: Usage, nanoDollars: bigint, at?: string];

// https://developers.openai.com/api/docs/pricing
const OPENAI: readonly Call[] = [
  // 1,200 × 1,250 + 800 × 125 + 500 × 10,000 = 1,500,000 + 100,000 + 5,000,000
  ["openai/gpt-5", { input: 1200, cache_read: 800, output: 500 }, 6_600_000n],
  // 1,001 × 250 + 7 × 2,000 = 250,250 + 14,000
  ["openai/gpt-5-mini", { input: 1001, output: 7 }, 264_250n],
  // 3 × 50 + 1 × 5 + 1 × 400
  ["openai/gpt-5-nano", { input: 3, cache_read: 1, output: 1 }, 555n],
  // 10,000 × 1,250 + 2,000 × 10,000 = 12,500,000 + 20,000,000
  ["openai/gpt-5.1", { input: 10_000, output: 2_000 }, 32_500_000n],
  // 999 × 1,750 + 99 × 175 + 9 × 14,000 = 1,748,250 + 17,325 + 126,000
  ["openai/gpt-5.2", { input: 999, cache_read: 99, output: 9 }, 1_891_575n],
  // 271,999 × 2,500 + 1,000 × 15,000 = 679,997,500 + 15,000,000
  ["openai/gpt-5.4", { input: 271_999, output: 1_000 }, 694_997_500n],
  // from 272,000 on: 272,000 × 5,000 + 1,000 × 22,500 = 1,360,000,000 + 22,500,000
  ["openai/gpt-5.4", { input: 272_000, output: 1_000 }, 1_382_500_000n],
  // what is read from the cache counts: 100,000 × 10,000 + 200,000 × 1,000 + 10 × 45,000
  // = 1,000,000,000 + 200,000,000 + 450,000
  ["openai/gpt-5.5", { input: 100_000, cache_read: 200_000, output: 10 }, 1_200_450_000n],
  // 1,000 × 5,000 + 2,000 × 6,250 + 100 × 30,000 = 5,000,000 + 12,500,000 + 3,000,000
  [
    "openai/gpt-5.6-sol",
    { input: 1_000, cache_write: 2_000, output: 100 },
    20_500_000n,
    "2026-08-20T23:59:59Z",
  ],
  // 1,000 × 4,000 + 2,000 × 5,000 + 100 × 20,000 = 4,000,000 + 10,000,000 + 2,000,000
  [
    "openai/gpt-5.6-sol",
    { input: 1_000, cache_write: 2_000, output: 100 },
    16_000_000n,
    "2026-08-21T00:00:00Z",
  ],
  // 300,000 × 400 + 1,000 × 1,800 = 120,000,000 + 1,800,000
  ["openai/gpt-5.6-luna", { input: 300_000, output: 1_000 }, 121_800_000n, "2026-09-01T00:00:00Z"],
  // 1,234 × 2,000 + 567 × 8,000 = 2,468,000 + 4,536,000
  ["openai/gpt-4.1", { input: 1_234, output: 567 }, 7_004_000n],
  // 50 × 400 + 5 × 100 + 5 × 1,600 = 20,000 + 500 + 8,000
  ["openai/gpt-4.1-mini", { input: 50, cache_read: 5, output: 5 }, 28_500n],
  // 2,000 × 2,500 + 1,000 × 1,250 + 300 × 10,000 = 9,250,000; two searches at $10 per 1,000: 20,000,000
  ["openai/gpt-4o", { input: 2_000, cache_read: 1_000, output: 300, web_searches: 2 }, 29_250_000n],
  // an alias: 1 × 150 + 1 × 600
  ["openai/gpt-4o-mini-2024-07-18", { input: 1, output: 1 }, 750n],
  // 1,000 × 10,000 + 1,000 × 40,000
  ["openai/o3", { input: 1_000, output: 1_000 }, 50_000_000n, "2025-06-09T12:00:00Z"],
  // 1,000 × 2,000 + 1,000 × 8,000
  ["openai/o3", { input: 1_000, output: 1_000 }, 10_000_000n, "2025-06-10T12:00:00Z"],
  // 333 × 1,100 + 111 × 4,400 = 366,300 + 488,400
  ["openai/o4-mini", { input: 333, output: 111 }, 854_700n],
  // 100 × 2,500 + 200 × 32,000 + 10 × 10,000 + 20 × 64,000 = 250,000 + 6,400,000 + 100,000 + 1,280,000
  ["openai/gpt-audio", { input: 100, input_audio: 200, output: 10, output_audio: 20 }, 8_030_000n],
  // 50 × 5,000 + 300 × 10,000 + 1,000 × 40,000 = 250,000 + 3,000,000 + 40,000,000
  ["openai/gpt-image-1", { input: 50, input_image: 300, output: 1_000 }, 43_250_000n],
  // $0.006 a minute: 1.5 × 6,000,000
  ["openai/whisper-1", { seconds: 90 }, 9_000_000n],
  // 7 × 20
  ["openai/text-embedding-3-small", { input: 7 }, 140n],
  // 1,000 × 130
  ["openai/text-embedding-3-large", { input: 1_000 }, 130_000n],
];

// https://platform.claude.com/docs/en/about-claude/pricing: writes to the cache cost 1.25 × the input
// for five minutes, and 2 × the input for an hour
const ANTHROPIC: readonly Call[] = [
  // 100 × 1,000 + 5,000 × 100 + 3,000 × 1,250 + 2,000 × 2,000 + 400 × 5,000
  // = 100,000 + 500,000 + 3,750,000 + 4,000,000 + 2,000,000
  [
    "anthropic/claude-haiku-4-5",
    { input: 100, cache_read: 5_000, cache_write_5m: 3_000, cache_write_1h: 2_000, output: 400 },
    10_350_000n,
  ],
  // 10 × 3,000 + 10,000 × 300 + 1,000 × 3,750 + 1,000 × 6,000 + 100 × 15,000
  // = 30,000 + 3,000,000 + 3,750,000 + 6,000,000 + 1,500,000
  [
    "anthropic/claude-sonnet-4-5",
    { input: 10, cache_read: 10_000, cache_write_5m: 1_000, cache_write_1h: 1_000, output: 100 },
    14_280_000n,
  ],
  // 200,000 × 3,000 + 1 × 15,000
  ["anthropic/claude-sonnet-4-5", { input: 200_000, output: 1 }, 600_015_000n],
  // above 200,000, by its dated name: 1 × 6,000 + 200,000 × 600 + 1 × 22,500
  [
    "anthropic/claude-sonnet-4-5-20250929",
    { input: 1, cache_read: 200_000, output: 1 },
    120_028_500n,
  ],
  // 300,000 × 6,000 + 10 × 22,500
  [
    "anthropic/claude-sonnet-4-6",
    { input: 300_000, output: 10 },
    1_800_225_000n,
    "2026-03-12T00:00:00Z",
  ],
  // no tiers any more: 300,000 × 3,000 + 10 × 15,000
  [
    "anthropic/claude-sonnet-4-6",
    { input: 300_000, output: 10 },
    900_150_000n,
    "2026-03-13T00:00:00Z",
  ],
  // 1,500 × 2,000 + 500 × 4,000 + 250 × 10,000 = 3,000,000 + 2,000,000 + 2,500,000
  ["anthropic/claude-sonnet-5", { input: 1_500, cache_write_1h: 500, output: 250 }, 7_500_000n],
  // 20 × 15,000 + 40 × 18,750 + 30 × 75,000 = 300,000 + 750,000 + 2,250,000
  ["anthropic/claude-opus-4-1", { input: 20, cache_write_5m: 40, output: 30 }, 3_300_000n],
  // 900 × 500 + 1 × 25,000
  ["anthropic/claude-opus-4-5", { cache_read: 900, output: 1 }, 475_000n],
  // 250,000 × 5,000 + 100 × 25,000
  [
    "anthropic/claude-opus-4-6",
    { input: 250_000, output: 100 },
    1_252_500_000n,
    "2026-10-01T00:00:00Z",
  ],
  // 12 × 5,000 + 34 × 10,000 + 56 × 25,000 = 60,000 + 340,000 + 1,400,000
  ["anthropic/claude-opus-4-8", { input: 12, cache_write_1h: 34, output: 56 }, 1_800_000n],
  // 1,000 × 4,000 + 50,000 × 200 + 800 × 20,000 = 4,000,000 + 10,000,000 + 16,000,000
  ["anthropic/claude-opus-5-5", { input: 1_000, cache_read: 50_000, output: 800 }, 30_000_000n],
  // 9 × 800 + 11 × 80 + 13 × 4,000 = 7,200 + 880 + 52,000
  ["anthropic/claude-3-5-haiku-latest", { input: 9, cache_read: 11, output: 13 }, 60_080n],
];

// https://ai.google.dev/gemini-api/docs/pricing
const GOOGLE: readonly Call[] = [
  // 200,000 × 1,250 + 100 × 10,000
  ["google/gemini-2.5-pro", { input: 200_000, output: 100 }, 251_000_000n],
  // above 200,000: 200,001 × 2,500 + 100 × 15,000 = 500,002,500 + 1,500,000
  ["google/gemini-2.5-pro", { input: 200_001, output: 100 }, 501_502_500n],
  // 500 × 300 + 700 × 1,000 + 100 × 100 + 60 × 2,500 = 150,000 + 700,000 + 10,000 + 150,000
  [
    "google/gemini-2.5-flash",
    { input: 500, input_audio: 700, cache_read_audio: 100, output: 60 },
    1_010_000n,
  ],
  // 123,456 × 100 + 789 × 400 = 12,345,600 + 315,600
  ["google/gemini-2.5-flash-lite", { input: 123_456, output: 789 }, 12_661_200n],
  // 1 × 100 + 1 × 25 + 1 × 400
  ["google/gemini-2.0-flash", { input: 1, cache_read: 1, output: 1 }, 525n],
  // above 200,000 together: 60,000 × 4,000 + 150,000 × 400 + 1,000 × 18,000
  // = 240,000,000 + 60,000,000 + 18,000,000
  [
    "google/gemini-3-pro-preview",
    { input: 60_000, cache_read: 150_000, output: 1_000 },
    318_000_000n,
  ],
  // 1,000 × 2,000 + 1,000 × 12,000
  ["google/gemini-3.1-pro-preview", { input: 1_000, output: 1_000 }, 14_000_000n],
  // 640 × 500 + 64 × 3,000 = 320,000 + 192,000
  ["google/gemini-3-flash-preview", { input: 640, output: 64 }, 512_000n],
  // 1,000 × 750 + 100 × 3,750
  ["google/gemini-3.6-flash", { input: 1_000, output: 100 }, 1_125_000n, "2026-12-31T23:59:59Z"],
  // 1,000 × 1,500 + 100 × 7,500
  ["google/gemini-3.6-flash", { input: 1_000, output: 100 }, 2_250_000n, "2027-01-01T00:00:00Z"],
  // 2,048 × 150
  ["google/gemini-embedding-001", { input: 2_048 }, 307_200n],
];

// https://api-docs.deepseek.com/quick_start/pricing, at the dearest time of the day
const DEEPSEEK: readonly Call[] = [
  // 1,000 × 270 + 3,000 × 70 + 500 × 1,100 = 270,000 + 210,000 + 550,000
  ["deepseek/deepseek-chat", { input: 1_000, cache_read: 3_000, output: 500 }, 1_030_000n],
  // 1,000 × 550 + 100 × 2,190
  ["deepseek/deepseek-reasoner", { input: 1_000, output: 100 }, 769_000n],
  // 1,000 × 140 + 7 × 2.8 + 100 × 280 = 168,019.6, rounded up
  [
    "deepseek/deepseek-v4-flash",
    { input: 1_000, cache_read: 7, output: 100 },
    168_020n,
    "2026-08-16T12:00:00Z",
  ],
  // 1,000 × 440 + 7 × 14 + 100 × 1,320 = 440,000 + 98 + 132,000
  [
    "deepseek/deepseek-v4-flash",
    { input: 1_000, cache_read: 7, output: 100 },
    572_098n,
    "2026-08-17T12:00:00Z",
  ],
  // 10 × 435 + 1,000 × 3.625 + 1 × 870 = 4,350 + 3,625 + 870
  [
    "deepseek/deepseek-v4-pro",
    { input: 10, cache_read: 1_000, output: 1 },
    8_845n,
    "2026-08-16T12:00:00Z",
  ],
  // 10 × 1,320 + 1,000 × 44 + 1 × 3,960 = 13,200 + 44,000 + 3,960
  [
    "deepseek/deepseek-v4-pro",
    { input: 10, cache_read: 1_000, output: 1 },
    61_160n,
    "2026-08-17T12:00:00Z",
  ],
];

// https://mistral.ai/pricing
const MISTRAL: readonly Call[] = [
  // 1,000 × 500 + 10 × 50 + 100 × 1,500 = 500,000 + 500 + 150,000
  ["mistral/mistral-large-2512", { input: 1_000, cache_read: 10, output: 100 }, 650_500n],
  // 1,000 × 400 + 1,000 × 2,000
  [
    "mistral/mistral-medium-latest",
    { input: 1_000, output: 1_000 },
    2_400_000n,
    "2026-06-15T12:00:00Z",
  ],
  // 1,000 × 1,500 + 1,000 × 7,500
  [
    "mistral/mistral-medium-latest",
    { input: 1_000, output: 1_000 },
    9_000_000n,
    "2026-06-16T12:00:00Z",
  ],
  // 77 × 100 + 7 × 300
  ["mistral/mistral-small-latest", { input: 77, output: 7 }, 9_800n],
  // an alias: 1,000 × 300 + 200 × 900
  ["mistral/codestral-latest", { input: 1_000, output: 200 }, 480_000n],
  // 5,000 × 100
  ["mistral/mistral-embed", { input: 5_000 }, 500_000n],
  // 3 pages at $4 per 1,000, and 2 with annotations at $5: 12,000,000 + 10,000,000
  [
    "mistral/mistral-ocr-latest",
    { pages: 3, annotated_pages: 2 },
    22_000_000n,
    "2026-07-01T00:00:00Z",
  ],
];

const OTHERS: readonly Call[] = [
  // https://docs.x.ai/docs/models: 1,000 × 3,000 + 10 × 15,000
  ["x-ai/grok-4-0709", { input: 1_000, output: 10 }, 3_150_000n],
  // from 200,000 on: 200,000 × 2,500 + 1 × 5,000
  ["x-ai/grok-4.3", { input: 200_000, output: 1 }, 500_005_000n],
  // https://docs.perplexity.ai/getting-started/pricing: 500 × 1,000 + 500 × 1,000, and a request at
  // $12 per 1,000
  ["perplexity/sonar", { input: 500, output: 500, requests: 1 }, 13_000_000n],
  // https://groq.com/pricing: 100 × 590 + 100 × 790
  ["groq/llama-3.3-70b-versatile", { input: 100, output: 100 }, 138_000n],
  // $0.111 an hour, as a price per second rounded up: 1 nano-dollar more
  ["groq/whisper-large-v3", { seconds: 3_600 }, 111_000_001n],
  // https://cohere.com/pricing: 1 × 37.5 + 1 × 150 = 187.5, rounded up
  ["cohere/command-r7b", { input: 1, output: 1 }, 188n],
  // https://docs.voyageai.com/docs/pricing: 999 × 60
  ["voyageai/voyage-3.5", { input: 999 }, 59_940n],
  // https://platform.moonshot.ai/docs/pricing: 100 × 600 + 100 × 150 + 100 × 2,500
  ["moonshotai/kimi-k2-0905-preview", { input: 100, cache_read: 100, output: 100 }, 325_000n],
  // https://aws.amazon.com/bedrock/pricing: 100 × 800 + 10 × 3,200
  ["aws/amazon.nova-pro-v1:0", { input: 100, output: 10 }, 112_000n],
];

describe.each<[string, readonly Call[]]>([
  ["OpenAI", OPENAI],
  ["Anthropic", ANTHROPIC],
  ["Google", GOOGLE],
  ["DeepSeek", DEEPSEEK],
  ["Mistral", MISTRAL],
  ["other providers", OTHERS],
])("%s", (_, calls) => {
  const named = calls.map(([model, usage, cost, at = null]) => ({ model, usage, cost, at }));
  test.each(named)("$model $usage costs $cost nano-dollars", async ({ model, usage, cost, at }) => {
    const asked = JSON.stringify({ model, ...usage });
    const [quoted] = await ledger.agent`
      select amount, currency
        from baseledger.quote(${asked}::text::jsonb, ${at}::text::timestamptz)`;
    expect(quoted).toEqual({ amount: cost, currency: "USD" });
  });
});

test("these are 40 models and more", () => {
  const calls = [OPENAI, ANTHROPIC, GOOGLE, DEEPSEEK, MISTRAL, OTHERS].flat();
  expect(new Set(calls.map(([model]) => model)).size).toBeGreaterThanOrEqual(40);
});

test.each([
  ["a model that does not exist, but begins like one", { model: "anthropic/claude-sonnet-5-5" }],
  ["a kind that the model has no price for", { model: "openai/gpt-5", input_audio: 1 }],
  ["writes without their time", { model: "anthropic/claude-sonnet-4-5", cache_write: 1 }],
  ["a model without a price", { model: "openrouter/deepseek/deepseek-r1:free" }],
])("%s has no price", async (_, usage) => {
  const asked = JSON.stringify({ input: 1, ...usage });
  const quoted = ledger.agent`select baseledger.quote(${asked}::text::jsonb)`;
  await expect(quoted).rejects.toMatchObject({ code: "LGPRC" });
});
