/** Whether a comment has the marker of a result that is never null. */
export function isNotNull(comment: string): boolean {
  return /@notNull\b/.test(comment);
}

/** A comment without its markers. */
export function withoutMarkers(comment: string): string {
  return comment.replace(/\s*@(notNull\b|commands\([^)]*\))/g, "").trim();
}

/** The functions of which a JSON argument is a list of calls, by the marker in its description. */
export function commandsOf(description: string): readonly string[] {
  const [, names = ""] = /@commands\(([^)]*)\)/.exec(description) ?? [];
  return names.match(/\w+/g) ?? [];
}

const ARGUMENT = /^([a-z_][a-z0-9_]*): *(.*)$/;

/**
 * Splits a comment: lines such as `p_amount: How much.` describe the arguments of that name, the rest
 * is the text. With `names`, only lines that begin with one of them count.
 */
export function splitComment(
  comment: string,
  names?: readonly string[],
): { readonly text: string; readonly descriptions: ReadonlyMap<string, string> } {
  const descriptions = new Map<string, string>();
  const text = comment.split("\n").filter((line) => {
    const [, name, description] = ARGUMENT.exec(line) ?? [];
    if (name === undefined || names?.includes(name) === false) return true;
    descriptions.set(name, description ?? "");
    return false;
  });
  return { text: text.join("\n").trim(), descriptions };
}
