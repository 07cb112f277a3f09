import type { InputSize } from "../bound.ts";

/** Counts by kind, as the ledger prices them: disjoint, `input` without what came from a cache. */
export type Kinds = Readonly<Record<string, number>>;

/** A JSON object from outside, of which nothing is known. */
export type Json = Readonly<Record<string, unknown>>;

/** A request as the caller made it. */
export interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  /** Empty if there is none. */
  readonly body: Uint8Array;
}

export interface WireOptions {
  /** The provider, as prices name it: needed for hosts that are not known. */
  readonly provider?: string | undefined;
  /** Further fields of the body that are known to cost nothing. */
  readonly fields?: readonly string[] | undefined;
}

export type DialectName =
  | "openai-chat"
  | "openai-responses"
  | "openai-embeddings"
  | "openai-images"
  | "openai-transcriptions"
  | "openai-speech"
  | "anthropic-messages"
  | "gemini-generate"
  | "gemini-embed";

/** The form in which a provider reports errors. */
export type ErrorForm = "openai" | "anthropic" | "gemini";

/** What a request asks for. */
export interface MeteredCall {
  readonly is: "metered";
  readonly dialect: DialectName;
  /** Provider and model, as prices name them: `openai/gpt-5`. */
  readonly model: string;
  /** `standard`, or what makes the call dearer or cheaper. An unknown one has no price. */
  readonly variant: string;
  /** Whether the answer is to be a stream of events. */
  readonly stream: boolean;
  readonly input: InputSize & {
    /** As which kinds the input may be reported. The dearest of those that have a rate bounds its cost. */
    readonly kinds: readonly string[];
  };
  readonly output: {
    /** Tokens for each choice; undefined if the request has no limit, so that the model's own holds. */
    readonly limit: number | undefined;
    /** The lowest limit that the provider accepts; undefined if the output cannot be limited. */
    readonly lowest: number | undefined;
    readonly choices: number;
    /** As which kinds the output may be reported; none if the call has no output that costs. */
    readonly kinds: readonly string[];
  };
  /** Fees beside tokens: the most of each kind. */
  readonly fees: Kinds;
  /** The body to send, with a lower limit of output for each choice if one is given. */
  send(limit?: number): Uint8Array | string;
  /** Reads what the answer reports; `streamed` says how it came if it is not what was asked for. */
  reader(streamed?: boolean): Reader;
}

/** Reads an answer: its body if it is whole, else each of its events. */
export interface Reader {
  /** Takes a message in; false if the caller is not to see it. */
  read(message: unknown): boolean;
  report(): Report;
}

/** What an answer has reported so far. */
export interface Report {
  /** Undefined if nothing was reported, or something that is not understood. */
  readonly kinds: Kinds | undefined;
  /** Whether `kinds` is the usage of the whole call. */
  readonly complete: boolean;
  /** Whether the input side of `kinds` is final, so that only the output is unknown. */
  readonly inputKnown: boolean;
  /** That of the answer, if it says; else that of the request. */
  readonly variant: string;
  /** The error that the answer contains. */
  readonly error: string | undefined;
}

/** A request that costs nothing, to be sent as it is. */
export interface FreeCall {
  readonly is: "free";
}

export type RefusalCode =
  /** Nothing is known about this path. */
  | "not_metered"
  /** The body cannot be read. */
  | "unreadable"
  /** The body has a field, or a value, whose cost is unknown. */
  | "not_understood"
  /** A tool of the provider's that has no price, or that may be used without bound. */
  | "unsupported_tool"
  /** The provider of this host is unknown. */
  | "unknown_provider"
  /** The provider does not report what such a call used. */
  | "no_usage"
  /** Nobody says who pays. */
  | "no_wallet";

/** A request that must not be sent. */
export interface Refusal {
  readonly is: "refused";
  readonly code: RefusalCode;
  readonly message: string;
  readonly errors: ErrorForm;
}

/** How a provider is spoken to: one file for each. */
export interface Dialect {
  readonly name: DialectName;
  readonly errors: ErrorForm;
  matches(path: string): boolean;
  /** Throws {@link NotSent} for what must not be sent. */
  read(request: ReadableRequest): MeteredCall | Promise<MeteredCall>;
}

/** A request whose provider is known. */
export interface ReadableRequest extends Exchange {
  readonly provider: string;
  readonly fields: readonly string[];
  /** What the host says about the price: a region. */
  readonly region: string | undefined;
}

/** Why a request must not be sent. */
export class NotSent extends Error {
  override readonly name = "NotSent";
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}
