import { styleText } from "node:util";

/*
 * What may go to a terminal. Ids, keys, reasons and metadata are untrusted: an escape sequence, a
 * line break or an invisible character in one of them could hide or forge lines on the screen of
 * whoever reads it. So lines are made with `text`, which escapes every value that is put into it,
 * but neither the literal around it nor styles. A string that reaches the output in any other way
 * is escaped.
 */
const SAFE = Symbol("safe");

/** Text that is safe to write to a terminal. Only this module makes it. */
export interface SafeText {
  readonly [SAFE]: string;
}

/** A template tag: the values are escaped, unless they are {@link SafeText} already. */
export function text(
  literals: TemplateStringsArray,
  ...values: readonly (SafeText | string | number | bigint)[]
): SafeText {
  return trusted(literals.map((literal, i) => literal + terminalText(values[i] ?? "")).join(""));
}

/** Joins parts, by default as lines. */
export function joined(parts: readonly (SafeText | string)[], separator = "\n"): SafeText {
  return trusted(parts.map(terminalText).join(separator));
}

/** A value in colours, where the stream has them. */
export function styled(
  format: Parameters<typeof styleText>[0],
  value: SafeText | string,
  stream: NodeJS.WriteStream = process.stdout,
): SafeText {
  return trusted(styleText(format, terminalText(value), { stream }));
}

/** Marks a string as safe: for text with nothing untrusted in it. */
export function trusted(value: string): SafeText {
  return { [SAFE]: value };
}

/** The text to write to a terminal; a plain string is escaped. */
export function terminalText(value: SafeText | string | number | bigint): string {
  return typeof value === "object" ? value[SAFE] : visible(String(value));
}

// Controls, formats (bidirectional, zero-width), lone surrogates, private and unassigned
// characters, line separators, and what is drawn as nothing.
const UNPRINTABLE = String.raw`\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}`;
// Besides: blanks that are not the blank, and blanks at an end or in a row, with which a name
// could fake the columns of a table; a mark that would join the character before the value.
const UNSEEN = new RegExp(
  String.raw`[${UNPRINTABLE}\u2800]|(?! )\p{Zs}|(?<= ) |^ | $|^\p{M}`,
  "gu",
);
const CONTROLS = new RegExp(`[${UNPRINTABLE}]`, "gu");
const CONTROLS_IN_JSON = new RegExp(String.raw`(?!\n)[${UNPRINTABLE}]`, "gu");

/** Escapes all in a value that cannot be seen, like `\x1b`, so that it is one line. */
export function visible(value: string): string {
  return value.replace(UNSEEN, escapeOf);
}

/** Escapes only what cannot be printed: for a file, which may end up on a terminal. */
export function printable(value: string): string {
  return value.replace(CONTROLS, escapeOf);
}

/** Escapes what cannot be printed in JSON, without changing what it means. */
export function printableJson(json: string): string {
  // Inside of strings, JSON.stringify has escaped line breaks already.
  return json.replace(CONTROLS_IN_JSON, (found) =>
    Array.from({ length: found.length }, (_, i) => {
      return `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }).join(""),
  );
}

const NAMES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeOf(found: string): string {
  const code = found.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return NAMES[found] ?? (code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`);
}
