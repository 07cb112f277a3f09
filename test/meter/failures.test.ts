// The table of failures: what is booked for a call, by the real SDKs against the fake provider, and that no hold
// is left.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { MeteredFetchOptions } from "../../src/meter/index.ts";
import { TEXT } from "../support/fake-answers.ts";
import { type Faults, startFakeProvider } from "../support/fake-provider.ts";
import { until } from "../support/until.ts";
import { type Client, count, fails, type Meter, MOST, SDKS, startMeter } from "./support.ts";

let meter: Meter;
beforeAll(async () => {
  meter = await startMeter();
});
afterAll(() => meter[Symbol.asyncDispose]());

describe.each(SDKS)("$name", (sdk) => {
  let wallet: string;
  beforeEach(async () => {
    wallet = await meter.wallet();
    meter.fake.faults = {};
    meter.fake.usage.messages = MESSAGES;
  });

  function client(more: Partial<MeteredFetchOptions> = {}, retries?: number): Client {
    const via = meter.fetch({ wallet, provider: sdk.provider, ...more });
    return sdk.client(meter.fake, via, retries);
  }

  /** Waits until nothing is held, and gives what is booked. */
  async function booked() {
    await until("no hold is left", async () => (await meter.books(wallet)).reserved === 0n);
    const { spent } = await meter.books(wallet);
    const ends = await meter.ends(wallet);
    expect(
      ends.reduce((sum, { event, amount }) => sum + (event === "settled" ? amount : 0n), 0n),
    ).toBe(spent);
    return {
      spent,
      ends: ends.map(({ event, basis, why }) => [event, basis ?? null, why ?? null]),
    };
  }

  /** Expects that all of the hold is booked. */
  async function expectWhole(why: string) {
    const { spent, ends } = await booked();
    const [hold] = await meter.holds(wallet);
    expect(ends).toEqual([["settled", "hold", why]]);
    expect(spent).toBe(hold);
  }

  async function expectExact() {
    expect(await booked()).toEqual({ spent: sdk.cost, ends: [["settled", "usage", null]] });
  }

  test("whole, and streamed", async () => {
    expect(await client().whole()).toBe(TEXT);
    await expectExact();
    expect(await count(client().stream())).toBeGreaterThan(2);
    const { spent, ends } = await booked();
    expect([spent, ends.length]).toEqual([2n * sdk.cost, 2]);
  });

  test("compressed, byte by byte", async () => {
    meter.fake.faults = { gzip: true, chunk: 1 };
    expect(await client().whole()).toBe(TEXT);
    await count(client().stream());
    expect((await booked()).spent).toBe(2n * sdk.cost);
  });

  test("aborted before it is sent", async () => {
    const seen = meter.fake.seen.length;
    await fails(client().whole(AbortSignal.abort()));
    await fails(count(client().stream(AbortSignal.abort())));
    // While it waits for funds that others hold.
    const { available } = await meter.ledger.balance({ walletId: wallet });
    const other = await meter.ledger.hold({ walletId: wallet, amount: available });
    const controller = new AbortController();
    const asked = client({ wait: 60 }).whole(controller.signal);
    setImmediate(() => controller.abort());
    await fails(asked);
    await other.cancel();
    const { spent } = await booked();
    expect([spent, meter.fake.seen.length]).toEqual([0n, seen]);
  });

  test("aborted before the answer", async () => {
    meter.fake.faults = { hang: true };
    const seen = meter.fake.seen.length;
    const controller = new AbortController();
    const asked = client().whole(controller.signal);
    await until("it is sent", () => meter.fake.seen.length > seen);
    controller.abort();
    await fails(asked);
    await expectWhole("aborted");
  });

  const stalled: Faults = { events: 5, repeat: 2, stall: true };

  /** Expects the exact input and the most output where the input is known, else the hold. */
  async function expectBound() {
    if (!sdk.saysInput) return expectWhole("aborted");
    expect(await booked()).toEqual({
      spent:
        sdk.provider === "anthropic"
          ? 50_000n + 5_000n * BigInt(MOST)
          : 614_000n + 10_000n * BigInt(MOST),
      ends: [["settled", "bound", "aborted"]],
    });
  }

  test("aborted in the stream", async () => {
    meter.fake.faults = stalled;
    meter.fake.usage.messages = PLAIN_MESSAGES;
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of client().stream(controller.signal)) controller.abort();
    })();
    await reading.catch(() => undefined);
    expect(await meter.fake.seen.at(-1)?.closedEarly).toBe(true);
    await expectBound();
  });

  // The others do not say that their reader has gone.
  test.skipIf(!/^(?:openai|anthropic)/.test(sdk.name))("left in the stream", async () => {
    meter.fake.faults = stalled;
    meter.fake.usage.messages = PLAIN_MESSAGES;
    for await (const _ of client().stream()) break;
    expect(await meter.fake.seen.at(-1)?.closedEarly).toBe(true);
    await expectBound();
  });

  test("aborted after the stream", async () => {
    const controller = new AbortController();
    await count(client().stream(controller.signal));
    controller.abort();
    await expectExact();
  });

  test("not read any more", async () => {
    const parts = client().stream()[Symbol.asyncIterator]();
    await parts.next();
    await expectExact();
  });

  test("drained after an abort", async () => {
    meter.fake.faults = { delay: 5 };
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of client({ abandoned: "drain" }).stream(controller.signal)) {
        controller.abort();
      }
    })();
    await reading.catch(() => undefined);
    await expectExact();
    expect(await meter.fake.seen.at(-1)?.closedEarly).toBe(false);
  });

  test("drained after an abort before the answer", async () => {
    meter.fake.faults = { delay: 50 };
    const seen = meter.fake.seen.length;
    const controller = new AbortController();
    const asked = client({ abandoned: "drain" }).whole(controller.signal);
    await until("it is sent", () => meter.fake.seen.length > seen);
    controller.abort();
    await asked.catch(() => undefined);
    await expectExact();
  });

  test.each([
    ["before the answer", { reset: "before" }, "no answer"],
    ["after the headers", { reset: "headers" }, "cut short"],
    ["in the answer", { events: 3, cut: true }, "cut short"],
  ] satisfies [string, Faults, string][])("reset %s", async (_, faults, why) => {
    meter.fake.faults = faults;
    await fails(count(client().stream()));
    await expectWhole(why);
    if ("cut" in faults) return;
    wallet = await meter.wallet();
    await fails(client().whole());
    await expectWhole(why);
  });

  test("never sent", async () => {
    const other = await startFakeProvider();
    await other[Symbol.asyncDispose]();
    const gone: typeof fetch = (_, init) => fetch(other.url, init);
    await fails(client({ fetch: gone }).whole());
    await fails(count(client({ fetch: gone }).stream()));
    const { spent, ends } = await booked();
    expect([spent, ends.map(([event]) => event)]).toEqual([0n, ["cancelled", "cancelled"]]);
  });

  test.each([400, 429, 500, 529])("status %d", async (status) => {
    meter.fake.faults = { status };
    await fails(client().whole());
    await fails(count(client().stream()));
    const { spent, ends } = await booked();
    expect([spent, ends.map(([event]) => event)]).toEqual([0n, ["cancelled", "cancelled"]]);
  });

  test.each([408, 504, 524])("status %d, after which the work may be done", async (status) => {
    meter.fake.faults = { status };
    await fails(client().whole());
    await expectWhole(`status ${status}`);
  });

  test.skipIf(!sdk.retries).each([429, 500])(
    "status %d, tried again by the SDK",
    async (status) => {
      meter.fake.faults = { status, times: 1, delay: ++tries };
      expect(await client({}, 2).whole()).toBe(TEXT);
      expect(await booked()).toEqual({
        spent: sdk.cost,
        ends: [
          ["cancelled", null, null],
          ["settled", "usage", null],
        ],
      });
    },
  );

  test("without usage", async () => {
    meter.fake.faults = { noUsage: true };
    // The AI SDK of Anthropic does not take an answer without usage.
    await client()
      .whole()
      .catch(() => undefined);
    await expectWhole("no usage");
    wallet = await meter.wallet();
    await count(client().stream()).catch(() => undefined);
    const { ends } = await booked();
    // Anthropic's form cannot leave usage out of its first event.
    expect(ends).toEqual([["settled", "hold", "no usage"]]);
  });

  test("an end before all is said", async () => {
    meter.fake.faults = { events: 2 };
    await count(client().stream()).catch(() => undefined);
    await expectWhole("no usage");
  });

  test("an error in the stream", async () => {
    meter.fake.faults = { events: 2, error: true };
    await count(client().stream()).catch(() => undefined);
    await expectWhole("error in the answer");
  });
});

let tries = 0;
const MESSAGES = {
  input_tokens: 50,
  cache_creation_input_tokens: 900,
  cache_read_input_tokens: 1000,
  cache_creation: { ephemeral_5m_input_tokens: 400, ephemeral_1h_input_tokens: 500 },
  output_tokens: 300,
  service_tier: "standard",
  server_tool_use: null,
  inference_geo: "not_available",
};
/** Input that is below what was held. */
const PLAIN_MESSAGES = { input_tokens: 50, output_tokens: 300 };
