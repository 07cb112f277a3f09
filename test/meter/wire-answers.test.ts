// What each dialect reads in answers.
import { describe, expect, test } from "vitest";
import {
  CHAT,
  chat,
  contents,
  GEMINI,
  GENERATE,
  MESSAGES,
  message,
  metered,
  OPENAI,
  RESPONSES,
  refused,
  reportOf,
  response,
  sent,
} from "./requests.ts";

describe("the usage of a chat's stream", () => {
  const usage = { prompt_tokens: 10, completion_tokens: 5 };
  const chunk = (finish_reason: string | null, index = 0) => ({
    choices: [{ index, delta: {}, finish_reason }],
  });

  test("is asked for, and its chunk taken out, if the caller did not ask", async () => {
    const call = await metered(CHAT, {
      ...chat,
      stream: true,
      stream_options: { include_obfuscation: false },
    });
    expect(sent(call).stream_options).toEqual({ include_obfuscation: false, include_usage: true });
    const reader = call.reader();
    expect([chunk("stop"), { choices: [], usage }].map((each) => reader.read(each))).toEqual([
      true,
      false,
    ]);
    expect(reader.report()).toMatchObject({ kinds: { input: 10, output: 5 }, complete: true });
  });

  test("is left alone if the caller did", async () => {
    const body = { ...chat, stream: true, stream_options: { include_usage: true } };
    const call = await metered(CHAT, body);
    expect(call.send()).toBeInstanceOf(Uint8Array);
    expect(call.reader().read({ choices: [], usage })).toBe(true);
  });

  test("is not asked for where the provider would refuse that", async () => {
    const url = "https://api.mistral.ai/v1/chat/completions";
    const call = await metered(url, { ...chat, stream: true });
    expect(call.send()).toBeInstanceOf(Uint8Array);
    const reader = call.reader();
    expect(reader.read({ ...chunk("stop"), usage })).toBe(true);
    expect(reader.report()).toMatchObject({ kinds: { input: 10, output: 5 }, complete: true });
  });

  test("is complete when all choices have ended, where each chunk reports it", async () => {
    const reader = (await metered(CHAT, { ...chat, stream: true, n: 2 })).reader();
    reader.read({ ...chunk("stop"), usage: { ...usage, completion_tokens: 2 } });
    expect(reader.report()).toMatchObject({ complete: false, inputKnown: true });
    reader.read({ ...chunk("stop", 1), usage });
    expect(reader.report()).toMatchObject({ kinds: { input: 10, output: 5 }, complete: true });
  });
});

