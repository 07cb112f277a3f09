// What each dialect reads in requests.
import { describe, expect, test } from "vitest";
import { refusalResponse } from "../../src/meter/wire/index.ts";
import {
  CHAT,
  chat,
  contents,
  GEMINI,
  GENERATE,
  MESSAGES,
  message,
  messages,
  metered,
  OPENAI,
  RESPONSES,
  read,
  refused,
  reportOf,
  response,
  sent,
} from "./requests.ts";

describe("a request", () => {
  test("names its model by provider and host", async () => {
    const models = [
      (await metered(CHAT, chat)).model,
      (await metered(RESPONSES, response)).model,
      (await metered(MESSAGES, message)).model,
      (await metered(GENERATE, { contents })).model,
      (
        await metered("https://api.deepseek.com/chat/completions", {
          ...chat,
          model: "deepseek-chat",
        })
      ).model,
      (await metered("http://localhost:11434/v1/chat/completions", chat, { provider: "ollama" }))
        .model,
    ];
    expect(models).toEqual([
      "openai/gpt-5",
      "openai/gpt-5",
      "anthropic/claude-haiku-4-5",
      "google/gemini-2.5-pro",
      "deepseek/deepseek-chat",
      "ollama/gpt-5",
    ]);
  });

  test("is free if it makes nothing", async () => {
    expect(await read(`${OPENAI}/models`, "", {}, "GET")).toEqual({ is: "free" });
    expect(await read(`${MESSAGES}/count_tokens`, message)).toEqual({ is: "free" });
    expect(await read(`${GEMINI}:countTokens`, { contents })).toEqual({ is: "free" });
  });

  test.each([
    ["not_metered", `${OPENAI}/batches`, {}],
    ["not_metered", `${MESSAGES}/batches`, {}],
    ["not_metered", `${GEMINI}:batchGenerateContent`, {}],
    ["not_metered", `${OPENAI}/images/edits`, {}],
    ["unknown_provider", "https://example.com/v1/chat/completions", chat],
    ["unreadable", CHAT, "{"],
    ["unreadable", CHAT, "[]"],
    ["unreadable", CHAT, { messages }],
    ["unreadable", CHAT, { ...chat, n: 0 }],
    ["unreadable", CHAT, { ...chat, stream: "yes" }],
    ["unreadable", CHAT, { ...chat, max_tokens: "1000" }],
    ["unreadable", CHAT, '{"model":"gpt-5-nano","messages":[],"model":"gpt-5-pro"}'],
    ["unreadable", CHAT, '{"model":"gpt-5-nano","messages":[],"mod\\u0065l":"gpt-5-pro"}'],
    ["unreadable", MESSAGES, { ...message, max_tokens: undefined }],
    ["unreadable", GENERATE, { contents, generationConfig: {}, generation_config: {} }],
    ["unreadable", GENERATE, { contents, model: "models/gemini-3-pro" }],
    [
      "unreadable",
      `${GEMINI}:batchEmbedContents`,
      { requests: [{ model: "models/other", content: {} }] },
    ],
    ["not_understood", CHAT, { ...chat, surprise: 1 }],
    ["not_understood", RESPONSES, { ...response, context_management: [] }],
    ["not_understood", MESSAGES, { ...message, fallbacks: [] }],
    ["not_understood", MESSAGES, { ...message, mcp_servers: [] }],
    ["not_understood", GENERATE, { contents, generationConfig: { surprise: 1 } }],
    ["not_understood", `${GEMINI}:streamGenerateContent`, { contents }],
    ["not_understood", `${OPENAI}/embeddings`, { model: "m", input: [{ image: "x" }] }],
    ["not_understood", CHAT, { ...chat, prediction: { type: "content", content: "x" } }],
    ["no_usage", RESPONSES, { ...response, background: true }],
    ["no_usage", `${OPENAI}/images/generations`, { model: "dall-e-3", prompt: "x" }],
    ["no_usage", `${OPENAI}/audio/speech`, { model: "gpt-4o-mini-tts", input: "x" }],
    ["no_usage", `${OPENAI}/audio/speech`, { model: "tts-1", input: "x", stream_format: "sse" }],
    ["unsupported_tool", CHAT, { ...chat, tools: [{ type: "web_search" }] }],
    ["unsupported_tool", RESPONSES, { ...response, tools: [{ type: "code_interpreter" }] }],
    ["unsupported_tool", RESPONSES, { ...response, tools: [{ type: "web_search" }] }],
    ["unsupported_tool", MESSAGES, { ...message, tools: [{ type: "code_execution_20260521" }] }],
    ["unsupported_tool", MESSAGES, { ...message, tools: [{ type: "web_search_20260318" }] }],
    ["unsupported_tool", GENERATE, { contents, tools: [{ googleSearch: {} }] }],
  ])("is refused as %s: %s %j", async (code, url, body) => {
    expect(await refused(url, body)).toMatchObject({ code });
  });

  test("is refused where the provider has fees that it does not report", async () => {
    const call = refused("https://api.perplexity.ai/chat/completions", chat, {
      provider: "perplexity",
    });
    expect(await call).toMatchObject({ code: "no_usage" });
  });

  test("may have more fields where the caller knows them to cost nothing", async () => {
    const body = { ...chat, surprise: 1 };
    expect(sent(await metered(CHAT, body, { fields: ["surprise"] }))).toEqual(body);
  });

  test("with a name twice, deeper than providers would look, is none with two meanings", async () => {
    const body =
      '{"model":"m","messages":[{"role":"user","role":"user","content":"{\\"a\\":1,\\"a\\":2}"}]}';
    expect((await metered(CHAT, body)).model).toBe("openai/m");
  });
});

