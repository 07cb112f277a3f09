// Spans and metrics of calls, as an application gets them that has set up @opentelemetry/api.
import {
  type Attributes,
  context,
  metrics,
  type Meter as OtelMeter,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { budgeted } from "../../src/meter/index.ts";
import { until } from "../support/until.ts";
import { DOLLAR, fails, type Meter, MOST, startMeter } from "./support.ts";

interface Recorded {
  readonly name: string;
  readonly value: number;
  readonly attributes: Attributes;
}
interface RecordedSpan {
  readonly name: string;
  attributes: Attributes;
  status: { readonly code: SpanStatusCode; readonly message?: string } | undefined;
  ended: boolean;
}

const recorded: Recorded[] = [];
const spans: RecordedSpan[] = [];
const units = new Map<string, string | undefined>();

/** What the SDK of OpenTelemetry would be, as far as it is used. */
function setUp(): void {
  const instrument = (name: string, options?: { unit?: string }) => {
    units.set(name, options?.unit);
    const record = (value: number, attributes: Attributes = {}) => {
      recorded.push({ name, value, attributes });
    };
    return { record, add: record };
  };
  const meter = { createHistogram: instrument, createCounter: instrument } as unknown as OtelMeter;
  metrics.setGlobalMeterProvider({ getMeter: () => meter });
  const tracer = {
    startSpan(name: string, { attributes = {} }: { attributes?: Attributes } = {}): Span {
      const span: RecordedSpan = { name, attributes, status: undefined, ended: false };
      spans.push(span);
      return {
        setAttributes(more: Attributes) {
          span.attributes = { ...span.attributes, ...more };
        },
        setStatus(status: RecordedSpan["status"]) {
          span.status = status;
        },
        end() {
          span.ended = true;
        },
      } as unknown as Span;
    },
  } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
}

let meter: Meter;
let wallet: string;

beforeAll(async () => {
  meter = await startMeter();
});
afterAll(() => meter[Symbol.asyncDispose]());
beforeEach(async () => {
  wallet = await meter.wallet();
  meter.fake.faults = {};
  recorded.length = 0;
  spans.length = 0;
});
afterEach(() => {
  for (const api of [metrics, trace, context]) api.disable();
});

const ask = (via: string, funds?: bigint) => {
  const fetch = meter.fetch({ wallet: via, provider: "openai" });
  const sdk = new OpenAI({ apiKey: "k", baseURL: `${meter.fake.url}/v1`, fetch, maxRetries: 0 });
  const messages = [{ role: "user" as const, content: `Say hello ${funds ?? ""}` }];
  return sdk.chat.completions.create({ model: "gpt-5", messages, max_completion_tokens: MOST });
};
const untilEnded = (count: number) =>
  until("the spans have ended", () => spans.filter(({ ended }) => ended).length === count);
const of = (name: string) => recorded.filter((each) => each.name === name);

const ABOUT = {
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": "openai",
  "gen_ai.request.model": "gpt-5",
  "baseledger.variant": "standard",
};

test("nothing is recorded, and nothing fails, where nothing is set up", async () => {
  await ask(wallet);
  expect((await meter.books(wallet)).spent).toBe(3_600_000n);
  expect([recorded, spans]).toEqual([[], []]);
});

test("nothing fails where the package is missing", async () => {
  vi.resetModules();
  vi.doMock("@opentelemetry/api", () => {
    throw new Error("Cannot find package");
  });
  const { loadSink } = await import("../../src/meter/telemetry-sink.ts");
  expect(await loadSink()).toBeUndefined();
  const { observeCall } = await import("../../src/meter/telemetry.ts");
  const observer = observeCall({
    operation: "chat",
    model: "openai/gpt-5",
    variant: "standard",
    stream: false,
    walletId: wallet,
    wallet: async () => undefined,
  });
  observer.ended({ basis: "usage", amount: 1n });
  vi.doUnmock("@opentelemetry/api");
  vi.resetModules();
});

describe("what is set up", () => {
  beforeEach(setUp);

  test("gets a span, tokens, time and cost of each call", async () => {
    await ask(wallet);
    await untilEnded(1);
    expect(spans).toEqual([
      {
        name: "chat gpt-5",
        ended: true,
        status: undefined,
        attributes: {
          ...ABOUT,
          "gen_ai.request.stream": false,
          "gen_ai.usage.input_tokens": 1_200,
          "gen_ai.usage.output_tokens": 300,
          "baseledger.wallet_id": wallet,
          "baseledger.basis": "usage",
          "baseledger.cost": 0.0036,
          "baseledger.unit": "USD",
        },
      },
    ]);
    expect(of("gen_ai.client.token.usage")).toEqual([
      {
        name: "gen_ai.client.token.usage",
        value: 1_200,
        attributes: { ...ABOUT, "gen_ai.token.type": "input" },
      },
      {
        name: "gen_ai.client.token.usage",
        value: 300,
        attributes: { ...ABOUT, "gen_ai.token.type": "output" },
      },
    ]);
    const [duration] = of("gen_ai.client.operation.duration");
    expect(duration?.attributes).toEqual(ABOUT);
    expect(duration?.value).toBeGreaterThan(0);
    expect(duration?.value).toBeLessThan(60);
    expect(of("baseledger.cost")).toEqual([
      {
        name: "baseledger.cost",
        value: 0.0036,
        attributes: { ...ABOUT, "baseledger.unit": "USD", "baseledger.basis": "usage" },
      },
    ]);
    expect(units.get("gen_ai.client.token.usage")).toBe("{token}");
    expect(units.get("gen_ai.client.operation.duration")).toBe("s");
  });

  test("gets what was booked without usage, and why", async () => {
    meter.fake.faults = { noUsage: true };
    await ask(wallet);
    await untilEnded(1);
    expect(of("gen_ai.client.token.usage")).toEqual([]);
    const [hold = 0n] = await meter.holds(wallet);
    expect(of("baseledger.cost")[0]).toMatchObject({
      value: Number(hold) / 1e9,
      attributes: { "baseledger.basis": "hold" },
    });
    expect(spans[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: "no usage" });
    expect(spans[0]?.attributes["error.type"]).toBe("no usage");
  });

  test("gets no tokens that were not booked", async () => {
    const { chat } = meter.fake.usage;
    meter.fake.usage.chat = { ...chat, prompt_tokens_details: { audio_tokens: 100 } };
    await ask(wallet);
    meter.fake.usage.chat = chat;
    await untilEnded(1);
    expect(spans[0]?.attributes).toMatchObject({
      "baseledger.basis": "hold",
      "error.type": "unpriced",
    });
    expect(of("gen_ai.client.token.usage")).toEqual([]);
  });

  test("gets refusals, by code and limit", async () => {
    await fails(ask(await meter.wallet(1n)));
    await meter.operator.setLimit({
      walletId: wallet,
      limitId: "daily",
      of: "calls",
      amount: 1n,
      per: "day",
    });
    await ask(wallet);
    await fails(ask(wallet));
    await untilEnded(3);
    expect(of("baseledger.refusals").map(({ value, attributes }) => [value, attributes])).toEqual([
      [1, { ...ABOUT, "baseledger.refusal.code": "LGNSF" }],
      [1, { ...ABOUT, "baseledger.refusal.code": "LGLIM", "baseledger.limit.id": "daily" }],
    ]);
    const refused = spans.filter(({ status }) => status?.code === SpanStatusCode.ERROR);
    expect(refused.map(({ attributes }) => attributes["error.type"])).toEqual(["LGNSF", "LGLIM"]);
  });

  test("gets tools, by their name", async () => {
    const amount = DOLLAR / 100n;
    const search = budgeted(meter.ledger, { wallet, amount, name: "search" }, (reservation) => {
      reservation.spend(amount / 2n);
    });
    await search();
    await untilEnded(1);
    expect(spans[0]?.name).toBe("execute_tool search");
    expect(of("baseledger.cost")).toEqual([
      {
        name: "baseledger.cost",
        value: 0.005,
        attributes: {
          "gen_ai.operation.name": "execute_tool",
          "gen_ai.tool.name": "search",
          "baseledger.unit": "USD",
          "baseledger.basis": "usage",
        },
      },
    ]);
    const fail = budgeted(meter.ledger, { wallet, amount, name: "fail" }, () => {
      throw new RangeError("no");
    });
    await fails(fail());
    await untilEnded(2);
    expect(spans[1]?.attributes["error.type"]).toBe("RangeError");
    expect(of("gen_ai.client.operation.duration")[1]?.attributes["error.type"]).toBe("RangeError");
  });
});
