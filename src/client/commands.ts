import { BATCH_FIELDS, type BatchOperations } from "../generated/index.ts";
import { write } from "../wire/index.ts";
import type { MethodName } from "./methods.ts";

/** The name of a command that travels in batches. */
export type BatchedOp = keyof BatchOperations;

/** The functions that may run long, as there may be much to read or to sweep. */
export const SLOW: ReadonlySet<string> = new Set<MethodName>(["expireDue", "statement", "verify"]);

type SqlType = (typeof BATCH_FIELDS)[BatchedOp][number][2];

// biome-ignore lint/suspicious/noExplicitAny: each writer checks the type of its value at run time.
const WRITERS: { readonly [Type in SqlType]: write.Writer<any> } = {
  text: quoted,
  bigint: write.bigint,
  interval: seconds,
  boolean: write.boolean,
  jsonb: write.json,
};

/** Whether a function travels in batches. */
export function isBatchedOp(name: string): name is BatchedOp {
  return Object.hasOwn(BATCH_FIELDS, name);
}

/**
 * The JSON of a command in a batch. A value that cannot be sent is refused here, so that it does
 * not spoil the batch for the others.
 */
export function encode<Op extends BatchedOp>(op: Op, args: BatchOperations[Op]): string {
  const given = args as unknown as Readonly<Record<string, unknown>>;
  let text = `{"op":"${op}"`;
  for (const [argument, field, type] of BATCH_FIELDS[op]) {
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
