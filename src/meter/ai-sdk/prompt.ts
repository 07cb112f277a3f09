import { isObject, list } from "../wire/read.ts";
import type { Json } from "../wire/types.ts";

const TEXT_OUTPUTS = new Set(["text", "json", "error-text", "error-json", "execution-denied"]);

/** Whether all that the model reads stands in the messages as text. */
export function isText(prompt: unknown): boolean {
  return list(prompt).every((message) => {
    if (!isObject(message)) return false;
    const { role, content } = message;
    if (typeof content === "string") return true;
    return Array.isArray(content) && content.every((part) => isTextPart(part, role));
  });
}

function isTextPart(part: unknown, role: unknown): boolean {
  if (!isObject(part)) return false;
  switch (part.type) {
    case "text":
    case "tool-call":
    case "tool-approval-request":
    case "tool-approval-response":
      return true;
    case "reasoning":
      return !isStored(part);
    case "tool-result":
      // A result in an answer is of a tool of the provider's, which may have stored more of it.
      return role === "tool" && isTextOutput(part.output);
    default:
      return false;
  }
}

function isTextOutput(output: unknown): boolean {
  if (!isObject(output)) return false;
  if (TEXT_OUTPUTS.has(String(output.type))) return true;
  return (
    output.type === "content" &&
    list(output.value).every((each) => isObject(each) && each.type === "text")
  );
}

/** Whether reasoning is only referred to, by the id under which the provider has stored it. */
function isStored({ providerOptions }: Json): boolean {
  return Object.values(isObject(providerOptions) ? providerOptions : {}).some(
    (own) =>
      isObject(own) &&
      typeof own.itemId === "string" &&
      typeof own.reasoningEncryptedContent !== "string",
  );
}

/** The values of all fields of this name, at any depth. */
export function valuesOf(field: string, value: unknown): unknown[] {
  if (Array.isArray(value)) return value.flatMap((each) => valuesOf(field, each));
  if (!isObject(value) || ArrayBuffer.isView(value)) return [];
  const own = value[field] === undefined || value[field] === null ? [] : [value[field]];
  return [...own, ...Object.values(value).flatMap((each) => valuesOf(field, each))];
}
