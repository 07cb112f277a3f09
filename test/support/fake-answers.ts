// What the fake provider says, in the wire format of each API: whole, and as events.

/** A field of a body, whatever it is. */
type Body = Readonly<Record<string, unknown>>;

export interface FakeEvent {
  /** The name of the event, where the API has names. */
  readonly event?: string | undefined;
  /** JSON, or a text that is sent as it is. */
  readonly data: unknown;
}

export interface Answer {
  readonly whole: object;
  /** Undefined where the API has no stream. */
  readonly events?: readonly FakeEvent[] | undefined;
  /** An event that reports an error within a stream. */
  readonly error: FakeEvent;
}

/** What the fake reports, by field of its API; tests may set other figures. */
export interface Usages {
  chat: Body;
  responses: Body;
  embeddings: Body;
  images: Body;
  transcription: Body;
  speech: Body;
  messages: Body;
  gemini: Body;
}

export function usages(): Usages {
  return {
    chat: {
      prompt_tokens: 1200,
      completion_tokens: 300,
      total_tokens: 1500,
      prompt_tokens_details: { cached_tokens: 1000 },
      completion_tokens_details: { reasoning_tokens: 200 },
    },
    responses: {
      input_tokens: 1200,
      output_tokens: 300,
      total_tokens: 1500,
      input_tokens_details: { cached_tokens: 1000, cache_write_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 200 },
    },
    embeddings: { prompt_tokens: 7, total_tokens: 7 },
    images: {
      input_tokens: 50,
      output_tokens: 1056,
      total_tokens: 1106,
      input_tokens_details: { text_tokens: 50, image_tokens: 0 },
    },
    transcription: {
      type: "tokens",
      input_tokens: 140,
      output_tokens: 30,
      total_tokens: 170,
      input_token_details: { text_tokens: 10, audio_tokens: 130 },
    },
    speech: { input_tokens: 14, output_tokens: 101, total_tokens: 115 },
    messages: {
      input_tokens: 50,
      cache_creation_input_tokens: 900,
      cache_read_input_tokens: 1000,
      cache_creation: { ephemeral_5m_input_tokens: 400, ephemeral_1h_input_tokens: 500 },
      output_tokens: 300,
      service_tier: "standard",
      server_tool_use: null,
      inference_geo: "not_available",
    },
    gemini: {
      promptTokenCount: 1200,
      cachedContentTokenCount: 1000,
      toolUsePromptTokenCount: 7,
      candidatesTokenCount: 100,
      thoughtsTokenCount: 200,
      totalTokenCount: 1507,
    },
  };
}

/** What each answer says. */
export const TEXT = "Hello there, wörld 🌍";
const words = (times: number) => Array.from({ length: times }, () => TEXT.split(/(?<= )/)).flat();

export function chat(body: Body, usage: Body | undefined, times: number): Answer {
  const base = { id: "chatcmpl-1", created: 1, model: body.model };
  const choices = Array.from({ length: Number(body.n ?? 1) }, (_, index) => index);
  const asked = (body.stream_options as Body | undefined)?.include_usage === true;
  const chunk = (index: number, delta: object, finish_reason: string | null = null) => ({
    data: {
      ...base,
      object: "chat.completion.chunk",
      choices: [{ index, delta, finish_reason }],
      ...(asked && { usage: null }),
    },
  });
  const last = { ...base, object: "chat.completion.chunk", choices: [], usage };
  return {
    whole: {
      ...base,
      object: "chat.completion",
      choices: choices.map((index) => ({
        index,
        message: { role: "assistant", content: TEXT, refusal: null },
        finish_reason: "stop",
      })),
      usage,
    },
    events: [
      ...choices.map((index) => chunk(index, { role: "assistant", content: "" })),
      ...words(times).flatMap((content) => choices.map((index) => chunk(index, { content }))),
      ...choices.map((index) => chunk(index, {}, "stop")),
      ...(asked && usage ? [{ data: last }] : []),
      { data: "[DONE]" },
    ],
    error: { data: { error: { message: "the model failed", type: "server_error", code: null } } },
  };
}

export function responses(body: Body, usage: Body | undefined, times: number): Answer {
  const content = { type: "output_text", text: "", annotations: [], logprobs: [] };
  const item = {
    type: "message",
    id: "msg_1",
    role: "assistant",
    status: "in_progress",
    content: [],
  };
  const text = words(times).join("");
  const done = { ...item, status: "completed", content: [{ ...content, text }] };
  const response = (status: string, more: object) => ({
    id: "resp_1",
    object: "response",
    created_at: 1,
    status,
    model: body.model,
    output: [],
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    parallel_tool_calls: true,
    temperature: 1,
    top_p: 1,
    tool_choice: "auto",
    tools: [],
    service_tier: "default",
    usage: null,
    ...more,
  });
  const completed = response("completed", { output: [done], usage: usage ?? null });
  let sequence_number = 0;
  const event = (type: string, rest: object): FakeEvent => ({
    event: type,
    data: { type, sequence_number: sequence_number++, ...rest },
  });
  const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
  return {
    whole: completed,
    events: [
      event("response.created", { response: response("in_progress", {}) }),
      event("response.output_item.added", { output_index: 0, item }),
      event("response.content_part.added", { ...at, part: content }),
      ...words(times).map((delta) =>
        event("response.output_text.delta", { ...at, delta, logprobs: [] }),
      ),
      event("response.output_text.done", { ...at, text, logprobs: [] }),
      event("response.content_part.done", { ...at, part: { ...content, text } }),
      event("response.output_item.done", { output_index: 0, item: done }),
      event("response.completed", { response: completed }),
    ],
    error: event("error", { code: "server_error", message: "the model failed", param: null }),
  };
}

