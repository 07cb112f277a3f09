import { reportsAllFees, reportsOnRequest } from "./providers.ts";
import {
  count,
  deviation,
  errorOf,
  isObject,
  isOn,
  kindsOf,
  list,
  optionalCount,
  part,
  readBody,
  requireText,
  variantOf,
} from "./read.ts";
import { type Dialect, type Json, type Kinds, NotSent, type Reader } from "./types.ts";

const KNOWN = new Set(
  `messages model audio frequency_penalty function_call functions logit_bias logprobs
  max_completion_tokens max_tokens metadata modalities n parallel_tool_calls presence_penalty
  prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format
  safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools
  top_logprobs top_p user verbosity web_search_options`.split(/\s+/),
);

/** What compatible servers understand beside it, none of which costs by itself. */
const KNOWN_ELSEWHERE = new Set(
  `${[...KNOWN].join(" ")} top_k top_a min_p repetition_penalty random_seed safe_prompt thinking reasoning
  reasoning_format include_reasoning enable_thinking chat_template_kwargs guided_json guided_regex
  guided_choice guided_grammar ignore_eos min_tokens stop_token_ids skip_special_tokens`.split(
    /\s+/,
  ),
);

/** Tiers that are the standard one under another name. */
export const PLAIN_TIERS = ["auto", "default", "standard", "on_demand"];

/** OpenAI's chat completions, and servers compatible with them. */
export const openaiChat: Dialect = {
  name: "openai-chat",
  errors: "openai",
  matches: (path) => path.endsWith("/chat/completions"),
  read(request) {
    const own = request.provider === "openai";
    const body = readBody(request.body, own ? KNOWN : KNOWN_ELSEWHERE, request.fields);
    const name = requireText(body, "model");
    if (!reportsAllFees(request.provider)) {
      throw new NotSent("no_usage", `${request.provider} has fees that it does not report`);
    }
    const stream = isOn(body, "stream");
    const hides = stream && part(body, "stream_options").include_usage !== true;
    const asks = hides && reportsOnRequest(request.provider);
    const choices = optionalCount(body, "n") ?? 1;
    const limits = ["max_completion_tokens", "max_tokens"].filter((field) => body[field] != null);
    const most = limits.map((field) => optionalCount(body, field) ?? 1);
    const variant = variantOf(deviation(body.service_tier, PLAIN_TIERS), request.region);
    const speaks = list(body.modalities).includes("audio") || isObject(body.audio);
    const media = mediaOf(body);
    // Models of search search once for each call, whether it has options for that or not.
    const searches = isObject(body.web_search_options) || /-search\b/.test(name) ? 1 : 0;
    requireOwnTools(body);
    const text =
      media.size > 0 || searches > 0 ? undefined : new TextDecoder().decode(request.body);
    const listens = media.has("input_audio") || media.has("audio");
    return {
      is: "metered",
      dialect: "openai-chat",
      model: `${request.provider}/${name}`,
      variant,
      stream,
      input: {
        text,
        passes: 1,
        kinds: ["input", "cache_write", "cache_write_12h", ...(listens ? ["input_audio"] : [])],
      },
      output: {
        limit: most.length > 0 ? Math.max(...most) : undefined,
        lowest: 1,
        choices,
        kinds: speaks ? ["output", "output_audio"] : ["output"],
      },
      fees: searches > 0 ? { web_searches: searches } : {},
      send(limit) {
        if (limit === undefined && !asks) return request.body;
        const limited = limits.length > 0 ? limits : [own ? "max_completion_tokens" : "max_tokens"];
        return JSON.stringify({
          ...body,
          ...(limit !== undefined && Object.fromEntries(limited.map((field) => [field, limit]))),
          ...(asks && { stream_options: { ...part(body, "stream_options"), include_usage: true } }),
        });
      },
      reader: (streamed = stream) =>
        chatReader({ streamed, hides: asks, choices, variant, searches, region: request.region }),
    };
  },
};

interface Asked {
  readonly streamed: boolean;
  /** Whether the chunk with usage was not asked for by the caller. */
  readonly hides: boolean;
  readonly choices: number;
  readonly variant: string;
  readonly searches: number;
  readonly region: string | undefined;
}

function chatReader({ streamed, hides, choices, variant, searches, region }: Asked): Reader {
  let kinds: Kinds | undefined;
  let last = false;
  let tier: string | undefined;
  let error: string | undefined;
  const finished = new Set<unknown>();
  return {
    read(message) {
      if (!isObject(message)) return true;
      const answers = list(message.choices);
      for (const each of answers) {
        if (isObject(each) && each.finish_reason != null) finished.add(each.index);
      }
      error = errorOf(message) ?? error;
      if (typeof message.service_tier === "string") {
        tier = variantOf(deviation(message.service_tier, PLAIN_TIERS), region);
      }
      const usage = isObject(message.usage) ? message.usage : part(message.x_groq, "usage");
      if (Object.keys(usage).length === 0) return true;
      kinds = chatKinds(usage, searches);
      last = answers.length === 0;
      return !(hides && last);
    },
    report: () => ({
      kinds,
      complete: kinds !== undefined && (!streamed || last || finished.size >= choices),
      inputKnown: kinds !== undefined && searches === 0,
      variant: tier ?? variant,
      error,
    }),
  };
}

/** Disjoint counts: cached and written tokens, and those of sound, are within those of the prompt. */
export function chatKinds(usage: Json, searches = 0): Kinds | undefined {
  const details = part(usage, "prompt_tokens_details");
  const prompt = count(usage.prompt_tokens);
  const sound = count(details.audio_tokens);
  // Which of the sound was cached is not reported: it counts as not cached.
  const cached = Math.min(
    count(details.cached_tokens ?? usage.prompt_cache_hit_tokens),
    prompt - sound,
  );
  const written = Math.min(count(details.cache_write_tokens), prompt - sound - cached);
  const spoken = count(part(usage, "completion_tokens_details").audio_tokens);
  return kindsOf({
    input: prompt - sound - cached - written,
    cache_read: cached,
    cache_write: written,
    input_audio: sound,
    output: count(usage.completion_tokens) - spoken,
    output_audio: spoken,
    web_searches: searches,
  });
}

/** The types of the parts of messages that are no text. */
function mediaOf(body: Json): ReadonlySet<string> {
  const types = new Set<string>();
  for (const message of list(body.messages)) {
    if (!isObject(message)) throw new NotSent("unreadable", "a message is not an object");
    // Refers to sound of an earlier answer.
    if (isObject(message.audio)) types.add("audio");
    for (const each of list(message.content)) {
      const type = isObject(each) ? each.type : undefined;
      if (type !== "text" && type !== "refusal") types.add(String(type));
    }
  }
  return types;
}

function requireOwnTools(body: Json): void {
  for (const tool of list(body.tools)) {
    const type = isObject(tool) ? tool.type : undefined;
    if (type === "function" || type === "custom") continue;
    throw new NotSent("unsupported_tool", `the tool ${String(type)} has no price`);
  }
}