describe("the variant", () => {
  test.each([
    ["standard", CHAT, chat],
    ["standard", CHAT, { ...chat, service_tier: "auto" }],
    ["standard", CHAT, { ...chat, service_tier: null }],
    ["flex", CHAT, { ...chat, service_tier: "flex" }],
    ["tomorrow", CHAT, { ...chat, service_tier: "tomorrow" }],
    ["unknown", CHAT, { ...chat, service_tier: 1 }],
    ["us", CHAT.replace("api.", "us.api."), chat],
    [
      "priority-eu",
      RESPONSES.replace("api.", "eu.api."),
      { ...response, service_tier: "priority" },
    ],
    ["pro", RESPONSES, { ...response, reasoning: { mode: "pro" } }],
    ["standard", MESSAGES, { ...message, service_tier: "standard_only", inference_geo: "global" }],
    ["fast-us", MESSAGES, { ...message, speed: "fast", inference_geo: "us" }],
    ["flex", GENERATE, { contents, serviceTier: "FLEX" }],
  ])("is %s: %s %j", async (variant, url, body) => {
    expect((await metered(url, body)).variant).toBe(variant);
  });

  test("is what the answer says, if it says", async () => {
    const usage = { prompt_tokens: 1, completion_tokens: 1, input_tokens: 1, output_tokens: 1 };
    const variants = [
      await reportOf(CHAT, chat, [{ choices: [], usage, service_tier: "priority" }]),
      await reportOf(CHAT, { ...chat, service_tier: "flex" }, [{ usage, service_tier: "default" }]),
      await reportOf(RESPONSES, response, [{ object: "response", usage, service_tier: "flex" }]),
      await reportOf(MESSAGES, message, [{ usage: { ...usage, inference_geo: "us" } }]),
      await reportOf(MESSAGES, { ...message, speed: "fast" }, [
        { usage: { ...usage, speed: "standard" } },
      ]),
      await reportOf(MESSAGES, { ...message, speed: "fast" }, [{ usage }]),
      await reportOf(GENERATE, { contents }, [
        { usageMetadata: { trafficType: "ON_DEMAND_PRIORITY" } },
      ]),
      await reportOf(GENERATE, { contents }, [{ usageMetadata: { trafficType: "ON_DEMAND" } }]),
    ].map(({ variant }) => variant);
    expect(variants).toEqual([
      "priority",
      "standard",
      "flex",
      "us",
      "standard",
      "fast",
      "priority",
      "standard",
    ]);
  });
});

