import {
  count,
  errorOf,
  isObject,
  isOn,
  kindsOf,
  optionalCount,
  part,
  readBody,
  requireText,
  variantOf,
} from "./read.ts";
import { type Dialect, type Json, type Kinds, NotSent } from "./types.ts";

const KNOWN = new Set(
  `prompt background model moderation n output_compression output_format partial_images quality
  response_format size stream style user safety_identifier`.split(/\s+/),
);

/** OpenAI's generation of images, for the models that report tokens. */
export const openaiImages: Dialect = {
  name: "openai-images",
  errors: "openai",
  matches: (path) => path.endsWith("/images/generations"),
  read(request) {
    const body = readBody(request.body, KNOWN, request.fields);
    const name = requireText(body, "model");
    if (name.startsWith("dall-e")) {
      throw new NotSent("no_usage", `${name} does not report what it used`);
    }
    const stream = isOn(body, "stream");
    const variant = variantOf(request.region);
    const choices = optionalCount(body, "n") ?? 1;
    return {
      is: "metered",
      dialect: "openai-images",
      model: `${request.provider}/${name}`,
      variant,
      stream,
      input: {
        text: new TextDecoder().decode(request.body),
        passes: 1,
        kinds: ["input", "input_image"],
      },
      output: { limit: undefined, lowest: undefined, choices, kinds: ["output", "output_image"] },
      fees: {},
      send: () => request.body,
      reader(streamed = stream) {
        let all: Kinds | undefined = {};
        let images = 0;
        let error: string | undefined;
        return {
          read(message) {
            if (!isObject(message)) return true;
            error = errorOf(message) ?? error;
            if (!isObject(message.usage)) return true;
            images += 1;
            all = sum(all, imageKinds(message));
            return true;
          },
          report: () => ({
            kinds: images > 0 ? all : undefined,
            // A stream has an event with its own usage for each image.
            complete: all !== undefined && images >= (streamed ? choices : 1),
            inputKnown: false,
            variant,
            error,
          }),
        };
      },
    };
  },
};

function imageKinds(answer: Json): Kinds | undefined {
  const usage = part(answer, "usage");
  const input = count(usage.input_tokens);
  const output = count(usage.output_tokens);
  const seen = Math.min(count(part(usage, "input_tokens_details").image_tokens), input);
  // Without details all of it is the image, which is what is dearer.
  const text = Math.min(count(part(usage, "output_tokens_details").text_tokens), output);
  return kindsOf({
    input: input - seen,
    input_image: seen,
    output: text,
    output_image: output - text,
  });
}

function sum(a: Kinds | undefined, b: Kinds | undefined): Kinds | undefined {
  if (a === undefined || b === undefined) return undefined;
  const all = { ...a };
  for (const [kind, n] of Object.entries(b)) all[kind] = (all[kind] ?? 0) + n;
  return all;
}
