// Names and lines, as SQL and TypeScript write them.
const WIDTH = 100;
const SNAKE_CASE = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;

/** Refuses a name in another style: as camelCase it could be another's, or not a name at all. */
export function checkName(name: string): string {
  if (!SNAKE_CASE.test(name)) throw new Error(`"${name}" is not in lower snake_case`);
  return name;
}

/** `wallet_id` → `walletId` */
export function camelCase(name: string): string {
  return checkName(name).replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `wallet_balance` → `WalletBalance` */
export function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}

/** A name as SQL writes it, keyword or not. */
export function quote(name: string): string {
  return `"${checkName(name)}"`;
}

const RESERVED = new Set(
  (
    "arguments await break case catch class const continue debugger default delete do else enum " +
    "eval export extends false finally for function if implements import in instanceof interface " +
    "let new null package private protected public return static super switch this throw true " +
    "try typeof undefined var void while with yield"
  ).split(" "),
);

/** A name that may be declared: `delete` → `delete_`. */
export function declarable(name: string): string {
  return RESERVED.has(name) ? `${name}_` : name;
}

/** Gives each name once; a second claim is an error that names both owners. */
export function nameSpace(taken: readonly string[] = []): (name: string, owner: string) => string {
  const owners = new Map(taken.map((name) => [name, "the module's own"]));
  return (name, owner) => {
    const first = owners.get(name);
    if (first) throw new Error(`${owner} and ${first} would both be called ${name}`);
    owners.set(name, owner);
    return name;
  };
}

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
