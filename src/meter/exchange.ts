import type { Exchange } from "./wire/index.ts";

/** Headers that speak to metering, and are not sent. */
const OURS = "x-baseledger-";
/** Says whose money it is. */
export const WALLET_HEADER = `${OURS}wallet`;

type FetchArgs = Parameters<typeof fetch>;

/** A request as its caller gave it to `fetch`. */
export interface CallerRequest extends Exchange {
  readonly signal: AbortSignal | undefined;
  /** For what `fetch` takes beside, such as the dispatcher of Node's. */
  readonly init: RequestInit | undefined;
}

/** Reads a request whole: what it costs depends on its body. */
export async function readRequest(...[input, init]: FetchArgs): Promise<CallerRequest> {
  const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
  signal?.throwIfAborted();
  // Without the signal: it is listened to once, for as long as the call lasts.
  const request = new Request(input, { ...init, signal: null });
  const { method, headers, url } = request;
  const body = request.body ? new Uint8Array(await request.arrayBuffer()) : new Uint8Array();
  return { method, url: new URL(url), headers, body, signal, init };
}

/** The headers to send: not ours, and none that depends on a body that may be another. */
export function headersToSend(headers: Headers): Headers {
  const sent = new Headers(headers);
  for (const name of headers.keys()) {
    if (name.startsWith(OURS)) sent.delete(name);
  }
  sent.delete("content-length");
  sent.delete("host");
  return sent;
}

/** An answer with another body; it is decoded, and may be shorter. */
export function answerWith(
  response: Response,
  body: ConstructorParameters<typeof Response>[0],
  more: Readonly<Record<string, string>> = {},
): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  for (const name of ["content-encoding", "content-length", "transfer-encoding"]) {
    headers.delete(name);
  }
  for (const [name, value] of Object.entries(more)) headers.set(name, value);
  return new Response(body, { status, statusText, headers });
}

/** Failures before anything was sent. */
const UNSENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Whether a request has certainly not reached the provider. */
export function isUnsent(error: unknown): boolean {
  const { code, cause, errors } = (error ?? {}) as {
    readonly code?: unknown;
    readonly cause?: unknown;
    readonly errors?: readonly unknown[];
  };
  if (Array.isArray(errors)) return errors.length > 0 && errors.every(isUnsent);
  return UNSENT.has(String(code)) || (cause !== undefined && isUnsent(cause));
}

/** Answers of something in between, after which the provider may have done the work. */
const MAY_BE_DONE = new Set([408, 499, 504, 524]);

/** Whether an answer with this status costs nothing for certain. */
export function isFree(status: number): boolean {
  return !MAY_BE_DONE.has(status);
}
