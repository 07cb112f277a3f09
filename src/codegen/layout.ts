const WIDTH = 100;

/** A list on one line where it fits, else with an item a line. */
export function enclose(
  open: string,
  items: readonly string[],
  close: string,
  indent = "",
): string {
  const line = `${indent}${open}${items.join(", ")}${close}`;
  if (line.trimEnd().length <= WIDTH) return line;
  const lines = items.map((item) => `${indent}  ${item},\n`);
  return `${indent}${open}\n${lines.join("")}${indent}${close}`;
}

/** A string as TypeScript writes it, in the quotes that need fewer escapes. */
export function literal(text: string): string {
  return /["]/.test(text) && !/['\\\n]/.test(text) ? `'${text}'` : JSON.stringify(text);
}

/** A TSDoc block and its line end; nothing for an empty text. */
export function doc(text: string, indent = ""): string {
  if (!text) return "";
  const safe = text.replaceAll("*/", "*\\/");
  const single = `${indent}/** ${safe} */`;
  if (single.length <= WIDTH && !safe.includes("\n")) return `${single}\n`;
  const lines = safe.split("\n").flatMap((line) => wrap(line, WIDTH - indent.length - 3));
  const block = lines.map((line) => `${indent} * ${line}`.trimEnd());
  return `${indent}/**\n${block.join("\n")}\n${indent} */\n`;
}

function wrap(line: string, width: number): string[] {
  const lines = [""];
  for (const word of line.trim().split(/\s+/)) {
    const last = lines.at(-1) ?? "";
    if (last && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines;
}
