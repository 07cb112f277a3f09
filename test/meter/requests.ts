// Requests of the SDKs, and what the dialects read of them.
import {
  type MeteredCall,
  type Refusal,
  type Report,
  readCall,
  type WireOptions,
} from "../../src/meter/wire/index.ts";

export const OPENAI = "https://api.openai.com/v1";
export const CHAT = `${OPENAI}/chat/completions`;
export const RESPONSES = `${OPENAI}/responses`;
export const MESSAGES = "https://api.anthropic.com/v1/messages";
export const GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro";
export const GENERATE = `${GEMINI}:generateContent`;

export const messages = [{ role: "user", content: "Hello" }];
export const chat = { model: "gpt-5", messages };
export const response = { model: "gpt-5", input: "Hello" };
export const message = { model: "claude-haiku-4-5", max_tokens: 1000, messages };
export const contents = [{ role: "user", parts: [{ text: "Hello" }] }];

export type Body = object | string | FormData;

export async function read(url: string, body: Body, options: WireOptions = {}, method = "POST") {
  const plain = typeof body === "string" || body instanceof FormData ? body : JSON.stringify(body);
  const request = new Request(url, { method, ...(method === "GET" ? {} : { body: plain }) });
  const bytes = new Uint8Array(await request.arrayBuffer());
  return readCall({ method, url: new URL(url), headers: request.headers, body: bytes }, options);
}

export async function metered(
  url: string,
  body: Body,
  options?: WireOptions,
): Promise<MeteredCall> {
  const call = await read(url, body, options);
  if (call.is !== "metered") throw new Error(call.is === "refused" ? call.message : call.is);
  return call;
}

export async function refused(url: string, body: Body, options?: WireOptions): Promise<Refusal> {
  const call = await read(url, body, options);
  if (call.is !== "refused") throw new Error(`${url} was not refused`);
  return call;
}

/** What a call's reader reports of these messages. */
export async function reportOf(
  url: string,
  body: Body,
  answer: readonly object[],
  streamed?: boolean,
): Promise<Report> {
  const reader = (await metered(url, body)).reader(streamed);
  for (const each of answer) reader.read(each);
  return reader.report();
}

export const sent = (call: MeteredCall, limit?: number) => {
  const body = call.send(limit);
  return JSON.parse(typeof body === "string" ? body : Buffer.from(body).toString());
};
