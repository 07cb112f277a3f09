import { BATCH_FIELDS, type BatchOperations } from "../generated/index.ts";
import { write } from "../wire/index.ts";
import type { MethodName } from "./methods.ts";

/** The name of a method whose calls travel in batches. */
export type BatchedMethod = keyof BatchOperations;

/** The functions that may run long, as there may be much to read or to sweep. */
export const SLOW: ReadonlySet<string> = new Set<MethodName>(["expireDue", "statement", "verify"]);

type SqlType = (typeof BATCH_FIELDS)[BatchedMethod]["fields"][number][2];

// biome-ignore lint/suspicious/noExplicitAny: each writer checks the type of its value at run time.
const WRITERS: { readonly [Type in SqlType]: write.Writer<any> } = {
  text: quoted,
  bigint: write.bigint,
  interval: seconds,
  boolean: write.boolean,
  jsonb: write.json,
};

/** Whether the calls of a method travel in batches. */
export function isBatched(name: string): name is BatchedMethod {
  return Object.hasOwn(BATCH_FIELDS, name);
}

/**
 * The JSON of a command in a batch. A value that cannot be sent is refused here, so that it does
 * not spoil the batch for the others.
 */
export function encode<Name extends BatchedMethod>(
  name: Name,
  args: BatchOperations[Name],
): string {
  const given = args as unknown as Readonly<Record<string, unknown>>;
  const { op, fields } = BATCH_FIELDS[name];
  let text = `{"op":"${op}"`;
  for (const [argument, field, type] of fields) {
    const value = given[argument];
    if (value !== undefined && value !== null) text += `,"${field}":${WRITERS[type](value, field)}`;
  }
  return `${text}}`;
}

function quoted(value: string, field: string): string {
  return JSON.stringify(write.text(value, field));
}

function seconds(value: number | string, field: string): string {
  return typeof value === "number" ? write.number(value, field) : quoted(value, field);
}
