import { PLAIN_TIERS } from "./openai-chat.ts";
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
  `background conversation include input instructions max_output_tokens max_tool_calls metadata model
  parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options
  prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature
  text tool_choice tools top_logprobs top_p truncation user`.split(/\s+/),
);

/** Tools that the caller runs: their definitions stand in the body, and nothing else costs. */
const OWN_TOOLS = new Set(["function", "custom", "local_shell", "apply_patch"]);

/** Tools that the provider runs, with the kind of their fee. */
const HOSTED_TOOLS: Readonly<Record<string, string | undefined>> = {
  web_search: "web_searches",
  web_search_2025_08_26: "web_searches",
  file_search: "file_searches",
  // costs tokens only
  mcp: undefined,
};

/** Items of the input whose text is all there is to read. */
const TEXT_ITEMS = new Set([
  "function_call",
  "function_call_output",
  "custom_tool_call",
  "custom_tool_call_output",
  "local_shell_call",
  "local_shell_call_output",
  "apply_patch_call",
  "apply_patch_call_output",
]);
const TEXT_PARTS = new Set(["input_text", "output_text", "refusal", "text"]);

/** OpenAI's responses. */
export const openaiResponses: Dialect = {
  name: "openai-responses",
  errors: "openai",
  matches: (path) => path.endsWith("/responses"),
  read(request) {
    const body = readBody(request.body, KNOWN, request.fields);
    const name = requireText(body, "model");
    const stream = isOn(body, "stream");
    if (isOn(body, "background")) {
      throw new NotSent("no_usage", "the answer to a request in the background has no usage");
    }
    const { fees, calls } = hostedTools(body);
    const variant = variantOf(
      deviation(body.service_tier, PLAIN_TIERS),
      deviation(part(body, "reasoning").mode, ["standard"]),
      request.region,
    );
    const limit = optionalCount(body, "max_output_tokens");
    return {
      is: "metered",
      dialect: "openai-responses",
      model: `${request.provider}/${name}`,
      variant,
      stream,
      input: {
        text: isText(body) && calls === 0 ? new TextDecoder().decode(request.body) : undefined,
        passes: 1 + calls,
        kinds: ["input", "cache_write", "cache_write_12h"],
      },
      output: { limit, lowest: 16, choices: 1, kinds: ["output"] },
      fees,
      send: (lower) =>
        lower === undefined ? request.body : JSON.stringify({ ...body, max_output_tokens: lower }),
      reader: () => responsesReader({ variant, fees, region: request.region, body }),
    };
  },
};

/** The fees of hosted tools, and how often the model can be called again after them. */
function hostedTools(body: Json): { fees: Kinds; calls: number } {
  const kinds = new Set<string>();
  let hosted = false;
  for (const tool of list(body.tools)) {
    const type = isObject(tool) ? String(tool.type) : "undefined";
    if (OWN_TOOLS.has(type)) continue;
    if (!Object.hasOwn(HOSTED_TOOLS, type)) {
      throw new NotSent("unsupported_tool", `the tool ${type} has no price`);
    }
    hosted = true;
    const kind = HOSTED_TOOLS[type];
    if (kind !== undefined) kinds.add(kind);
  }
  if (!hosted) return { fees: {}, calls: 0 };
  const most = optionalCount(body, "max_tool_calls");
  if (most === undefined) {
    throw new NotSent("unsupported_tool", "tools of the provider's need max_tool_calls as a bound");
  }
  return { fees: Object.fromEntries([...kinds].map((kind) => [kind, most])), calls: most };
}

/** Whether the whole input stands in the body as text. */
function isText(body: Json): boolean {
  const refers = ["previous_response_id", "conversation", "prompt"].some(
    (name) => body[name] != null,
  );
  if (refers) return false;
  return typeof body.input === "string" || list(body.input).every(isTextItem);
}

function isTextItem(item: unknown): boolean {
  if (!isObject(item)) return false;
  const { type = "message" } = item;
  // A reasoning item without its content is read from what the provider has stored.
  if (type === "reasoning") return typeof item.encrypted_content === "string";
  if (type !== "message" && !TEXT_ITEMS.has(String(type))) return false;
  return [item.content, item.output].every((content) =>
    list(content).every((each) => isObject(each) && TEXT_PARTS.has(String(each.type))),
  );
}

interface Asked {
  readonly variant: string;
  readonly fees: Kinds;
  readonly region: string | undefined;
  readonly body: Json;
}

const ENDS = new Set(["response.completed", "response.incomplete", "response.failed"]);

function responsesReader({ variant, fees, region, body }: Asked): Reader {
  let kinds: Kinds | undefined;
  let reported: string | undefined;
  let error: string | undefined;
  return {
    read(message) {
      if (!isObject(message)) return true;
      if (message.type === "error") error = errorOf(message) ?? String(message.message);
      const response = isObject(message.response) ? message.response : message;
      error = errorOf(response) ?? error;
      const whole = message.object === "response" || ENDS.has(String(message.type));
      if (!whole || !isObject(response.usage)) return true;
      kinds = responseKinds(response, fees);
      reported = variantOf(
        deviation(response.service_tier ?? body.service_tier, PLAIN_TIERS),
        deviation(part(body, "reasoning").mode, ["standard"]),
        region,
      );
      return true;
    },
    report: () => ({
      kinds,
      complete: kinds !== undefined,
      inputKnown: kinds !== undefined,
      variant: reported ?? variant,
      error,
    }),
  };
}

/** Disjoint counts: cached and written tokens are within those of the input. */
export function responseKinds(response: Json, fees: Kinds): Kinds | undefined {
  const usage = part(response, "usage");
  const details = part(usage, "input_tokens_details");
  const input = count(usage.input_tokens);
  const cached = Math.min(count(details.cached_tokens), input);
  const written = Math.min(count(details.cache_write_tokens), input - cached);
  const lasting = Math.min(
    count(part(details, "cache_write_tokens_details").ttl_12h_tokens),
    written,
  );
  return kindsOf({
    input: input - cached - written,
    cache_read: cached,
    cache_write: written - lasting,
    cache_write_12h: lasting,
    output: count(usage.output_tokens),
    ...toolKinds(response, fees),
  });
}

/** What hosted tools did: as counted by the provider, and by the items of the answer. */
function toolKinds(response: Json, fees: Kinds): Kinds {
  const made = (type: string) =>
    list(response.output).filter(
      // Opening a page that was found, or looking into it, has no fee.
      (item) =>
        isObject(item) &&
        item.type === type &&
        !["open_page", "find_in_page", "find"].includes(String(part(item, "action").type)),
    ).length;
  const searches = count(part(part(response, "tool_usage"), "web_search").num_requests);
  return {
    ...(("web_searches" in fees || searches > 0) && {
      web_searches: Math.max(searches, made("web_search_call")),
    }),
    ...("file_searches" in fees && { file_searches: made("file_search_call") }),
  };
}
