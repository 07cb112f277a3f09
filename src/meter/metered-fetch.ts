import type { Labels } from "../client/index.ts";
import {
  LedgerClosedError,
  LedgerError,
  OutcomeUnknownError,
  QueueFullError,
  UnavailableError,
} from "../errors/index.ts";
import { passOn } from "./answer.ts";
import { beginCall, type Call, type MeterLedger } from "./call.ts";
import {
  type CallerRequest,
  headersToSend,
  isFree,
  isUnsent,
  readRequest,
  WALLET_HEADER,
} from "./exchange.ts";
import { orAborted } from "./or-aborted.ts";
import { NoBoundError } from "./usage-bound.ts";
import {
  type DialectName,
  type ErrorForm,
  errorForm,
  type MeteredCall,
  type RefusedAnswer,
  readCall,
  refusalResponse,
} from "./wire/index.ts";

/** A request, for options that depend on it. */
export interface MeteredRequest {
  readonly url: URL;
  /** Those that begin with `x-baseledger-` are not sent on. */
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly dialect: DialectName;
  /** Provider and model: `openai/gpt-5`. */
  readonly model: string;
  readonly variant: string;
  readonly stream: boolean;
}

type MaybePromise<T> = T | PromiseLike<T>;

/** Options of {@link meteredFetch}. */
export interface MeteredFetchOptions {
  readonly ledger: MeterLedger;
  /**
   * Id of the wallet that pays, or a function that finds it. The header `x-baseledger-wallet` of a
   * request names another one.
   */
  readonly wallet?: string | ((request: MeteredRequest) => MaybePromise<string | undefined>);
  /** What limits count a call by, such as `{ user: "ann" }`, or a function that finds it. */
  readonly labels?: Labels | ((request: MeteredRequest) => MaybePromise<Labels | undefined>);
  /** The provider, as prices name it: for an address that is not known, such as that of a proxy. */
  readonly provider?: string | undefined;
  /** Further fields of bodies that are known to cost nothing. */
  readonly fields?: readonly string[] | undefined;
  /** What sends the requests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /**
   * Where the wallet has not enough for the output that a request allows, lower that, down to so
   * many tokens. Default: such a request is refused.
   */
  readonly shrinkTo?: number | undefined;
  /** Seconds to wait for funds that other calls hold. Default: 0. */
  readonly wait?: number | undefined;
  /**
   * When the caller gives an answer up: `bound` stops it, and books the most that it may have cost;
   * `drain` reads it to its end, and books what it has cost. Default: `bound`.
   */
  readonly abandoned?: "bound" | "drain" | undefined;
  /**
   * Counts the tokens of the input, e.g. by asking the provider, which holds less than their bound.
   * Undefined, or an error: the bound is held.
   */
  readonly countInput?: (request: MeteredRequest) => MaybePromise<number | undefined>;
  /** The longest sound, in seconds, for models that cost by the second. */
  readonly longest?: number | undefined;
  /** How long a hold outlives this program, should it die. Default: 10 minutes. */
  readonly ttl?: string | number | undefined;
  /** Called with the error of each call that could not be booked. Default: a process warning, once. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * A `fetch` that holds what each call of a model may cost at most, sends it, and books what it has
 * used. What the wallet cannot pay is answered with 402, what is not understood with 403, in the form
 * of the provider's errors; neither is sent, and the SDKs do not try again.
 */
export function meteredFetch(options: MeteredFetchOptions): typeof fetch {
  const { provider, fields } = options;
  return async (input, init) => {
    const request = await readRequest(input, init);
    const asked = await readCall(request, { provider, fields });
    if (asked.is === "free") return send(options, request, request.body, request.signal);
    if (asked.is === "refused") {
      return refusalResponse(asked.errors, {
        status: 403,
        code: asked.code,
        message: asked.message,
      });
    }
    const form = errorForm(request.url);
    let call: Call;
    try {
      call = await begin(options, request, asked);
    } catch (error) {
      request.signal?.throwIfAborted();
      return refuse(form, error);
    }
    const answer = exchange(options, request, asked, call);
    return options.abandoned === "drain" ? orAborted(answer, request.signal) : answer;
  };
}

async function begin(
  options: MeteredFetchOptions,
  request: CallerRequest,
  asked: MeteredCall,
): Promise<Call> {
  const { url, headers, body, signal } = request;
  const { dialect, model, variant, stream } = asked;
  const about: MeteredRequest = { url, headers, body, dialect, model, variant, stream };
  const { ledger, wallet, labels, shrinkTo, wait, longest, ttl, onError } = options;
  const walletId =
    headers.get(WALLET_HEADER) ?? (typeof wallet === "function" ? await wallet(about) : wallet);
  if (walletId === undefined) throw new NoWalletError();
  return beginCall({
    ledger,
    asked,
    walletId,
    labels: typeof labels === "function" ? await labels(about) : labels,
    counted: await count(options, about),
    shrinkTo,
    wait,
    longest,
    ttl,
    signal,
    onError,
    stream,
    operation: OPERATIONS[dialect],
  });
}

class NoWalletError extends Error {
  override readonly name = "NoWalletError";
  readonly code = "no_wallet";
  constructor() {
    super(`no wallet pays for this request: name one by the option wallet or by ${WALLET_HEADER}`);
  }
}

async function count(
  { countInput }: MeteredFetchOptions,
  about: MeteredRequest,
): Promise<number | undefined> {
  try {
    const counted = await countInput?.(about);
    return Number.isInteger(counted) && Number(counted) >= 0 ? counted : undefined;
  } catch {
    return undefined;
  }
}

/** Sends a call, and passes its answer on. */
async function exchange(
  options: MeteredFetchOptions,
  request: CallerRequest,
  asked: MeteredCall,
  call: Call,
): Promise<Response> {
  const { abandoned = "bound" } = options;
  const { signal } = request;
  if (signal?.aborted) {
    await call.free("aborted");
    throw signal.reason;
  }
  const ends = [call.reservation.signal, ...(signal && abandoned === "bound" ? [signal] : [])];
  const upstream = follow(ends);
  let response: Response;
  try {
    response = await send(options, request, asked.send(call.limit), upstream.signal);
  } catch (error) {
    upstream.done();
    const why = signal?.aborted ? "aborted" : "no answer";
    await (isUnsent(error) ? call.free("unsent") : call.unknown(why));
    throw error;
  }
  const { status, ok } = response;
  if (!ok) {
    upstream.done();
    await (isFree(status) ? call.free(`status ${status}`) : call.unknown(`status ${status}`));
    return response;
  }
  return passOn(response, { asked, call, abandoned, signal, done: upstream.done });
}

function send(
  { fetch: given = fetch }: MeteredFetchOptions,
  { url, method, headers, init }: CallerRequest,
  body: Uint8Array | string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const bytes = body.length > 0 ? (body as Uint8Array<ArrayBuffer> | string) : null;
  return given(url.href, {
    ...init,
    method,
    headers: headersToSend(headers),
    body: bytes,
    signal: signal ?? null,
  });
}

/** A signal that follows others until it is let go. */
function follow(signals: readonly AbortSignal[]): { signal: AbortSignal; done: () => void } {
  const controller = new AbortController();
  const stops = signals.map((signal) => {
    const abort = () => controller.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    return () => signal.removeEventListener("abort", abort);
  });
  return {
    signal: controller.signal,
    done: () => {
      for (const stop of stops) stop();
    },
  };
}

/** Answers in place of the provider; throws what is a mistake of the program's. */
function refuse(form: ErrorForm, error: unknown): Response {
  const refused = readRefusal(error);
  if (!refused) throw error;
  return refusalResponse(form, refused);
}

function readRefusal(error: unknown): RefusedAnswer | undefined {
  if (error instanceof LedgerError) {
    const { code, message } = error;
    return { status: 402, code, message, detail: error.toJSON().detail };
  }
  if (error instanceof NoBoundError || error instanceof NoWalletError) {
    return { status: 403, code: error.code, message: error.message };
  }
  const away = [UnavailableError, OutcomeUnknownError, QueueFullError, LedgerClosedError];
  if (!away.some((each) => error instanceof each)) return undefined;
  return { status: 503, code: "ledger_unavailable", message: (error as Error).message };
}

/** The names of the conventions for generative AI. */
const OPERATIONS: Readonly<Record<DialectName, string>> = {
  "openai-chat": "chat",
  "openai-responses": "chat",
  "anthropic-messages": "chat",
  "gemini-generate": "generate_content",
  "openai-embeddings": "embeddings",
  "gemini-embed": "embeddings",
  "openai-images": "generate_content",
  "openai-speech": "generate_content",
  "openai-transcriptions": "generate_content",
};
