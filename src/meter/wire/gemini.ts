import {
  count,
  deviation,
  errorOf,
  isObject,
  kindsOf,
  list,
  optionalCount,
  part,
  readBody,
  requireKnown,
  variantOf,
} from "./read.ts";
import {
  type Dialect,
  type Json,
  type Kinds,
  NotSent,
  type ReadableRequest,
  type Reader,
} from "./types.ts";

const KNOWN = new Set(
  `contents systemInstruction system_instruction generationConfig generation_config safetySettings
  safety_settings tools toolConfig tool_config labels cachedContent cached_content serviceTier
  service_tier model`.split(/\s+/),
);
const KNOWN_IN_CONFIG = new Set(
  `temperature topP topK candidateCount maxOutputTokens stopSequences responseLogprobs logprobs
  presencePenalty frequencyPenalty seed responseMimeType responseSchema responseJsonSchema
  _responseJsonSchema responseModalities mediaResolution speechConfig thinkingConfig imageConfig`.split(
    /\s+/,
  ),
);
const KNOWN_IN_EMBEDDING = new Set(
  "requests content model taskType title outputDimensionality embedContentConfig".split(" "),
);

const PLAIN_TIERS = ["standard", "unspecified", "on_demand", "traffic_type_unspecified"];
const TEXT_PARTS = new Set(
  "text thought thoughtSignature thought_signature functionCall function_call partMetadata".split(
    " ",
  ),
);

const PATH = /\/models\/([^/:]+):(\w+)$/;

/** Gemini's generateContent and streamGenerateContent. */
export const geminiGenerate: Dialect = {
  name: "gemini-generate",
  errors: "gemini",
  matches: (path) => /:(?:generateContent|streamGenerateContent)$/.test(path),
  read(request) {
    const body = readBody(request.body, KNOWN, request.fields);
    const { name, method } = target(request);
    const stream = method === "streamGenerateContent";
    if (stream && request.url.searchParams.get("alt") !== "sse") {
      throw new NotSent("not_understood", "a stream is metered with alt=sse only");
    }
    requireModel(body, name);
    const field = body.generation_config == null ? "generationConfig" : "generation_config";
    if (body.generationConfig != null && field === "generation_config") {
      throw new NotSent("unreadable", "the body has generationConfig twice");
    }
    const config = part(body, field);
    requireKnown(config, KNOWN_IN_CONFIG, request.fields, field);
    const passes = toolPasses(body);
    const variant = tier(body.serviceTier ?? body.service_tier);
    const choices = optionalCount(config, "candidateCount") ?? 1;
    const listens = !isText(body);
    return {
      is: "metered",
      dialect: "gemini-generate",
      model: `${request.provider}/${name}`,
      variant,
      stream,
      input: {
        text: isText(body) && passes === 1 ? new TextDecoder().decode(request.body) : undefined,
        passes,
        kinds: listens ? ["input", "input_audio"] : ["input"],
      },
      output: {
        limit: optionalCount(config, "maxOutputTokens"),
        lowest: 1,
        choices,
        kinds: ["output", ...modalities(config)],
      },
      fees: {},
      send: (lower) =>
        lower === undefined
          ? request.body
          : JSON.stringify({ ...body, [field]: { ...config, maxOutputTokens: lower } }),
      reader: (streamed = stream) =>
        geminiReader({ streamed, choices, variant, grows: passes > 1 }),
    };
  },
};

/** Gemini's embedContent and batchEmbedContents. */
export const geminiEmbed: Dialect = {
  name: "gemini-embed",
  errors: "gemini",
  matches: (path) => /:(?:embedContent|batchEmbedContents)$/.test(path),
  read(request) {
    const body = readBody(request.body, KNOWN_IN_EMBEDDING, request.fields);
    const { name } = target(request);
    const all = body.requests === undefined ? [body] : list(body.requests);
    for (const each of all) {
      if (!isObject(each)) throw new NotSent("unreadable", "a request is not an object");
      requireKnown(each, KNOWN_IN_EMBEDDING, request.fields, "a request");
      requireModel(each, name);
    }
    const text = all.every((each) => isObject(each) && isTextContent(each.content));
    return {
      is: "metered",
      dialect: "gemini-embed",
      model: `${request.provider}/${name}`,
      variant: "standard",
      stream: false,
      input: {
        text: text ? new TextDecoder().decode(request.body) : undefined,
        // Each of the requests may fill the window.
        passes: text ? 1 : Math.max(all.length, 1),
        texts: Math.max(all.length, 1),
        kinds: text ? ["input"] : ["input", "input_audio", "input_image"],
      },
      output: { limit: 0, lowest: undefined, choices: 1, kinds: [] },
      fees: {},
      send: () => request.body,
      reader: () =>
        geminiReader({ streamed: false, choices: 1, variant: "standard", grows: false }),
    };
  },
};

