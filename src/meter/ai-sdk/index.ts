import type { Labels } from "../../client/index.ts";

import { beginCall, type Call, type MeterLedger } from "../call.ts";
import { isFree, isUnsent } from "../exchange.ts";
import { orAborted } from "../or-aborted.ts";
import { readAhead, type StreamEnd, StreamStalledError } from "../read-ahead.ts";
import type { Json } from "../wire/types.ts";
import { readBudget } from "./call-budget.ts";
import { type AiRequest, type RequestOptions, readRequest } from "./request.ts";
import type { AiModel, AiParams, BudgetMiddleware, StreamResult } from "./types.ts";
import { isFinished, usageOf } from "./usage.ts";

export { NoBoundError } from "../usage-bound.ts";
export { NotSent } from "../wire/types.ts";
export type { AiModel, AiParams, BudgetMiddleware, Embeds, Generates, Streams } from "./types.ts";

/** A call, for options that depend on it. */
export interface BudgetedCall {
  /** Provider and model, as prices name them: `openai/gpt-5`. */
  readonly model: string;
  readonly variant: string;
  readonly stream: boolean;
  /** The options of the call, as the SDK gives them to the model. */
  readonly params: object;
}

type MaybePromise<T> = T | PromiseLike<T>;

/** Options of {@link budget}. */
export interface BudgetOptions extends RequestOptions {
  readonly ledger: MeterLedger;
  /**
   * Id of the wallet that pays, or a function that finds it. `providerOptions.baseledger.wallet` of a
   * call names another one.
   */
  readonly wallet?: string | ((call: BudgetedCall) => MaybePromise<string | undefined>);
  /**
   * What limits count a call by, such as `{ user: "ann" }`, or a function that finds it. Those of
   * `providerOptions.baseledger.labels` are added.
   */
  readonly labels?: Labels | ((call: BudgetedCall) => MaybePromise<Labels | undefined>);
  /**
   * Where the wallet has not enough for the output that a call allows, lower that, down to so many
   * tokens. Default: such a call is refused.
   */
  readonly shrinkTo?: number | undefined;
  /** Seconds to wait for funds that other calls hold. Default: 0. */
  readonly wait?: number | undefined;
  /**
   * When the caller gives an answer up: `bound` stops it, and books the hold; `drain` reads it to its
   * end, and books what it has cost. Default: `bound`.
   */
  readonly abandoned?: "bound" | "drain" | undefined;
  /** Counts the tokens of the input, which holds less than their bound. */
  readonly countInput?: (call: BudgetedCall) => MaybePromise<number | undefined>;
  /** How long a hold outlives this program, should it die. Default: 10 minutes. */
  readonly ttl?: string | number | undefined;
  /** Called with the error of each call that could not be booked. Default: a process warning, once. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * Middleware of the AI SDK, in its versions 5, 6 and 7: it holds what each call of a model may cost at most,
 * and books what it has used. One object for `wrapLanguageModel`, `wrapEmbeddingModel` and
 * `wrapImageModel`. Where there are several, it has to be next to the model, the last of them.
 *
 * A call that the wallet cannot pay, or whose model has no price, is not made: it fails with the ledger's
 * error. One whose cost cannot be known fails with `NotSent` or `NoBoundError`.
 */
export function budget(options: BudgetOptions): BudgetMiddleware {
  return {
    specificationVersion: "v4" as never,
    wrapGenerate: ({ model, params }) =>
      answer(options, model, params, async (sent) => model.doGenerate(sent)),
    wrapEmbed: ({ model, params }) =>
      answer(options, model, params, async (sent) => model.doEmbed(sent)),
    async wrapStream({ model, params }) {
      const begun = await begin(options, model, params, true);
      const result = await attempt(begun, () => model.doStream(begun.sent));
      return { ...result, stream: passOn(options, model, result, begun) };
    },
  };
}

/** A call that funds are held for. */
interface Begun<P> {
  readonly request: AiRequest;
  readonly call: Call;
  /** What the model gets. */
  readonly sent: P;
  /** The caller's. */
  readonly signal: AbortSignal | undefined;
}

async function begin<P extends AiParams>(
  options: BudgetOptions,
  model: AiModel,
  params: P,
  stream: boolean,
): Promise<Begun<P>> {
  const { ledger, shrinkTo, wait, ttl, onError } = options;
  const signal = params.abortSignal;
  signal?.throwIfAborted();
  const request = readRequest(model, params, options);
  const { asked, operation } = request;
  const about = { model: asked.model, variant: asked.variant, stream, params };
  const own = await readBudget(options, about);
  const call = await beginCall({
    ledger,
    asked,
    ...own,
    counted: await countInput(options, about, request),
    shrinkTo,
    wait,
    ttl,
    signal,
    onError,
    operation,
    stream,
  });
  if (signal?.aborted) {
    await call.free("aborted");
    throw signal.reason;
  }
  return { request, call, signal, sent: paramsToSend(options, params, request, call) };
}

async function countInput(
  { countInput: ask }: BudgetOptions,
  about: BudgetedCall,
  { counted }: AiRequest,
): Promise<number | undefined> {
  try {
    const given = await ask?.(about);
    return Number.isInteger(given) && Number(given) >= 0 ? given : counted;
  } catch {
    return counted;
  }
}

function paramsToSend<P extends AiParams>(
  { abandoned = "bound" }: BudgetOptions,
  params: P,
  request: AiRequest,
  { limit, reservation }: Call,
): P {
  // What is read to its end must not end with the caller.
  const its = abandoned === "bound" && params.abortSignal ? [params.abortSignal] : [];
  return {
    ...params,
    ...(limit !== undefined && request.limited(limit)),
    abortSignal: AbortSignal.any([...its, reservation.signal]),
  };
}

/** Makes a call whose answer comes as a whole. */
async function answer<P extends AiParams, R extends object>(
  options: BudgetOptions,
  model: AiModel,
  params: P,
  send: (params: P) => Promise<R>,
): Promise<R> {
  const begun = await begin(options, model, params, false);
  const settled = attempt(begun, () => send(begun.sent)).then(async (result) => {
    await book(begun, model, result as Json, "no usage");
    return result;
  });
  return options.abandoned === "drain" ? orAborted(settled, begun.signal) : settled;
}

/** Books what a failed call may have cost. */
async function attempt<T>(
  { call, signal }: Begun<AiParams>,
  send: () => PromiseLike<T>,
): Promise<T> {
  try {
    return await send();
  } catch (error) {
    const free = freeOf(error);
    await (free === undefined
      ? call.unknown(signal?.aborted ? "aborted" : "no answer")
      : call.free(free));
    throw error;
  }
}

/** Errors of the SDK that are thrown before anything is sent. */
const BEFORE = new Set([
  "AI_InvalidArgumentError",
  "AI_InvalidPromptError",
  "AI_LoadAPIKeyError",
  "AI_LoadSettingError",
  "AI_NoSuchModelError",
  "AI_TooManyEmbeddingValuesForCallError",
  "AI_UnsupportedFunctionalityError",
]);

/** Why a call that failed costs nothing; undefined if it may cost something. */
function freeOf(error: unknown): string | undefined {
  if (error instanceof Error && BEFORE.has(error.name)) return "unsent";
  const { statusCode } = (error ?? {}) as { readonly statusCode?: unknown };
  if (typeof statusCode === "number") {
    return statusCode >= 400 && isFree(statusCode) ? `status ${statusCode}` : undefined;
  }
  return isUnsent(error) ? "unsent" : undefined;
}

async function book(
  { call, request }: Begun<AiParams>,
  model: AiModel,
  result: Json | undefined,
  why: string,
): Promise<void> {
  const { kinds, variant } = result ? usageOf(model, request, result) : {};
  await (kinds ? call.used(kinds, variant) : call.unknown(why));
}

function passOn<Part>(
  { abandoned }: BudgetOptions,
  model: AiModel,
  { stream }: StreamResult<Part>,
  begun: Begun<AiParams>,
): ReadableStream<Part> {
  let finish: Json | undefined;
  let failed = false;
  return readAhead<Part, Part>(stream, {
    pass(part) {
      if (part === undefined) return [];
      const { type } = part as { readonly type?: unknown };
      if (type === "error") failed = true;
      if (type === "finish") finish = part as Json;
      return [part];
    },
    async ended(end) {
      const complete = !failed && finish !== undefined && isFinished(finish);
      await book(begun, model, complete ? finish : undefined, whyOf(end, failed));
    },
    size: sizeOf,
    abandoned,
    signal: begun.signal,
  }).stream;
}

function whyOf(end: StreamEnd, failed: boolean): string {
  if (end.how === "abandoned") {
    return end.reason instanceof StreamStalledError ? "stalled" : "aborted";
  }
  if (failed) return "error in the answer";
  return end.how === "failed" ? "cut short" : "no usage";
}

/** Bytes of an object with short fields. */
const SMALL = 200;

function sizeOf(part: unknown): number {
  const values = Object.values(part as Json);
  return values.reduce<number>((sum, value) => {
    if (typeof value === "string") return sum + value.length;
    return ArrayBuffer.isView(value) ? sum + value.byteLength : sum;
  }, SMALL);
}
