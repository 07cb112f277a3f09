/** What providers add around messages and tools: Anthropic up to some 700 tokens for tools. */
const TEMPLATE = 1_000;

/**
 * An upper bound of the tokens in a text: its bytes in UTF-8, in whichever form has more of them. A token
 * stands for at least one byte, and some tokenizers normalize to NFKC first, which may add bytes.
 */
export function tokensAtMost(text: string): number {
  return Math.max(Buffer.byteLength(text), Buffer.byteLength(text.normalize("NFKC")));
}

/** What bounds the input of a call. */
export interface InputSize {
  /**
   * The whole body, if all input stands in it as text. Undefined if something is only referred to (a URL, an
   * id of a file or of an earlier answer) or packed (base64): then only the context window bounds it.
   */
  readonly text: string | undefined;
  /** How often the model may read its input: more than once if the provider runs tools in between. */
  readonly passes: number;
  /** Texts that the model reads each by itself, with a window of its own, as for embeddings. Default 1. */
  readonly texts?: number | undefined;
}

/**
 * The most tokens that the input of a call can have. Undefined if only the context window bounds it and
 * that is unknown.
 */
export function inputAtMost(
  size: InputSize,
  contextWindow: number | undefined,
): number | undefined {
  const window = contextWindow ?? Number.POSITIVE_INFINITY;
  const repeated = size.text === undefined || size.passes > 1;
  const once = repeated
    ? window
    : Math.min(tokensAtMost(size.text ?? "") + TEMPLATE, window * (size.texts ?? 1));
  return Number.isFinite(once) ? once * size.passes : undefined;
}
