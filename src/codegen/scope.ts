import type { Catalog, TypeInfo } from "./catalog.ts";

/** What printing one module shares. */
export interface Scope {
  readonly catalog: Catalog;
  readonly schema: string;
  /** claims a name of the module; throws when it is taken */
  readonly claim: (name: string, owner: string) => string;
  /** types that were met: enums and composite types are to be declared, each once */
  readonly used: Set<TypeInfo>;
  /** names of the types of commands that were printed: batches share them */
  readonly commands: Set<string>;
}

/** Runs a part of the printing; an error then says what was being printed. */
export function printing<T>(what: string, part: () => T): T {
  try {
    return part();
  } catch (cause) {
    throw new Error(`${what}: ${(cause as Error).message}`, { cause });
  }
}
