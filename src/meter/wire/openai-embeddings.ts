import { chatKinds } from "./openai-chat.ts";
import { errorOf, isObject, list, part, readBody, requireText, variantOf } from "./read.ts";
import { type Dialect, type Json, type Kinds, NotSent } from "./types.ts";

const KNOWN = new Set(
  "input model dimensions encoding_format user input_type truncation output_dimension output_dtype".split(
    " ",
  ),
);

/** OpenAI's embeddings, and servers compatible with them. */
export const openaiEmbeddings: Dialect = {
  name: "openai-embeddings",
  errors: "openai",
  matches: (path) => path.endsWith("/embeddings"),
  read(request) {
    const body = readBody(request.body, KNOWN, request.fields);
    const name = requireText(body, "model");
    requireTexts(body);
    const variant = variantOf(request.region);
    return {
      is: "metered",
      dialect: "openai-embeddings",
      model: `${request.provider}/${name}`,
      variant,
      stream: false,
      // Numbers of tokens take more bytes than one each, so that the bytes are a bound for them, too.
      input: {
        text: new TextDecoder().decode(request.body),
        passes: 1,
        texts: Array.isArray(body.input) ? Math.max(body.input.length, 1) : 1,
        kinds: ["input"],
      },
      output: { limit: 0, lowest: undefined, choices: 1, kinds: [] },
      fees: {},
      send: () => request.body,
      reader() {
        let kinds: Kinds | undefined;
        let error: string | undefined;
        return {
          read(message) {
            if (!isObject(message)) return true;
            error = errorOf(message);
            if (isObject(message.usage)) kinds = embeddingKinds(message);
            return true;
          },
          report: () => {
            const complete = kinds !== undefined;
            return { kinds, complete, inputKnown: complete, variant, error };
          },
        };
      },
    };
  },
};

/** Some servers report the total only. */
function embeddingKinds(answer: Json): Kinds | undefined {
  const usage = part(answer, "usage");
  return chatKinds({ ...usage, prompt_tokens: usage.prompt_tokens ?? usage.total_tokens });
}

/** Texts, or tokens as numbers. */
function requireTexts({ input }: Json): void {
  const texts = Array.isArray(input) ? input.flat() : [input];
  if (list(texts).every((each) => typeof each === "string" || typeof each === "number")) return;
  throw new NotSent("not_understood", "input is neither text nor tokens");
}
