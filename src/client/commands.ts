import type * as generated from "../generated/index.ts";
import { write } from "../wire/index.ts";
import type { MethodName } from "./methods.ts";

type Generated = typeof generated;
type Command = generated.PostCommand;

/** A command that travels in batches, by name. */
export type BatchedOp = Command["op"];

/** The arguments of the commands that travel in batches. */
export type BatchedArgs = { readonly [Op in BatchedOp]: Parameters<Generated[Op]>[1] };

/** The fields of a command, as `post` reads them. */
type FieldOf<Op> = Op extends BatchedOp
  ? Exclude<keyof Extract<Command, { readonly op: Op }>, "op">
  : never;

/** The commands that `post` takes, with their fields. */
const BATCHED_COMMANDS: { readonly [Op in BatchedOp]: readonly FieldOf<Op>[] } = {
  reserve: ["idempotency_key", "amount", "ttl", "reservation_id", "at_least", "metadata"],
  settle: ["idempotency_key", "reservation_id", "amount", "final", "metadata"],
  cancel: ["idempotency_key", "reservation_id", "metadata"],
  extend: ["idempotency_key", "reservation_id", "ttl", "amount", "metadata"],
  charge: ["idempotency_key", "amount", "reservation_id", "metadata"],
};

/** The functions that only read. */
export const READS: ReadonlySet<MethodName> = new Set<MethodName>([
  "balance",
  "balanceAt",
  "doctor",
  "nextDue",
  "statement",
  "sweepStatus",
  "verify",
  "verifyRights",
  "walletsAhead",
]);

/** The functions that may run long, as there may be much to read or to sweep. */
export const SLOW: ReadonlySet<MethodName> = new Set<MethodName>([
  "expireDue",
  "statement",
  "verify",
]);

// biome-ignore lint/suspicious/noExplicitAny: each writer checks the type of its value at run time.
type AnyWriter = write.Writer<any>;

/** How each field is written as JSON. */
const WRITERS: { readonly [Field in FieldOf<BatchedOp>]: AnyWriter } = {
  idempotency_key: quoted,
  reservation_id: quoted,
  amount: write.bigint,
  at_least: write.bigint,
  ttl: seconds,
  final: write.boolean,
  metadata: write.json,
};

/** What is written of each command: the argument, the field, and how. */
const ENTRIES = new Map(
  Object.entries(BATCHED_COMMANDS).map(([op, fields]) => [
    op,
    fields.map((field) => [toCamelCase(field), field, WRITERS[field]] as const),
  ]),
);

/** Whether a function travels in batches. */
export function isBatchedOp(name: string): name is BatchedOp {
  return ENTRIES.has(name);
}

/**
 * The JSON of a command in a batch. A value that cannot be sent is refused here, so that it does
 * not spoil the batch for the others.
 */
export function encode<Op extends BatchedOp>(op: Op, args: BatchedArgs[Op]): string {
  const given = args as unknown as Readonly<Record<string, unknown>>;
  let text = `{"op":"${op}"`;
  for (const [name, field, write] of ENTRIES.get(op) ?? []) {
    const value = given[name];
    if (value !== undefined && value !== null) text += `,"${field}":${write(value, field)}`;
  }
  return `${text}}`;
}

function quoted(value: string, field: string): string {
  return JSON.stringify(write.text(value, field));
}

function seconds(value: number | string, field: string): string {
  return typeof value === "number" ? write.number(value, field) : quoted(value, field);
}

function toCamelCase(field: string): string {
  return field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
