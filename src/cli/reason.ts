import type { StatementLine } from "../generated/index.ts";

/** Why it was done, if whoever did it said so. */
export function reasonOf({ details }: Pick<StatementLine, "details">): string | undefined {
  const { reason } = (details ?? {}) as { readonly reason?: unknown };
  return typeof reason === "string" ? reason : undefined;
}