export function embeddings(body: Body, usage: Body | undefined): Answer {
  const numbers = Float32Array.of(0.5, 0.25);
  // The SDK asks for base64 if its caller does not choose.
  const embedding =
    body.encoding_format === "base64"
      ? Buffer.from(numbers.buffer).toString("base64")
      : [...numbers];
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  const data = inputs.map((_, index) => ({ object: "embedding", index, embedding }));
  return { whole: { object: "list", model: body.model, data, usage }, error: PLAIN_ERROR };
}

export function images(body: Body, usage: Body | undefined): Answer {
  const b64_json = Buffer.from("no real picture").toString("base64");
  const look = { background: "auto", output_format: "png", quality: "low", size: "1024x1024" };
  const count = Number(body.n ?? 1);
  const data = Array.from({ length: count }, () => ({ b64_json }));
  const made = { created_at: 1, b64_json, ...look };
  return {
    whole: { created: 1, ...look, data, usage },
    events: Array.from({ length: count }, () => [
      {
        event: "image_generation.partial_image",
        data: { type: "image_generation.partial_image", partial_image_index: 0, ...made },
      },
      {
        event: "image_generation.completed",
        data: { type: "image_generation.completed", ...made, usage },
      },
    ]).flat(),
    error: PLAIN_ERROR,
  };
}

export function transcription(usage: Body | undefined): Answer {
  const event = (type: string, rest: object): FakeEvent => ({ data: { type, ...rest } });
  return {
    whole: { text: TEXT, usage },
    events: [
      ...words(1).map((delta) => event("transcript.text.delta", { delta })),
      event("transcript.text.done", { text: TEXT, usage }),
      { data: "[DONE]" },
    ],
    error: PLAIN_ERROR,
  };
}

export function speech(usage: Body | undefined): Answer {
  const audio = Buffer.from("no real sound").toString("base64");
  return {
    whole: {},
    events: [
      { data: { type: "speech.audio.delta", audio } },
      { data: { type: "speech.audio.done", usage } },
    ],
    error: PLAIN_ERROR,
  };
}

export function messages(body: Body, usage: Body | undefined, times: number): Answer {
  const base = {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: body.model,
    stop_sequence: null,
  };
  const event = (type: string, rest: object = {}): FakeEvent => ({
    event: type,
    data: { type, ...rest },
  });
  const start = usage && { ...usage, output_tokens: 1 };
  const empty = { input_tokens: 0, output_tokens: 0 };
  return {
    whole: {
      ...base,
      content: [{ type: "text", text: TEXT }],
      stop_reason: "end_turn",
      usage,
    },
    events: [
      event("message_start", {
        message: { ...base, content: [], stop_reason: null, usage: start ?? empty },
      }),
      event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
      event("ping"),
      ...words(times).map((text) =>
        event("content_block_delta", { index: 0, delta: { type: "text_delta", text } }),
      ),
      event("content_block_stop", { index: 0 }),
      event("message_delta", {
        delta: { stop_reason: "end_turn", stop_sequence: null },
        ...(usage && { usage: { output_tokens: usage.output_tokens } }),
      }),
      event("message_stop"),
    ],
    error: event("error", { error: { type: "overloaded_error", message: "Overloaded" } }),
  };
}

export function gemini(usage: Body | undefined, times: number): Answer {
  const said = (text: string, finishReason?: string, counts?: Body) => ({
    candidates: [
      {
        index: 0,
        content: { role: "model", parts: [{ text }] },
        ...(finishReason && { finishReason }),
      },
    ],
    modelVersion: "gemini-2.5-pro",
    responseId: "r1",
    ...(counts && { usageMetadata: counts }),
  });
  const all = words(times);
  return {
    whole: said(TEXT, "STOP", usage),
    events: all.map((text, i) => {
      const last = i === all.length - 1;
      const counts = last ? usage : usage && { ...usage, candidatesTokenCount: i + 1 };
      return { data: said(text, last ? "STOP" : undefined, counts) };
    }),
    error: {
      data: { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } },
    },
  };
}

export function geminiEmbeddings(body: Body, usage: Body | undefined): Answer {
  const { promptTokenCount } = usage ?? {};
  const usageMetadata = usage && { promptTokenCount, totalTokenCount: promptTokenCount };
  const embedding = { values: [0.5, 0.25] };
  const embeddings = Array.isArray(body.requests) ? body.requests.map(() => embedding) : undefined;
  return {
    whole: { ...(embeddings ? { embeddings } : { embedding }), usageMetadata },
    error: PLAIN_ERROR,
  };
}

const PLAIN_ERROR: FakeEvent = { data: { error: { message: "the model failed" } } };
