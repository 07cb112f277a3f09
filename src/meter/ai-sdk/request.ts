import { tokensAtMost } from "../bound.ts";
import type { Asked } from "../usage-bound.ts";
import { PLAIN_TIERS } from "../wire/openai-chat.ts";
import { reportsAllFees } from "../wire/providers.ts";
import { deviation, isObject, list, part, variantOf } from "../wire/read.ts";
import { type Json, NotSent } from "../wire/types.ts";
import { isText, valuesOf } from "./prompt.ts";
import { type Family, familyOf, readOptions } from "./provider-options.ts";
import { readTools } from "./tools.ts";
import type { AiModel } from "./types.ts";

/** What a call asks for. */
export interface AiRequest {
  readonly asked: Asked;
  /** Tokens of input at most, where the model's window does not bound them together. */
  readonly counted: number | undefined;
  /** For spans and metrics. */
  readonly operation: string;
  /** Fields of the call's options with a lower limit of output. */
  limited(limit: number): Json;
}

export interface RequestOptions {
  /** The provider, as prices name it. */
  readonly provider?: string | undefined;
  /** Further options of providers that are known to cost nothing. */
  readonly fields?: readonly string[] | undefined;
}

type Read = (model: AiModel, params: Json, options: Json) => Omit<AiRequest, "asked"> & AskedHere;

interface AskedHere {
  readonly asked: Omit<Asked, "model">;
}

/** Reads the options of a call; throws {@link NotSent} for what must not be sent. */
export function readRequest(
  model: AiModel,
  params: object,
  { provider = providerOf(model), fields = [] }: RequestOptions,
): AiRequest {
  const given = params as Json;
  const read: Read = Array.isArray(given.values)
    ? readEmbedding
    : Array.isArray(given.prompt)
      ? readPrompt
      : readImage;
  if (!reportsAllFees(provider)) {
    throw new NotSent("no_usage", `${provider} has fees that it does not report`);
  }
  const options = readOptions(model, given.providerOptions, fields);
  const { asked, ...rest } = read(model, given, options);
  return { ...rest, asked: { model: `${provider}/${model.modelId}`, ...asked } };
}

/** Providers that prices name otherwise than the SDK does. */
const PROVIDERS: Readonly<Record<string, string>> = {
  xai: "x-ai",
  togetherai: "together",
  "amazon-bedrock": "aws",
  bedrock: "aws",
  "azure-openai": "azure",
};

/** The provider as prices name it. One that has no prices is refused by the ledger. */
function providerOf({ provider }: AiModel): string {
  const [first = "", second = ""] = provider.split(".");
  // The same models have other prices there.
  if (first === "vertex" || second === "vertex") return "google-vertex";
  return PROVIDERS[first] ?? first;
}

const readPrompt: Read = (model, params, options) => {
  const family = familyOf(model);
  const { prompt, tools, responseFormat } = params;
  if (valuesOf("additionalTools", [prompt, tools]).length > 0) {
    throw new NotSent("unsupported_tool", "additionalTools may be tools without a price");
  }
  const { fees, calls } = readTools(tools);
  // Models of search search once for each call.
  const searches = family === "openai" && /-search\b/.test(model.modelId) ? 1 : 0;
  const text = isText(prompt) && calls === 0 && searches === 0 && !refers(options);
  const { asked, limited } = readOutput(family, params, options);
  return {
    asked: {
      variant: variantIn(family, options),
      input: {
        text: text ? JSON.stringify([prompt, tools, responseFormat, options]) : undefined,
        passes: 1 + calls,
        kinds: inputKinds(family, [prompt, tools, options], isText(prompt)),
      },
      output: asked,
      fees: searches > 0 ? { ...fees, web_searches: searches } : fees,
    },
    counted: undefined,
    operation: family === "google" ? "generate_content" : "chat",
    limited,
  };
};

/** Whether options refer to more input. */
function refers({ previousResponseId, conversation, cachedContent }: Json): boolean {
  return [previousResponseId, conversation, cachedContent].some((each) => each !== undefined);
}