describe("usage is disjoint", () => {
  test.each([
    [
      CHAT,
      chat,
      {
        usage: {
          prompt_tokens: 1000,
          prompt_tokens_details: { cached_tokens: 300, cache_write_tokens: 200, audio_tokens: 100 },
          completion_tokens: 50,
          completion_tokens_details: { audio_tokens: 20, reasoning_tokens: 10 },
        },
      },
      {
        input: 400,
        cache_read: 300,
        cache_write: 200,
        input_audio: 100,
        output: 30,
        output_audio: 20,
      },
    ],
    [
      RESPONSES,
      response,
      {
        object: "response",
        usage: {
          input_tokens: 1000,
          input_tokens_details: {
            cached_tokens: 300,
            cache_write_tokens: 200,
            cache_write_tokens_details: { ttl_30m_tokens: 50, ttl_12h_tokens: 150 },
          },
          output_tokens: 50,
        },
      },
      { input: 500, cache_read: 300, cache_write: 50, cache_write_12h: 150, output: 50 },
    ],
    [
      MESSAGES,
      message,
      {
        usage: {
          input_tokens: 10,
          cache_read_input_tokens: 20,
          cache_creation_input_tokens: 70,
          cache_creation: { ephemeral_5m_input_tokens: 30, ephemeral_1h_input_tokens: 40 },
          output_tokens: 5,
        },
      },
      { input: 10, cache_read: 20, cache_write_5m: 30, cache_write_1h: 40, output: 5 },
    ],
    [
      MESSAGES,
      { ...message, cache_control: { type: "ephemeral", ttl: "1h" } },
      { usage: { input_tokens: 10, cache_creation_input_tokens: 70, output_tokens: 5 } },
      { input: 10, cache_write_1h: 70, output: 5 },
    ],
    [
      GENERATE,
      { contents },
      {
        usageMetadata: {
          promptTokenCount: 1000,
          cachedContentTokenCount: 300,
          promptTokensDetails: [
            { modality: "TEXT", tokenCount: 800 },
            { modality: "AUDIO", tokenCount: 200 },
          ],
          cacheTokensDetails: [{ modality: "AUDIO", tokenCount: 50 }],
          toolUsePromptTokenCount: 7,
          candidatesTokenCount: 60,
          candidatesTokensDetails: [{ modality: "IMAGE", tokenCount: 40 }],
          thoughtsTokenCount: 5,
        },
      },
      {
        input: 557,
        cache_read: 250,
        input_audio: 150,
        cache_read_audio: 50,
        output: 25,
        output_image: 40,
      },
    ],
    [
      `${OPENAI}/images/generations`,
      { model: "gpt-image-1", prompt: "x" },
      {
        usage: {
          input_tokens: 60,
          input_tokens_details: { image_tokens: 10 },
          output_tokens: 1000,
        },
      },
      { input: 50, input_image: 10, output_image: 1000 },
    ],
    [
      `${OPENAI}/embeddings`,
      { model: "text-embedding-3-small", input: ["a", "b"] },
      { usage: { prompt_tokens: 7, total_tokens: 7 } },
      { input: 7 },
    ],
    [
      `${OPENAI}/embeddings`,
      { model: "text-embedding-3-small", input: "a" },
      { usage: { prompt_tokens: 0, total_tokens: 0 } },
      { input: 0 },
    ],
    [
      `${GEMINI}:embedContent`,
      { content: { parts: [{ text: "x" }] } },
      { embedding: { values: [] }, usageMetadata: { promptTokenCount: 4 } },
      { input: 4 },
    ],
  ])("%s %j %j", async (url, body, answer, kinds) => {
    expect(await reportOf(url, body, [answer])).toMatchObject({
      kinds,
      complete: true,
      error: undefined,
    });
  });

  test.each([-1, 1.5, "7", Number.NaN, 2e12, {}])("and %j is no count", async (prompt_tokens) => {
    const usage = { prompt_tokens, completion_tokens: 5 };
    expect(await reportOf(CHAT, chat, [{ usage }])).toMatchObject({
      kinds: undefined,
      complete: false,
    });
  });

  test("and a part that is no count leaves no usage", async () => {
    const prompt_tokens_details = { cached_tokens: 2e12 };
    const usage = { prompt_tokens: 10, prompt_tokens_details, completion_tokens: 5 };
    expect((await reportOf(CHAT, chat, [{ usage }])).kinds).toBeUndefined();
  });

  test("and is not made up", async () => {
    for (const answer of [{}, { usage: null }, { usage: {} }, null, 7, "x"]) {
      const { kinds, complete } = await reportOf(CHAT, chat, [answer as object]);
      expect([kinds, complete]).toEqual([undefined, false]);
    }
  });
});