describe("the output", () => {
  test("has the limit of the request, for each choice", async () => {
    const outputs = [
      (await metered(CHAT, { ...chat, max_completion_tokens: 500, n: 3 })).output,
      (await metered(CHAT, { ...chat, max_tokens: 400, max_completion_tokens: 500 })).output,
      (await metered(CHAT, chat)).output,
      (await metered(RESPONSES, { ...response, max_output_tokens: 600 })).output,
      (await metered(MESSAGES, { ...message, max_tokens: 3000, thinking: { budget_tokens: 2000 } }))
        .output,
      (
        await metered(GENERATE, {
          contents,
          generationConfig: { maxOutputTokens: 7, candidateCount: 2 },
        })
      ).output,
    ].map(({ limit, choices, lowest }) => [limit, choices, lowest]);
    expect(outputs).toEqual([
      [500, 3, 1],
      [500, 1, 1],
      [undefined, 1, 1],
      [600, 1, 16],
      [3000, 1, 2001],
      [7, 2, 1],
    ]);
  });

  test("is limited lower where the request had its limit", async () => {
    expect(sent(await metered(CHAT, { ...chat, max_tokens: 500 }), 20)).toEqual({
      ...chat,
      max_tokens: 20,
    });
    expect(sent(await metered(CHAT, chat), 20)).toEqual({ ...chat, max_completion_tokens: 20 });
    const local = { provider: "local" };
    expect(sent(await metered(CHAT, chat, local), 20)).toEqual({ ...chat, max_tokens: 20 });
    expect(sent(await metered(RESPONSES, response), 20)).toEqual({
      ...response,
      max_output_tokens: 20,
    });
    expect(sent(await metered(MESSAGES, message), 20)).toEqual({ ...message, max_tokens: 20 });
    const generationConfig = { temperature: 0, maxOutputTokens: 20 };
    const asked = { contents, generation_config: { temperature: 0 } };
    expect(sent(await metered(GENERATE, asked), 20)).toEqual({
      contents,
      generation_config: generationConfig,
    });
  });

  test("may be sound or images", async () => {
    const spoken = {
      ...chat,
      modalities: ["text", "audio"],
      audio: { voice: "alloy", format: "wav" },
    };
    expect((await metered(CHAT, spoken)).output.kinds).toEqual(["output", "output_audio"]);
    const drawn = { contents, generationConfig: { responseModalities: ["TEXT", "IMAGE"] } };
    expect((await metered(GENERATE, drawn)).output.kinds).toEqual(["output", "output_image"]);
  });
});

test("a body is sent as it came, unless something has to change", async () => {
  const text = '{ "model": "gpt-5", "messages": [], "seed": 9007199254740993 }';
  const call = await metered(CHAT, text);
  expect(Buffer.from(call.send() as Uint8Array).toString()).toBe(text);
});

describe("what only the context window bounds", () => {
  const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
  const data = { inlineData: { mimeType: "image/png", data: "AAAA" } };
  const source = { type: "base64", media_type: "image/png", data: "AAAA" };
  const said = (content: unknown) => [{ role: "user", content }];

  test.each([
    [CHAT, { ...chat, messages: said([image]) }],
    [CHAT, { ...chat, messages: [{ role: "assistant", audio: { id: "a" } }] }],
    [CHAT, { ...chat, model: "gpt-4o-search-preview" }],
    [RESPONSES, { ...response, previous_response_id: "r" }],
    [RESPONSES, { ...response, conversation: "c" }],
    [RESPONSES, { ...response, prompt: { id: "p" } }],
    [RESPONSES, { ...response, input: said([{ type: "input_file", file_id: "f" }]) }],
    [RESPONSES, { ...response, input: [{ type: "item_reference", id: "i" }] }],
    [RESPONSES, { ...response, input: [{ type: "reasoning", id: "r", summary: [] }] }],
    [MESSAGES, { ...message, messages: said([{ type: "image", source }]) }],
    [
      MESSAGES,
      {
        ...message,
        messages: said([{ type: "tool_result", content: [{ type: "image", source }] }]),
      },
    ],
    [GENERATE, { contents, cachedContent: "c" }],
    [GENERATE, { contents: [{ parts: [data] }] }],
    [GENERATE, { contents, systemInstruction: { parts: [{ fileData: {} }] } }],
    [`${GEMINI}:embedContent`, { content: { parts: [data] } }],
  ])("%s %j", async (url, body) => {
    expect((await metered(url, body)).input.text).toBeUndefined();
  });

  test.each([
    [CHAT, { ...chat, messages: said([{ type: "text", text: '"type":"image"' }]) }],
    [RESPONSES, { ...response, input: said([{ type: "input_text", text: "x" }]) }],
    [
      RESPONSES,
      { ...response, input: [{ type: "function_call_output", call_id: "c", output: "x" }] },
    ],
    [MESSAGES, { ...message, system: [{ type: "text", text: "x" }] }],
    [MESSAGES, { ...message, messages: said([{ type: "tool_use", input: { type: "image" } }]) }],
    [
      GENERATE,
      { contents: [{ parts: [{ functionCall: { name: "f", args: { inlineData: 1 } } }] }] },
    ],
  ])("is not what is text: %s %j", async (url, body) => {
    expect((await metered(url, body)).input.text).toBe(JSON.stringify(body));
  });
});

