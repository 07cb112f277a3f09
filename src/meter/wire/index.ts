import { anthropicMessages } from "./anthropic-messages.ts";
import { geminiEmbed, geminiGenerate } from "./gemini.ts";
import { openaiSpeech, openaiTranscriptions } from "./openai-audio.ts";
import { openaiChat } from "./openai-chat.ts";
import { openaiEmbeddings } from "./openai-embeddings.ts";
import { openaiImages } from "./openai-images.ts";
import { openaiResponses } from "./openai-responses.ts";
import { providerOf } from "./providers.ts";
import {
  type Dialect,
  type ErrorForm,
  type Exchange,
  type FreeCall,
  type MeteredCall,
  NotSent,
  type Refusal,
  type WireOptions,
} from "./types.ts";

export { type RefusedAnswer, refusalResponse } from "./refusal.ts";
export type * from "./types.ts";

const DIALECTS: readonly Dialect[] = [
  openaiChat,
  openaiResponses,
  openaiEmbeddings,
  openaiImages,
  openaiTranscriptions,
  openaiSpeech,
  anthropicMessages,
  geminiGenerate,
  geminiEmbed,
];

/** Methods that make nothing. */
const FREE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "DELETE"]);
/** Paths that only count, or judge a text, without a charge. */
const FREE_PATHS =
  /\/messages\/count_tokens$|\/responses\/input_tokens$|:countTokens$|\/moderations$/;

/** What a request asks for, or why it must not be sent. */
export async function readCall(
  exchange: Exchange,
  options: WireOptions = {},
): Promise<MeteredCall | FreeCall | Refusal> {
  const { method, url } = exchange;
  if (FREE_METHODS.has(method)) return { is: "free" };
  if (method === "POST" && FREE_PATHS.test(url.pathname)) return { is: "free" };
  const dialect = DIALECTS.find(({ matches }) => matches(url.pathname));
  if (method !== "POST" || !dialect) {
    return refuse(errorForm(url), "not_metered", `${method} ${url.pathname} is not metered`);
  }
  const known = providerOf(url);
  const provider = options.provider ?? known?.provider;
  if (provider === undefined) {
    return refuse(dialect.errors, "unknown_provider", `the provider of ${url.host} is not known`);
  }
  try {
    const region = known?.region;
    return await dialect.read({ ...exchange, provider, region, fields: options.fields ?? [] });
  } catch (error) {
    if (error instanceof NotSent) return refuse(dialect.errors, error.code, error.message);
    throw error;
  }
}

/** The form of errors that whoever calls this address expects. */
export function errorForm(url: URL): ErrorForm {
  const provider = providerOf(url)?.provider;
  if (provider === "anthropic" || /\/v1\/messages\b/.test(url.pathname)) return "anthropic";
  return provider === "google" || /\/v1(?:alpha|beta)\w*\//.test(url.pathname)
    ? "gemini"
    : "openai";
}

function refuse(errors: ErrorForm, code: Refusal["code"], message: string): Refusal {
  return { is: "refused", code, message, errors };
}
