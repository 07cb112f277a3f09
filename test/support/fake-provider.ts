// A provider of models on 127.0.0.1 that speaks the wire formats of OpenAI, Anthropic and Gemini, and fails
// in the ways that a test asks for.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { createGzip, constants as zlib } from "node:zlib";
import * as answers from "./fake-answers.ts";

/** How the provider misbehaves. A request can say it, too, as JSON in the header `x-fake`. */
export interface Faults {
  /** Answers with this status and an error; so often, or always. */
  readonly status?: number;
  readonly times?: number;
  /** Resets the connection: before an answer, or after its headers. */
  readonly reset?: "before" | "headers";
  /** Never answers. */
  readonly hang?: boolean;
  /** Reports no usage. */
  readonly noUsage?: boolean;
  /** So many events of a stream; what follows is one of the next three, or else an end as if all was said. */
  readonly events?: number;
  /** Resets the connection after these events. */
  readonly cut?: boolean;
  /** Sends nothing after these events, and does not end. */
  readonly stall?: boolean;
  /** Sends an error after these events, and ends. */
  readonly error?: boolean;
  /** Compresses the answer. */
  readonly gzip?: boolean;
  /** Bytes for each write. */
  readonly chunk?: number;
  /** Milliseconds between events. */
  readonly delay?: number;
  /** Ends of lines in a stream. */
  readonly newline?: "\n" | "\r\n" | "\r";
  /** Spreads each event's JSON over lines. */
  readonly multiline?: boolean;
  /** A byte order mark at the start of a stream, and comments between its events. */
  readonly noise?: boolean;
  /** How often the text of a streamed answer is said. */
  readonly repeat?: number;
}

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** As JSON; undefined if it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  readonly body: any;
  /** How many events were sent. */
  sent: number;
  /** When the connection of the answer has closed: whether that was before its end. */
  readonly closedEarly: Promise<boolean>;
}

export interface FakeProvider extends AsyncDisposable {
  /** Without a path: SDKs of OpenAI need `/v1` behind it. */
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** For all requests that do not say otherwise. */
  faults: Faults;
  /** What the answers report. */
  readonly usage: answers.Usages;
}

export async function startFakeProvider(): Promise<FakeProvider> {
  const seen: SeenRequest[] = [];
  const usage = answers.usages();
  /** Errors that were sent, by what asked for them. */
  const failures = new Map<string, number>();
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  // A connection that is closed while idle may reset the next request, which no test asks for.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const fake: FakeProvider = {
    url: `http://127.0.0.1:${port}`,
    seen,
    faults: {},
    usage,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const bytes = Buffer.concat(parts);
    const body = parse(bytes);
    const url = new URL(request.url ?? "/", fake.url);
    const said = request.headers["x-fake"];
    const faults: Faults = typeof said === "string" ? JSON.parse(said) : fake.faults;
    const closed = Promise.withResolvers<boolean>();
    response.once("close", () => closed.resolve(!response.writableFinished));
    const entry: SeenRequest = {
      path: url.pathname,
      headers: request.headers,
      body,
      sent: 0,
      closedEarly: closed.promise,
    };
    seen.push(entry);
    if (faults.hang) return;
    if (faults.reset === "before") return void request.socket.resetAndDestroy();
    if (faults.status !== undefined && isLeft(JSON.stringify(faults), faults.times)) {
      return sendJson(response, faults.status, errorBody(url.pathname, faults.status), faults);
    }
    const answer = answerFor(url, body ?? {}, fake.usage, faults);
    if (!answer) return sendJson(response, 404, errorBody(url.pathname, 404), faults);
    const multipart = bytes.includes('name="stream"\r\n\r\ntrue');
    const streams =
      body?.stream === true ||
      body?.stream_format === "sse" ||
      multipart ||
      /:stream/.test(url.pathname);
    if (streams && answer.events) return sendEvents(response, entry, answer, faults);
    if (faults.reset === "headers") return resetAfterHeaders(response, "application/json");
    return sendJson(response, 200, answer.whole, faults);
  }

  function isLeft(key: string, times = Number.POSITIVE_INFINITY): boolean {
    const before = failures.get(key) ?? 0;
    failures.set(key, before + 1);
    return before < times;
  }

  return fake;
}

