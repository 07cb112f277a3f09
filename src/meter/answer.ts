import type { Call } from "./call.ts";
import { answerWith } from "./exchange.ts";
import { type StreamEnd, StreamStalledError, tap } from "./sse.ts";
import type { CallEnd } from "./telemetry.ts";
import type { MeteredCall, Report } from "./wire/index.ts";

/** How an answer is passed on. */
export interface AnswerOptions {
  readonly asked: MeteredCall;
  readonly call: Call;
  readonly abandoned: "bound" | "drain";
  readonly signal: AbortSignal | undefined;
  /** Called when no more is read from the provider. */
  readonly done: () => void;
}

/** The data of the last event, in the streams of OpenAI. */
const LAST = "[DONE]";
/** How long an answer waits for its settlement, which goes on after that. */
const LONGEST_WAIT_MS = 5_000;

/** Passes an answer on, and books what it reports. */
export function passOn(response: Response, options: AnswerOptions): Promise<Response> {
  const streamed = /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "");
  return streamed && response.body
    ? passEvents(response, response.body, options)
    : passWhole(response, options);
}

async function passWhole(response: Response, options: AnswerOptions): Promise<Response> {
  const { asked, call, signal, done } = options;
  let body: Uint8Array<ArrayBuffer>;
  try {
    body = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    await call.unknown(signal?.aborted ? "aborted" : "cut short");
    throw error;
  } finally {
    done();
  }
  const reader = asked.reader(false);
  reader.read(parse(new TextDecoder().decode(body)));
  const end = await soon(book(call, reader.report(), "no usage"));
  const cost = end?.amount;
  return answerWith(response, body, cost === undefined ? {} : { "x-baseledger-cost": `${cost}` });
}

async function passEvents(
  response: Response,
  body: ReadableStream<Uint8Array>,
  { asked, call, abandoned, signal, done }: AnswerOptions,
): Promise<Response> {
  const reader = asked.reader(true);
  let said = false;
  const { stream } = tap(body, {
    event(data) {
      said ||= data === LAST;
      return reader.read(parse(data));
    },
    async ended(end) {
      done();
      // Readers cancel a stream after its last event.
      await soon(bookStream(call, reader.report(), said ? { how: "read" } : end));
    },
    // Only there is usage asked for that the caller has not asked for.
    hides: asked.dialect === "openai-chat",
    abandoned,
    signal,
  });
  return answerWith(response, stream);
}

/** Books a stream by how it ended. */
function bookStream(call: Call, report: Report, end: StreamEnd): Promise<CallEnd | undefined> {
  if (end.how !== "abandoned")
    return book(call, report, end.how === "read" ? "no usage" : "cut short");
  const why = end.reason instanceof StreamStalledError ? "stalled" : "aborted";
  const { kinds, complete, inputKnown, error } = report;
  if (kinds && !complete && inputKnown && error === undefined) return call.atMost(kinds, why);
  return book(call, report, why);
}

function book(call: Call, report: Report, why: string): Promise<CallEnd | undefined> {
  const { kinds, complete, variant, error } = report;
  if (kinds && complete) return call.used(kinds, variant);
  return call.unknown(error === undefined ? why : "error in the answer");
}

/** Undefined after a while: the caller has waited for the answer, not for the database. */
async function soon<T>(settlement: Promise<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), LONGEST_WAIT_MS);
  try {
    return await Promise.race([settlement, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
