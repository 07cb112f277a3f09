// Streams as the fake provider sends them, cut by the network wherever it may: the caller sees the same bytes, and
// metering the same usage.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tap } from "../../src/meter/sse.ts";
import { type MeteredCall, type Report, readCall } from "../../src/meter/wire/index.ts";
import { type FakeProvider, type Faults, startFakeProvider } from "../support/fake-provider.ts";

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider();
});
afterAll(() => fake[Symbol.asyncDispose]());

const messages = [{ role: "user", content: "Hello" }];
const requests: readonly (readonly [string, string, object])[] = [
  ["openai", "/v1/chat/completions", { model: "gpt-5", messages, stream: true }],
  ["openai", "/v1/responses", { model: "gpt-5", input: "Hello", stream: true }],
  [
    "anthropic",
    "/v1/messages",
    { model: "claude-haiku-4-5", max_tokens: 9, messages, stream: true },
  ],
  [
    "google",
    "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    { contents: [{ parts: [{ text: "Hello" }] }] },
  ],
];
const forms: readonly Faults[] = [
  {},
  { newline: "\r\n", multiline: true, noise: true },
  { newline: "\r" },
];

const cases = requests.flatMap(([provider, path, body]) =>
  forms.map((faults) => ({ provider, path, body, faults })),
);

describe.each(cases)("$path $faults", ({ provider, path, body, faults }) => {
  let call: MeteredCall;
  let answer: Buffer;
  let whole: { passed: Buffer; report: Report };

  beforeAll(async () => {
    const url = new URL(path, fake.url);
    const bytes = Buffer.from(JSON.stringify(body));
    const read = await readCall(
      { method: "POST", url, headers: new Headers(), body: bytes },
      { provider },
    );
    if (read.is !== "metered") throw new Error(read.is);
    call = read;
    const headers = { "x-fake": JSON.stringify(faults) };
    const response = await fetch(url, { method: "POST", headers, body: call.send() });
    answer = Buffer.from(await response.arrayBuffer());
    whole = await pass([answer]);
    expect(whole.report).toMatchObject({ complete: true, kinds: { output: 300 } });
  });

  async function pass(chunks: readonly Uint8Array[]): Promise<typeof whole> {
    const reader = call.reader();
    const from = chunks.values();
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        const { done, value } = from.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    });
    const { stream } = tap(source, {
      event: (data) => data === "[DONE]" || reader.read(JSON.parse(data)),
      ended: () => undefined,
      hides: call.dialect === "openai-chat",
    });
    const parts: Uint8Array[] = [];
    for await (const part of stream) parts.push(part);
    return { passed: Buffer.concat(parts), report: reader.report() };
  }

  test("cut in two at every byte", async () => {
    for (let at = 0; at <= answer.length; at++) {
      expect(await pass([answer.subarray(0, at), answer.subarray(at)])).toEqual(whole);
    }
  });

  test("cut at many places", async () => {
    const places = fc.uniqueArray(fc.nat(answer.length), { maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(places, async (unsorted) => {
        const at = [0, ...unsorted.sort((a, b) => a - b), answer.length];
        expect(await pass(at.slice(1).map((to, i) => answer.subarray(at[i], to)))).toEqual(whole);
      }),
    );
  });

  test("only the usage that was not asked for is taken out", () => {
    const text = answer.toString();
    const passed = whole.passed.toString();
    if (call.dialect !== "openai-chat") expect(passed).toBe(text);
    else
      expect([text.includes("prompt_tokens"), passed.includes("prompt_tokens")]).toEqual([
        true,
        false,
      ]);
  });
});