function target({ url }: ReadableRequest): { name: string; method: string } {
  const [, name, method] = PATH.exec(url.pathname) ?? [];
  if (name === undefined || method === undefined) {
    throw new NotSent("not_metered", `${url.pathname} names no model that is metered`);
  }
  return { name: decodeURIComponent(name), method };
}

/** A model in the body is that of the path. */
function requireModel({ model }: Json, name: string): void {
  if (model === undefined || model === name || model === `models/${name}`) return;
  throw new NotSent("unreadable", `the body has another model than ${name}`);
}

function tier(value: unknown): string {
  const name = typeof value === "string" ? value.toLowerCase().replace(/^on_demand_/, "") : value;
  return variantOf(deviation(name, PLAIN_TIERS));
}

/** The variant that usage reports, if it says. */
export function geminiTier(usage: Json): string | undefined {
  const said = usage.serviceTier ?? usage.trafficType;
  return said === undefined || said === null ? undefined : tier(said);
}

/** How often the input may be read: once more if pages are fetched. */
function toolPasses(body: Json): number {
  let passes = 1;
  for (const tool of list(body.tools)) {
    for (const [name, value] of Object.entries(isObject(tool) ? tool : { undefined: 1 })) {
      if (value === null || ["functionDeclarations", "function_declarations"].includes(name))
        continue;
      if (name !== "urlContext" && name !== "url_context") {
        throw new NotSent("unsupported_tool", `the tool ${name} has no price`);
      }
      passes = 2;
    }
  }
  return passes;
}

function modalities(config: Json): string[] {
  const names = list(config.responseModalities).map((each) => String(each).toLowerCase());
  return ["audio", "image"].filter((each) => names.includes(each)).map((each) => `output_${each}`);
}

function isText(body: Json): boolean {
  if (body.cachedContent != null || body.cached_content != null) return false;
  const instruction = body.systemInstruction ?? body.system_instruction;
  return isTextContent(instruction) && contentsOf(body.contents).every(isTextContent);
}

/** The contents of a request: a list, or one. */
function contentsOf(contents: unknown): readonly unknown[] {
  return isObject(contents) ? [contents] : list(contents);
}

function isTextContent(content: unknown): boolean {
  if (content === undefined || content === null) return true;
  if (!isObject(content)) return false;
  const parts = isObject(content.parts) ? [content.parts] : list(content.parts);
  return parts.every((each) => isObject(each) && Object.entries(each).every(isTextField));
}

function isTextField([name, value]: [string, unknown]): boolean {
  if (value === null || TEXT_PARTS.has(name)) return true;
  const isResponse = name === "functionResponse" || name === "function_response";
  return isResponse && isObject(value) && list(value.parts).length === 0;
}

interface Asked {
  readonly streamed: boolean;
  readonly choices: number;
  readonly variant: string;
  readonly grows: boolean;
}

function geminiReader({ streamed, choices, variant, grows }: Asked): Reader {
  let kinds: Kinds | undefined;
  let reported: string | undefined;
  let error: string | undefined;
  let blocked = false;
  const finished = new Set<unknown>();
  return {
    read(message) {
      if (!isObject(message)) return true;
      error = errorOf(message) ?? error;
      blocked ||= part(message, "promptFeedback").blockReason != null;
      for (const each of list(message.candidates)) {
        if (isObject(each) && each.finishReason != null) finished.add(each.index ?? 0);
      }
      const usage = message.usageMetadata;
      if (!isObject(usage)) return true;
      kinds = geminiKinds(usage);
      reported = geminiTier(usage) ?? reported;
      return true;
    },
    report: () => ({
      kinds,
      complete: kinds !== undefined && (!streamed || blocked || finished.size >= choices),
      inputKnown: kinds !== undefined && !grows,
      variant: reported ?? variant,
      error,
    }),
  };
}

/** Disjoint counts: what was cached is within the prompt, what tools read and thoughts are beside. */
export function geminiKinds(usage: Json): Kinds | undefined {
  const prompt = count(usage.promptTokenCount);
  const cached = Math.min(count(usage.cachedContentTokenCount), prompt);
  const heard = Math.min(modality(usage.promptTokensDetails, "AUDIO"), prompt);
  const heardBefore = Math.min(modality(usage.cacheTokensDetails, "AUDIO"), heard, cached);
  const output = count(usage.candidatesTokenCount);
  const spoken = Math.min(modality(usage.candidatesTokensDetails, "AUDIO"), output);
  const drawn = Math.min(modality(usage.candidatesTokensDetails, "IMAGE"), output - spoken);
  return kindsOf({
    input: prompt - cached - (heard - heardBefore) + count(usage.toolUsePromptTokenCount),
    cache_read: cached - heardBefore,
    input_audio: heard - heardBefore,
    cache_read_audio: heardBefore,
    output: output - spoken - drawn + count(usage.thoughtsTokenCount),
    output_audio: spoken,
    output_image: drawn,
  });
}

function modality(details: unknown, name: string): number {
  const found = list(details).filter((each) => isObject(each) && each.modality === name);
  return found.reduce<number>((sum, each) => sum + count((each as Json).tokenCount), 0);
}
