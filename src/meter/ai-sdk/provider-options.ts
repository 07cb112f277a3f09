import { isObject } from "../wire/read.ts";
import { type Json, NotSent } from "../wire/types.ts";
import type { AiModel } from "./types.ts";

/** Whose options a provider reads. */
export type Family = "openai" | "anthropic" | "google" | "other";

/** Options of providers that cost nothing, or that are counted. */
const KNOWN: Readonly<Record<Family, ReadonlySet<string>>> = {
  openai: words(`allowedTools background conversation dimensions forceReasoning imageDetail include
    includeWebSearchSources inputFidelity instructions logitBias logprobs maxCompletionTokens maxToolCalls
    metadata moderation outputCompression outputFormat parallelToolCalls passThroughUnsupportedFiles
    previousResponseId promptCacheKey promptCacheOptions promptCacheRetention quality reasoningEffort
    reasoningSummary safetyIdentifier serviceTier store strictJsonSchema strictSchemas
    structuredOutputs style suffix systemMessageMode textVerbosity truncation user`),
  anthropic: words(`cacheControl disableParallelToolUse effort inferenceGeo metadata sendReasoning
    serviceTier speed structuredOutputMode thinking toolStreaming`),
  google:
    words(`audioTimestamp cachedContent imageConfig labels mediaResolution outputDimensionality
    responseModalities retrievalConfig safetySettings serviceTier streamFunctionCallArguments
    structuredOutputs taskType thinkingConfig`),
  other: words("dimensions reasoningEffort strictJsonSchema textVerbosity user"),
};

/** Whose options a model reads, by its provider: `openai.responses`, `google.generative-ai` … */
export function familyOf({ provider }: AiModel): Family {
  const segments = provider.split(".");
  const has = (name: string) => segments.includes(name);
  if (has("anthropic")) return "anthropic";
  if (has("openai") || has("azure") || has("azure-openai")) return "openai";
  return has("google") || has("vertex") ? "google" : "other";
}

/** The options that a model reads, merged; those whose cost is unknown are turned down. */
export function readOptions(model: AiModel, options: unknown, fields: readonly string[]): Json {
  const family = familyOf(model);
  const merged: Record<string, unknown> = {};
  for (const [name, own] of Object.entries(isObject(options) ? options : {})) {
    // Options for other providers, which a call may have, too, are not read by this one.
    if (name === "baseledger" || (Object.hasOwn(KNOWN, name) && name !== family)) continue;
    for (const [option, value] of Object.entries(isObject(own) ? own : {})) {
      if (value === undefined || value === null) continue;
      if (!KNOWN[family].has(option) && !fields.includes(option)) {
        const where = `providerOptions.${name}.${option}`;
        throw new NotSent("not_understood", `the cost of ${where} is unknown`);
      }
      merged[option] = value;
    }
  }
  return merged;
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/));
}
