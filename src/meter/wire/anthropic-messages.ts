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
  `max_tokens messages model cache_control inference_geo metadata output_config output_format service_tier
  speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p
  user_profile_id`.split(/\s+/),
);

/** Tools that the caller runs. */
const OWN_TOOL = /^(?:custom|(?:bash|text_editor|memory|computer)_\d{8})$/;
/** Tools that the provider runs, with the kind of their fee. */
const HOSTED_TOOLS: readonly (readonly [RegExp, string | undefined])[] = [
  [/^web_search_\d{8}$/, "web_searches"],
  // costs tokens only
  [/^web_fetch_\d{8}$/, undefined],
];

const TEXT_BLOCKS = new Set([
  "text",
  "thinking",
  "redacted_thinking",
  "tool_use",
  "server_tool_use",
]);

/** Anthropic's messages. */
export const anthropicMessages: Dialect = {
  name: "anthropic-messages",
  errors: "anthropic",
  matches: (path) => path.endsWith("/messages"),
  read(request) {
    const body = readBody(request.body, KNOWN, request.fields);
    const name = requireText(body, "model");
    const stream = isOn(body, "stream");
    const limit = optionalCount(body, "max_tokens");
    if (limit === undefined) throw new NotSent("unreadable", "max_tokens is missing");
    const { fees, calls } = hostedTools(body);
    const writes = cacheWrites(body);
    const asked = variantIn(body);
    return {
      is: "metered",
      dialect: "anthropic-messages",
      model: `${request.provider}/${name}`,
      variant: asked,
      stream,
      input: {
        text: isText(body) && calls === 0 ? new TextDecoder().decode(request.body) : undefined,
        passes: 1 + calls,
        kinds: writes === undefined ? ["input"] : ["input", "cache_write", writes],
      },
      output: {
        limit,
        // Thinking takes part of the limit, which has to be above it.
        lowest: 1 + (optionalCount(part(body, "thinking"), "budget_tokens") ?? 0),
        choices: 1,
        kinds: ["output"],
      },
      fees,
      send: (lower) =>
        lower === undefined ? request.body : JSON.stringify({ ...body, max_tokens: lower }),
      reader: (streamed = stream) =>
        messagesReader({ streamed, asked, writes: writes ?? "cache_write_5m", grows: calls > 0 }),
    };
  },
};

/** The variant that a request asks for, or that usage reports: both have the same fields. */
function variantIn(fields: Json): string {
  return variantOf(
    deviation(fields.service_tier, ["auto", "standard_only", "standard"]),
    deviation(fields.speed, ["standard"]),
    deviation(fields.inference_geo, ["global", "not_available"]),
  );
}

function hostedTools(body: Json): { fees: Kinds; calls: number } {
  const fees: Record<string, number> = {};
  let calls = 0;
  for (const tool of list(body.tools)) {
    const type = isObject(tool) ? String(tool.type ?? "custom") : "undefined";
    if (OWN_TOOL.test(type)) continue;
    const hosted = HOSTED_TOOLS.find(([known]) => known.test(type));
    if (!hosted) throw new NotSent("unsupported_tool", `the tool ${type} has no price`);
    const most = isObject(tool) ? optionalCount(tool, "max_uses") : undefined;
    if (most === undefined) {
      throw new NotSent("unsupported_tool", `the tool ${type} needs max_uses as a bound`);
    }
    calls += most;
    const [, kind] = hosted;
    if (kind !== undefined) fees[kind] = (fees[kind] ?? 0) + most;
  }
  return { fees, calls };
}

/** The dearest kind of write to the cache that the body asks for; undefined if none. */
function cacheWrites(body: Json): string | undefined {
  const controls: unknown[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isObject(value)) return;
    if (value.cache_control != null) controls.push(value.cache_control);
    Object.values(value).forEach(visit);
  };
  visit(body);
  if (controls.length === 0) return undefined;
  const short = controls.every((each) => isObject(each) && (each.ttl ?? "5m") === "5m");
  return short ? "cache_write_5m" : "cache_write_1h";
}

function isText(body: Json): boolean {
  return isTextContent(body.system) && list(body.messages).every(isTextMessage);
}

function isTextMessage(message: unknown): boolean {
  return isObject(message) && isTextContent(message.content);
}

/** A text, or blocks of text; those of tools count by their bytes, as they are in the body. */
function isTextContent(content: unknown): boolean {
  return list(content).every((block) => {
    if (!isObject(block)) return false;
    if (block.type === "tool_result") return isTextContent(block.content);
    return TEXT_BLOCKS.has(String(block.type));
  });
}

interface Asked {
  readonly streamed: boolean;
  readonly asked: string;
  /** The kind of writes whose duration is not reported. */
  readonly writes: string;
  /** Whether the input grows while the provider runs tools. */
  readonly grows: boolean;
}

function messagesReader({ streamed, asked, writes, grows }: Asked): Reader {
  /** Counts are cumulative, and later ones may be left out. */
  let usage: Json | undefined;
  let ended = false;
  let error: string | undefined;
  return {
    read(message) {
      if (!isObject(message)) return true;
      error = errorOf(message) ?? error;
      const inner = isObject(message.message) ? message.message : message;
      if (part(message, "delta").stop_reason != null) ended = isObject(inner.usage);
      if (isObject(inner.usage)) usage = merge(usage, inner.usage);
      return true;
    },
    report: () => {
      const kinds = usage && messageKinds(usage, writes);
      return {
        kinds,
        complete: kinds !== undefined && (!streamed || ended),
        inputKnown: kinds !== undefined && !grows,
        variant: usage ? reportedVariant(usage, asked) : asked,
        error,
      };
    },
  };
}

/** What the answer says of tier, speed and place; what it does not say is as asked for. */
export function reportedVariant(usage: Json, asked: string): string {
  const says = ["service_tier", "speed", "inference_geo"].some((field) => usage[field] != null);
  return says ? variantIn(usage) : asked;
}

function merge(before: Json = {}, now: Json): Json {
  const said = Object.entries(now).filter(([, value]) => value !== null && value !== undefined);
  return { ...before, ...Object.fromEntries(said) };
}

/** Disjoint counts; writes to the cache without a duration count as `writes`. */
export function messageKinds(usage: Json, writes = "cache_write_5m"): Kinds | undefined {
  const by = part(usage, "cache_creation");
  const short = count(by.ephemeral_5m_input_tokens);
  const long = count(by.ephemeral_1h_input_tokens);
  // Writes without a duration count as the dearest that was asked for.
  const other = Math.max(count(usage.cache_creation_input_tokens) - short - long, 0);
  const written: Record<string, number> = { cache_write_5m: short, cache_write_1h: long };
  written[writes] = (written[writes] ?? 0) + other;
  return kindsOf({
    input: count(usage.input_tokens),
    cache_read: count(usage.cache_read_input_tokens),
    ...written,
    output: count(usage.output_tokens),
    web_searches: count(part(usage, "server_tool_use").web_search_requests),
  });
}
