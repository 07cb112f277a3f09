import { styleText } from "node:util";

/*
 * What may go to a terminal. Ids, keys, reasons and metadata are other people's text: an escape
 * sequence, a line break or an invisible character in one of them could hide or forge lines on the
 * screen of whoever reads it. So a line is made with `text`, which escapes every value that is put
 * into it; what stands in our source, and styles, pass as they are. A string that reaches the
 * output in any other way is escaped as a whole.
 */
const SHOWN = Symbol("shown");

/** Text that is safe to write to a terminal. Only this module makes it. */
export interface Shown {
  readonly [SHOWN]: string;
}

/** A template tag: the values are escaped, unless they are {@link Shown} already. */
export function text(
  literals: TemplateStringsArray,
  ...values: readonly (Shown | string | number | bigint)[]
): Shown {
  return ours(literals.map((literal, i) => literal + terminalText(values[i] ?? "")).join(""));
}

/** Puts parts one after the other, by default as lines. */
export function joined(parts: readonly (Shown | string)[], separator = "\n"): Shown {
  return ours(parts.map(terminalText).join(separator));
}

/** A value in colours, where the stream has them. */
export function styled(
  format: Parameters<typeof styleText>[0],
  value: Shown | string,
  stream: NodeJS.WriteStream = process.stdout,
): Shown {
  return ours(styleText(format, terminalText(value), { stream }));
}

/** Takes a string as it is: for text that has nothing of anybody else's in it. */
export function ours(value: string): Shown {
  return { [SHOWN]: value };
}

/** What to write to the terminal. */
export function terminalText(value: Shown | string | number | bigint): string {
  return typeof value === "object" ? value[SHOWN] : visible(String(value));
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

/** A value as one line in which everything can be seen: the rest is escaped, like `\x1b`. */
export function visible(value: string): string {
  return value.replace(UNSEEN, escapeOf);
}

/** A value for a file that may end up on a terminal: as it is, but for what cannot be printed. */
export function printable(value: string): string {
  return value.replace(CONTROLS, escapeOf);
}

/** JSON that says the same with nothing unprintable in it, but for the line breaks between items. */
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
