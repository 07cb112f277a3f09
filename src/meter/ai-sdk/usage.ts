import { messageKinds, reportedVariant } from "../wire/anthropic-messages.ts";
import { geminiKinds, geminiTier } from "../wire/gemini.ts";
import { chatKinds, PLAIN_TIERS } from "../wire/openai-chat.ts";
import { responseKinds } from "../wire/openai-responses.ts";
import { count, deviation, isObject, kindsOf, part, variantOf } from "../wire/read.ts";
import type { Json, Kinds } from "../wire/types.ts";
import { familyOf } from "./provider-options.ts";
import type { AiRequest } from "./request.ts";
import type { AiModel } from "./types.ts";

/** What an answer says that it used. */
export interface AiUsage {
  /** Undefined if it does not say, or only a part. */
  readonly kinds: Kinds | undefined;
  /** That of the request, unless the answer says another. */
  readonly variant: string;
}

/**
 * Reads the usage of an answer, or of the part `finish` of a stream: what the provider has said, where the
 * SDK hands it on, as the SDK leaves out kinds of its own; else the SDK's sums.
 */
export function usageOf(model: AiModel, { asked }: AiRequest, answer: Json): AiUsage {
  const usage = part(answer, "usage");
  const raw = rawOf(usage, answer.providerMetadata);
  const variant = variantOfAnswer(raw, answer.providerMetadata, asked.variant);
  if (asked.output.kinds.length === 0) return { variant, kinds: tokenKinds(usage.tokens) };
  if (raw) return { variant, kinds: rawKinds(model, raw, asked) };
  const images = asked.output.kinds[1] === "output_image" && typeof usage.inputTokens !== "object";
  return { variant, kinds: images ? imageKinds(usage, asked.input.kinds) : sums(model, usage) };
}

/** What the provider has said. */
function rawOf(usage: Json, metadata: unknown): Json | undefined {
  const found = [
    usage.raw,
    // Where V2 has it.
    part(part(metadata, "anthropic"), "usage"),
    part(part(metadata, "google"), "usageMetadata"),
  ].find((each) => isObject(each) && Object.keys(each).length > 0);
  const raw = found as Json | undefined;
  return raw && ["prompt_tokens", "input_tokens", "promptTokenCount"].some((name) => name in raw)
    ? raw
    : undefined;
}

function rawKinds(model: AiModel, raw: Json, { fees, input }: AiRequest["asked"]) {
  if ("promptTokenCount" in raw) return geminiKinds(raw);
  if ("prompt_tokens" in raw) return chatKinds(raw, fees.web_searches);
  if (!isAnthropic(model, raw)) return responseKinds({ usage: raw }, {});
  return messageKinds(
    raw,
    input.kinds.find((kind) => /^cache_write_/.test(kind)),
  );
}

function isAnthropic(model: AiModel, raw: Json): boolean {
  return familyOf(model) === "anthropic" || "cache_creation_input_tokens" in raw;
}

function variantOfAnswer(raw: Json | undefined, metadata: unknown, asked: string): string {
  if (raw && "promptTokenCount" in raw) return geminiTier(raw) ?? asked;
  const tier = part(metadata, "openai").serviceTier;
  if (typeof tier === "string") return variantOf(deviation(tier, PLAIN_TIERS));
  return raw && !("prompt_tokens" in raw) ? reportedVariant(raw, asked) : asked;
}

/** The sums of the SDK: of V3 and V4, or of V2. */
function sums(model: AiModel, usage: Json): Kinds | undefined {
  const input = part(usage, "inputTokens");
  const output = part(usage, "outputTokens");
  if (typeof input.total === "number" && typeof output.total === "number") {
    const read = count(input.cacheRead);
    const written = count(input.cacheWrite);
    const rest = Math.max(count(input.total) - read - written, 0);
    return kindsOf({
      input: input.noCache === undefined ? rest : count(input.noCache),
      cache_read: read,
      cache_write: written,
      output: count(output.total),
    });
  }
  if (typeof usage.inputTokens !== "number" || typeof usage.outputTokens !== "number") return;
  const cached = count(usage.cachedInputTokens);
  // Whether these are within the others depends on the provider: where that is not known, they count twice.
  const within = familyOf(model) === "openai" || familyOf(model) === "google" ? cached : 0;
  return kindsOf({
    input: Math.max(count(usage.inputTokens) - within, 0),
    cache_read: cached,
    output: count(usage.outputTokens),
  });
}

/** All output is the image, and with images in the input all of that is, too: the dearer kinds. */
function imageKinds({ inputTokens, outputTokens }: Json, kinds: readonly string[]) {
  if (typeof inputTokens !== "number" || typeof outputTokens !== "number") return undefined;
  const [kind = "input"] = kinds.slice(-1);
  return kindsOf({ [kind]: count(inputTokens), output_image: count(outputTokens) });
}

function tokenKinds(tokens: unknown): Kinds | undefined {
  return typeof tokens === "number" ? kindsOf({ input: count(tokens) }) : undefined;
}

const UNFINISHED = new Set(["error", "interrupted", "other", "unknown"]);

/** Whether a stream ended as the provider meant it to; the SDK makes up an end for one that was cut. */
export function isFinished({ finishReason }: Json): boolean {
  if (!isObject(finishReason)) return !UNFINISHED.has(String(finishReason));
  const { unified, raw } = finishReason;
  return !UNFINISHED.has(String(unified)) || (unified === "other" && typeof raw === "string");
}