describe("a stream", () => {
  const start = {
    type: "message_start",
    message: { usage: { input_tokens: 10, cache_read_input_tokens: 20, output_tokens: 1 } },
  };
  const end = {
    type: "message_delta",
    delta: { stop_reason: "end_turn" },
    usage: { output_tokens: 30 },
  };

  test("of Anthropic knows its input first", async () => {
    const body = { ...message, stream: true };
    expect(await reportOf(MESSAGES, body, [start])).toMatchObject({
      kinds: { input: 10, cache_read: 20, output: 1 },
      complete: false,
      inputKnown: true,
    });
    expect(await reportOf(MESSAGES, body, [start, end])).toMatchObject({
      kinds: { input: 10, cache_read: 20, output: 30 },
      complete: true,
    });
    const later = {
      ...end,
      usage: { input_tokens: 15, cache_read_input_tokens: null, output_tokens: 30 },
    };
    expect((await reportOf(MESSAGES, body, [start, later])).kinds).toEqual({
      input: 15,
      cache_read: 20,
      output: 30,
    });
  });

  test("of Gemini is complete when it has finished", async () => {
    const url = `${GEMINI}:streamGenerateContent?alt=sse`;
    const part = (candidatesTokenCount: number, finishReason?: string) => ({
      candidates: [{ index: 0, finishReason }],
      usageMetadata: { promptTokenCount: 9, candidatesTokenCount },
    });
    expect(await reportOf(url, { contents }, [part(1)])).toMatchObject({
      complete: false,
      inputKnown: true,
    });
    expect(await reportOf(url, { contents }, [part(1), part(5, "STOP")])).toMatchObject({
      kinds: { input: 9, output: 5 },
      complete: true,
    });
    const blocked = {
      promptFeedback: { blockReason: "SAFETY" },
      usageMetadata: { promptTokenCount: 9 },
    };
    expect(await reportOf(url, { contents }, [blocked])).toMatchObject({
      kinds: { input: 9 },
      complete: true,
    });
  });

  test("of responses is complete with its last event, whatever that is", async () => {
    const usage = { input_tokens: 9, output_tokens: 5 };
    for (const type of ["response.completed", "response.incomplete", "response.failed"]) {
      const created = { type: "response.created", response: { usage: null } };
      const running = { type: "response.in_progress", response: { usage } };
      const asked = { ...response, stream: true };
      expect((await reportOf(RESPONSES, asked, [created, running])).complete).toBe(false);
      const answer = [created, { type, response: { usage } }];
      expect(await reportOf(RESPONSES, { ...response, stream: true }, answer)).toMatchObject({
        kinds: { input: 9, output: 5 },
        complete: true,
      });
    }
  });

  test("of images adds up its images", async () => {
    const url = `${OPENAI}/images/generations`;
    const body = { model: "gpt-image-1", prompt: "x", n: 2, stream: true };
    const made = {
      type: "image_generation.completed",
      usage: { input_tokens: 5, output_tokens: 100 },
    };
    expect(await reportOf(url, body, [made])).toMatchObject({ complete: false });
    expect(await reportOf(url, body, [made, made])).toMatchObject({
      kinds: { input: 10, output_image: 200 },
      complete: true,
    });
  });

  test("can report an error", async () => {
    const errors = [
      await reportOf(CHAT, { ...chat, stream: true }, [{ error: { message: "broken" } }]),
      await reportOf(RESPONSES, { ...response, stream: true }, [
        { type: "error", message: "broken" },
      ]),
      await reportOf(MESSAGES, { ...message, stream: true }, [
        start,
        { type: "error", error: { message: "broken" } },
      ]),
      await reportOf(GENERATE, { contents }, [{ error: { code: 503, message: "broken" } }]),
    ].map(({ error, complete }) => [error, complete]);
    expect(errors).toEqual(Array(4).fill(["broken", false]));
  });
});

describe("sound", () => {
  const url = `${OPENAI}/audio/transcriptions`;
  const form = (fields: Record<string, string>) => {
    const made = new FormData();
    made.append("file", new File(["sound"], "a.wav"));
    for (const [name, value] of Object.entries(fields)) made.append(name, value);
    return made;
  };

  test("counts in tokens, or in seconds for whisper", async () => {
    const tokens = {
      type: "tokens",
      input_tokens: 14,
      input_token_details: { text_tokens: 4 },
      output_tokens: 3,
    };
    const asked = form({ model: "gpt-4o-transcribe", stream: "true" });
    expect((await metered(url, asked)).stream).toBe(true);
    expect((await reportOf(url, asked, [{ usage: tokens }])).kinds).toEqual({
      input: 4,
      input_audio: 10,
      output: 3,
    });
    const whisper = form({ model: "whisper-1", response_format: "verbose_json" });
    expect((await metered(url, whisper)).input.kinds).toEqual(["seconds"]);
    const usage = { type: "duration", seconds: 12.1 };
    expect((await reportOf(url, whisper, [{ usage }])).kinds).toEqual({ seconds: 13 });
  });

  test("is refused where the answer has no usage", async () => {
    const srt = form({ model: "whisper-1", response_format: "srt" });
    expect(await refused(url, srt)).toMatchObject({ code: "no_usage" });
    expect(await refused(url, "not a form")).toMatchObject({ code: "unreadable" });
    expect(await refused(url, form({ model: "whisper-1", surprise: "1" }))).toMatchObject({
      code: "not_understood",
    });
  });
});