function variantIn(family: Family, options: Json): string {
  const { serviceTier, speed, inferenceGeo } = options;
  const plain = family === "anthropic" ? ["auto", "standard_only", "standard"] : PLAIN_TIERS;
  return variantOf(
    deviation(serviceTier, plain),
    deviation(speed, ["standard"]),
    deviation(inferenceGeo, ["global", "not_available"]),
  );
}

/** As which kinds the input may be reported. */
function inputKinds(family: Family, given: unknown, text: boolean): string[] {
  const heard = text ? [] : ["input_audio", "input_image"];
  if (family === "google") return ["input", ...heard];
  if (family === "openai") return ["input", "cache_write", "cache_write_12h", ...heard];
  const controls = ["cacheControl", "cache_control", "cachePoint"].flatMap((field) =>
    valuesOf(field, given),
  );
  if (controls.length === 0) return ["input", ...heard];
  const short = controls.every((each) => isObject(each) && (each.ttl ?? "5m") === "5m");
  return ["input", "cache_write", short ? "cache_write_5m" : "cache_write_1h", ...heard];
}

function readOutput(
  family: Family,
  params: Json,
  options: Json,
): { readonly asked: Asked["output"]; limited(limit: number): Json } {
  const most = params.maxOutputTokens;
  const limit = typeof most === "number" ? most : undefined;
  const kinds = ["output", ...modalities(options)];
  const more = family === "anthropic" ? thinking(params, options) : 0;
  const limited = (lower: number) => ({ maxOutputTokens: lower - (more ?? 0) });
  // The SDK then finds a budget for thinking by itself, up to what the model has.
  if (more === undefined) {
    return { asked: { limit: undefined, lowest: undefined, choices: 1, kinds }, limited };
  }
  const own = options.maxCompletionTokens;
  if (typeof own === "number") {
    const all = Math.max(own, limit ?? 0);
    return { asked: { limit: all, lowest: undefined, choices: 1, kinds }, limited };
  }
  // 16 is the least that OpenAI's responses take.
  const lowest = (family === "openai" ? 16 : 1) + more;
  return {
    asked: { limit: limit === undefined ? undefined : limit + more, lowest, choices: 1, kinds },
    limited,
  };
}

/** Tokens of Claude's thinking, which the SDK adds to the limit; undefined if it chooses them. */
function thinking({ reasoning }: Json, options: Json): number | undefined {
  const { type, budgetTokens } = part(options, "thinking");
  if (type === "enabled") return typeof budgetTokens === "number" ? budgetTokens : 1024;
  const off = ["provider-default", "none"].includes(String(reasoning ?? "none"));
  return off || type !== undefined ? 0 : undefined;
}

function modalities({ responseModalities }: Json): string[] {
  const names = list(responseModalities).map((each) => String(each).toLowerCase());
  return ["audio", "image"].filter((each) => names.includes(each)).map((each) => `output_${each}`);
}

const readEmbedding: Read = (_model, { values }) => ({
  asked: {
    variant: "standard",
    input: { text: undefined, passes: 1, kinds: ["input"] },
    output: { limit: 0, lowest: undefined, choices: 1, kinds: [] },
    fees: {},
  },
  // Each of the texts may fill the window.
  counted: tokensAtMost(JSON.stringify(values)),
  operation: "embeddings",
  limited: () => ({}),
});

const readImage: Read = (model, { prompt, n, files, mask }) => {
  if (model.modelId.startsWith("dall-e")) {
    throw new NotSent("no_usage", `${model.modelId} does not report what it used`);
  }
  const edits = list(files).length > 0 || (mask !== undefined && mask !== null);
  return {
    asked: {
      variant: "standard",
      input: {
        text: edits ? undefined : JSON.stringify(prompt ?? ""),
        passes: 1,
        kinds: edits ? ["input", "input_image"] : ["input"],
      },
      output: {
        limit: undefined,
        lowest: undefined,
        choices: typeof n === "number" && n >= 1 ? n : 1,
        kinds: ["output", "output_image"],
      },
      fees: {},
    },
    counted: undefined,
    operation: "generate_content",
    limited: () => ({}),
  };
};
