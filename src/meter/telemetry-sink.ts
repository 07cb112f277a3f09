type Attributes = Record<string, string | number | boolean>;

interface Histogram {
  record(value: number, attributes: Attributes): void;
}

interface Counter {
  add(value: number, attributes: Attributes): void;
}

/** Where spans and metrics go. */
export interface Sink {
  /** Seconds of a call. */
  readonly duration: Histogram;
  readonly tokens: Histogram;
  /** In the wallet's unit. */
  readonly cost: Counter;
  readonly refusals: Counter;
  startSpan(name: string, startTime: number, attributes: Attributes): OpenSpan;
}

export interface OpenSpan {
  /** `error`: what went wrong, if anything did. */
  end(attributes: Attributes, error?: string): void;
}

type Api = typeof import("@opentelemetry/api");
type Instruments = Omit<Sink, "startSpan">;

const NAME = "baseledger";
/** As the conventions advise. */
const DURATIONS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const COUNTS = Array.from({ length: 14 }, (_, i) => 4 ** i);

let loading: Promise<Api | undefined> | undefined;
/** By provider, as an application may set one up after its first call. */
const instruments = new WeakMap<object, Instruments>();

/** Loads the API, if the application has it. */
export async function loadSink(): Promise<Sink | undefined> {
  loading ??= import("@opentelemetry/api").catch(() => undefined);
  const api = await loading;
  return api && createSink(api);
}

function createSink(api: Api): Sink {
  const provider = api.metrics.getMeterProvider();
  const found = instruments.get(provider) ?? createInstruments(provider.getMeter(NAME), api);
  instruments.set(provider, found);
  return {
    ...found,
    startSpan(name, startTime, attributes) {
      const kind = api.SpanKind.CLIENT;
      const span = api.trace.getTracer(NAME).startSpan(name, { kind, startTime, attributes });
      return {
        end(more, error) {
          span.setAttributes(more);
          if (error !== undefined) {
            span.setStatus({ code: api.SpanStatusCode.ERROR, message: error });
          }
          span.end();
        },
      };
    },
  };
}

function createInstruments(meter: ReturnType<Api["metrics"]["getMeter"]>, api: Api): Instruments {
  const { INT, DOUBLE } = api.ValueType;
  return {
    duration: meter.createHistogram("gen_ai.client.operation.duration", {
      description: "Time from the hold of a call to the end of its answer.",
      unit: "s",
      valueType: DOUBLE,
      advice: { explicitBucketBoundaries: DURATIONS },
    }),
    tokens: meter.createHistogram("gen_ai.client.token.usage", {
      description: "Tokens of input and output, as the provider has reported them.",
      unit: "{token}",
      valueType: INT,
      advice: { explicitBucketBoundaries: COUNTS },
    }),
    cost: meter.createCounter("baseledger.cost", {
      description: "What was booked, in the unit of the wallet.",
      valueType: DOUBLE,
    }),
    refusals: meter.createCounter("baseledger.refusals", {
      description: "Calls that were not sent.",
      unit: "{call}",
      valueType: INT,
    }),
  };
}
