/*
 * What models and middleware of the AI SDK have in common in its versions 5, 6 and 7 (specifications V2,
 * V3 and V4), as far as metering reads it. Types of the SDK itself would tie callers to one of them.
 */

/** A model of any kind. */
export interface AiModel {
  /** Such as `openai.responses`. */
  readonly provider: string;
  readonly modelId: string;
}

/** Options of a call, whose other fields are looked up by name. */
export interface AiParams {
  readonly abortSignal?: AbortSignal | undefined;
}

/** A model that gives an answer as a whole: text, or images. */
export interface Generates<P, R> extends AiModel {
  doGenerate(params: P): PromiseLike<R>;
}

export interface Streams<P, R> extends AiModel {
  doStream(params: P): PromiseLike<R>;
}

export interface Embeds<P, R> extends AiModel {
  doEmbed(params: P): PromiseLike<R>;
}

/** An answer that arrives in parts. */
export interface StreamResult<Part> {
  readonly stream: ReadableStream<Part>;
}

/**
 * Middleware for `wrapLanguageModel`, `wrapEmbeddingModel` and `wrapImageModel`, in the form of each of the
 * versions.
 */
export interface BudgetMiddleware {
  /** The version that the SDK asks for, so that the type suits all of them. */
  readonly specificationVersion: never;
  wrapGenerate<P extends AiParams, R extends object>(call: {
    readonly params: P;
    readonly model: Generates<P, R>;
  }): Promise<R>;
  wrapStream<P extends AiParams, Part, R extends StreamResult<Part>>(call: {
    readonly params: P;
    readonly model: Streams<P, R>;
  }): Promise<R>;
  wrapEmbed<P extends AiParams, R extends object>(call: {
    readonly params: P;
    readonly model: Embeds<P, R>;
  }): Promise<R>;
}