function answerFor(
  { pathname }: URL,
  body: Readonly<Record<string, unknown>>,
  usage: answers.Usages,
  { noUsage = false, repeat = 1 }: Faults,
): answers.Answer | undefined {
  const of = (name: keyof answers.Usages) => (noUsage ? undefined : usage[name]);
  if (pathname.endsWith("/chat/completions")) return answers.chat(body, of("chat"), repeat);
  if (pathname.endsWith("/responses")) return answers.responses(body, of("responses"), repeat);
  if (pathname.endsWith("/embeddings")) return answers.embeddings(body, of("embeddings"));
  if (pathname.endsWith("/images/generations")) return answers.images(body, of("images"));
  if (pathname.endsWith("/audio/transcriptions")) return answers.transcription(of("transcription"));
  if (pathname.endsWith("/audio/speech")) return answers.speech(of("speech"));
  if (pathname.endsWith("/messages")) return answers.messages(body, of("messages"), repeat);
  if (/:(?:stream)?[gG]enerateContent$/.test(pathname)) return answers.gemini(of("gemini"), repeat);
  if (/:(?:embedContent|batchEmbedContents)$/.test(pathname)) {
    return answers.geminiEmbeddings(body, of("gemini"));
  }
  return undefined;
}

function errorBody(path: string, status: number): object {
  const message = `a fake error with status ${status}`;
  if (path.endsWith("/messages")) return { type: "error", error: { type: "api_error", message } };
  if (/\/v1beta\//.test(path)) return { error: { code: status, message, status: "UNAVAILABLE" } };
  return { error: { message, type: "server_error", param: null, code: null } };
}

async function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  faults: Faults,
): Promise<void> {
  const write = writer(response, status, "application/json", faults);
  await write(JSON.stringify(body));
  await write(undefined);
}

async function sendEvents(
  response: ServerResponse,
  entry: SeenRequest,
  { events = [], error }: answers.Answer,
  faults: Faults,
): Promise<void> {
  if (faults.reset === "headers") return resetAfterHeaders(response, "text/event-stream");
  const write = writer(response, 200, "text/event-stream", faults);
  const all = faults.error
    ? [...events.slice(0, faults.events ?? 2), error]
    : events.slice(0, faults.events);
  if (faults.noise) await write("\uFEFF: a comment\n\n");
  for (const event of all) {
    await write(format(event, faults));
    entry.sent += 1;
    if (faults.delay !== undefined) await pause(faults.delay);
    if (response.destroyed) return;
  }
  if (faults.stall) return;
  if (faults.cut) return void response.socket?.resetAndDestroy();
  await write(undefined);
}

function format({ event, data }: answers.FakeEvent, faults: Faults): string {
  const { newline = "\n", multiline = false, noise = false } = faults;
  const text = typeof data === "string" ? data : JSON.stringify(data, undefined, multiline ? 1 : 0);
  const lines = [
    ...(noise ? [": still here"] : []),
    ...(event === undefined ? [] : [`event: ${event}`]),
    ...text.split("\n").map((line) => `data: ${line}`),
  ];
  return `${lines.join(newline)}${newline}${newline}`;
}

/** Writes as the faults say; undefined ends the answer. */
function writer(response: ServerResponse, status: number, type: string, faults: Faults) {
  const { gzip = false, chunk } = faults;
  response.writeHead(status, {
    "content-type": type,
    ...(gzip && { "content-encoding": "gzip" }),
    "x-request-id": "req_fake",
  });
  response.flushHeaders();
  const send = async (bytes: Uint8Array) => {
    for (let from = 0; from < bytes.length; from += chunk ?? bytes.length) {
      if (response.destroyed) return;
      const more = response.write(bytes.subarray(from, from + (chunk ?? bytes.length)));
      // The reader's pace is the writer's.
      if (!more) await Promise.race([once(response, "drain"), once(response, "close")]);
      if (chunk !== undefined) await turn();
    }
  };
  if (!gzip) {
    return async (text: string | undefined): Promise<void> => {
      if (text === undefined) response.end();
      else await send(Buffer.from(text));
    };
  }
  const zip = createGzip();
  const compressed: Buffer[] = [];
  zip.on("data", (part: Buffer) => compressed.push(part));
  return async (text: string | undefined): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (text === undefined) zip.end(resolve);
    else zip.write(text, () => zip.flush(zlib.Z_SYNC_FLUSH, resolve));
    await promise;
    // What was compressed is emitted in a later turn.
    await turn();
    await send(Buffer.concat(compressed.splice(0)));
    if (text === undefined) response.end();
  };
}

function resetAfterHeaders(response: ServerResponse, type: string): void {
  response.writeHead(200, { "content-type": type, "content-length": 1000 });
  response.flushHeaders();
  // After the headers are out, so that the client has them.
  setImmediate(() => response.socket?.resetAndDestroy());
}

function parse(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
