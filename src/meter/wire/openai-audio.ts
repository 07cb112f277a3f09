import {
  count,
  errorOf,
  isObject,
  isOn,
  kindsOf,
  part,
  readBody,
  requireKnown,
  requireText,
  variantOf,
} from "./read.ts";
import {
  type Dialect,
  type Json,
  type Kinds,
  type MeteredCall,
  NotSent,
  type ReadableRequest,
  type Reader,
} from "./types.ts";

const KNOWN_IN_FORMS = new Set(
  `file model chunking_strategy include known_speaker_names known_speaker_references language languages
  keywords prompt response_format stream temperature timestamp_granularities`.split(/\s+/),
);
/** Formats in which the answer is JSON, and so has usage. */
const WITH_USAGE = ["json", "verbose_json", "diarized_json"];

const KNOWN_IN_SPEECH = new Set(
  "input model voice instructions response_format speed stream_format".split(" "),
);

/** OpenAI's transcription of sound, which reports tokens, or seconds for whisper. */
export const openaiTranscriptions: Dialect = {
  name: "openai-transcriptions",
  errors: "openai",
  matches: (path) => path.endsWith("/audio/transcriptions"),
  async read(request) {
    const form = await readForm(request);
    const name = requireText(form, "model");
    const stream = isOn(form, "stream");
    if (!WITH_USAGE.includes(String(form.response_format ?? "json"))) {
      throw new NotSent("no_usage", `an answer as ${String(form.response_format)} has no usage`);
    }
    const bySeconds = name.startsWith("whisper");
    return audioCall(request, {
      dialect: "openai-transcriptions",
      name,
      stream,
      text: undefined,
      input: bySeconds ? ["seconds"] : ["input", "input_audio"],
      output: bySeconds ? [] : ["output"],
      kindsIn: transcriptKinds,
    });
  },
};

/** OpenAI's speech, which reports usage in its stream of events only. */
export const openaiSpeech: Dialect = {
  name: "openai-speech",
  errors: "openai",
  matches: (path) => path.endsWith("/audio/speech"),
  read(request) {
    const body = readBody(request.body, KNOWN_IN_SPEECH, request.fields);
    const name = requireText(body, "model");
    if (body.stream_format !== "sse" || name.startsWith("tts-")) {
      throw new NotSent("no_usage", "speech reports what it used with stream_format sse only");
    }
    return audioCall(request, {
      dialect: "openai-speech",
      name,
      stream: true,
      text: new TextDecoder().decode(request.body),
      input: ["input"],
      output: ["output_audio"],
      kindsIn: (usage) =>
        kindsOf({ input: count(usage.input_tokens), output_audio: count(usage.output_tokens) }),
    });
  },
};

interface Audio {
  readonly dialect: "openai-transcriptions" | "openai-speech";
  readonly name: string;
  readonly stream: boolean;
  readonly text: string | undefined;
  readonly input: readonly string[];
  readonly output: readonly string[];
  kindsIn(usage: Json): Kinds | undefined;
}

function audioCall(request: ReadableRequest, audio: Audio): MeteredCall {
  const variant = variantOf(request.region);
  return {
    is: "metered",
    dialect: audio.dialect,
    model: `${request.provider}/${audio.name}`,
    variant,
    stream: audio.stream,
    input: { text: audio.text, passes: 1, kinds: audio.input },
    output: {
      limit: audio.output.length > 0 ? undefined : 0,
      lowest: undefined,
      choices: 1,
      kinds: audio.output,
    },
    fees: {},
    send: () => request.body,
    reader: () => audioReader(variant, audio.kindsIn),
  };
}

function audioReader(variant: string, kindsIn: Audio["kindsIn"]): Reader {
  let kinds: Kinds | undefined;
  let error: string | undefined;
  return {
    read(message) {
      if (!isObject(message)) return true;
      error = errorOf(message) ?? error;
      if (isObject(message.usage)) kinds = kindsIn(message.usage);
      return true;
    },
    report: () => {
      const complete = kinds !== undefined;
      return { kinds, complete, inputKnown: complete, variant, error };
    },
  };
}

function transcriptKinds(usage: Json): Kinds | undefined {
  if (usage.type === "duration") {
    const { seconds } = usage;
    return typeof seconds === "number" ? kindsOf({ seconds: Math.ceil(seconds) }) : undefined;
  }
  const input = count(usage.input_tokens);
  const text = Math.min(count(part(usage, "input_token_details").text_tokens), input);
  return kindsOf({ input: text, input_audio: input - text, output: count(usage.output_tokens) });
}

/** The fields of a form; its file is left out. */
async function readForm({ body, headers, fields }: ReadableRequest): Promise<Json> {
  const type = headers.get("content-type") ?? "";
  let form: FormData;
  try {
    form = await new Response(Buffer.from(body), { headers: { "content-type": type } }).formData();
  } catch {
    throw new NotSent("unreadable", "the body is not a form");
  }
  const json: Record<string, unknown> = {};
  for (const [name, value] of form) {
    const field = name.replace(/\[\]$/, "");
    if (field in json && field === name)
      throw new NotSent("unreadable", `the form has ${name} twice`);
    json[field] = typeof value === "string" && name === "stream" ? value === "true" : value;
  }
  requireKnown(json, KNOWN_IN_FORMS, fields, "the form");
  return json;
}