describe("hosted tools", () => {
  const search = { type: "web_search_20260318", name: "web_search", max_uses: 3 };
  const fetches = { type: "web_fetch_20260318", name: "web_fetch", max_uses: 2 };

  test("have a most, and each use reads the input again", async () => {
    const claude = await metered(MESSAGES, {
      ...message,
      tools: [search, fetches, { name: "own", input_schema: {} }],
    });
    expect([claude.fees, claude.input.passes, claude.input.text]).toEqual([
      { web_searches: 3 },
      6,
      undefined,
    ]);
    const tools = [
      { type: "web_search" },
      { type: "file_search", vector_store_ids: [] },
      { type: "function" },
    ];
    const gpt = await metered(RESPONSES, { ...response, tools, max_tool_calls: 4 });
    expect([gpt.fees, gpt.input.passes]).toEqual([{ web_searches: 4, file_searches: 4 }, 5]);
    const searched = await metered(CHAT, { ...chat, web_search_options: {} });
    expect(searched.fees).toEqual({ web_searches: 1 });
    const pages = await metered(GENERATE, {
      contents,
      tools: [{ urlContext: {} }, { functionDeclarations: [] }],
    });
    expect([pages.fees, pages.input.passes]).toEqual([{}, 2]);
  });

  test("count as reported", async () => {
    const usage = {
      input_tokens: 9,
      output_tokens: 5,
      server_tool_use: { web_search_requests: 2 },
    };
    const claude = await reportOf(MESSAGES, { ...message, tools: [search] }, [{ usage }]);
    expect(claude).toMatchObject({
      kinds: { input: 9, output: 5, web_searches: 2 },
      inputKnown: false,
    });
    const output = [
      { type: "web_search_call", action: { type: "search" } },
      { type: "web_search_call", action: { type: "open_page" } },
      { type: "web_search_call" },
      { type: "file_search_call" },
    ];
    const tools = [{ type: "web_search" }, { type: "file_search" }];
    const body = { ...response, tools, max_tool_calls: 9 };
    const answer = { object: "response", output, usage: { input_tokens: 9, output_tokens: 5 } };
    expect((await reportOf(RESPONSES, body, [answer])).kinds).toEqual({
      input: 9,
      output: 5,
      web_searches: 2,
      file_searches: 1,
    });
    const tool_usage = { web_search: { num_requests: 3 } };
    const counted = await reportOf(RESPONSES, body, [{ ...answer, tool_usage }]);
    expect(counted.kinds).toMatchObject({ web_searches: 3 });
  });

  test("are counted once for a call of a model that searches", async () => {
    const usage = { prompt_tokens: 9, completion_tokens: 5 };
    const { kinds } = await reportOf(CHAT, { ...chat, model: "gpt-5-search-api" }, [{ usage }]);
    expect(kinds).toEqual({ input: 9, output: 5, web_searches: 1 });
  });
});

test("a refusal has the form of the provider's errors, and is not retried", async () => {
  const answer = { status: 402, code: "LGNSF", message: "insufficient funds" } as const;
  const bodies = [];
  for (const form of ["openai", "anthropic", "gemini"] as const) {
    const refusal = refusalResponse(form, answer);
    expect([refusal.status, refusal.headers.get("x-should-retry")]).toEqual([402, "false"]);
    bodies.push(await refusal.json());
  }
  expect(bodies).toMatchObject([
    { error: { message: "insufficient funds", code: "LGNSF" } },
    { type: "error", error: { type: "billing_error", message: "insufficient funds" } },
    { error: { code: 402, message: "insufficient funds", details: [{ reason: "LGNSF" }] } },
  ]);
  expect((await refused(`${MESSAGES}/batches`, {})).errors).toBe("anthropic");
  expect((await refused(`${GEMINI}:batchGenerateContent`, {})).errors).toBe("gemini");
});
