import type {
  CancelArgs,
  ChargeArgs,
  ExtendArgs,
  ReserveArgs,
  SettleArgs,
} from "../generated/index.ts";
import * as write from "../wire/write.ts";

/** The commands that travel in batches, with their arguments. */
export interface BatchedArgs {
  readonly reserve: ReserveArgs;
  readonly settle: SettleArgs;
  readonly cancel: CancelArgs;
  readonly extend: ExtendArgs;
  readonly charge: ChargeArgs;
}

/** A command that travels in batches. */
export type BatchedOp = keyof BatchedArgs;

// biome-ignore lint/suspicious/noExplicitAny: each writer checks the type of its value at run time.
type Field = readonly [name: string, field: string, write: write.Writer<any>];

const key: Field = ["idempotencyKey", "idempotency_key", quoted];
const reservation: Field = ["reservationId", "reservation_id", quoted];
const amount: Field = ["amount", "amount", write.bigint];
const atLeast: Field = ["atLeast", "at_least", write.bigint];
const ttl: Field = ["ttl", "ttl", seconds];
const final: Field = ["final", "final", write.boolean];
const metadata: Field = ["metadata", "metadata", write.json];

const FIELDS: Readonly<Record<BatchedOp, readonly Field[]>> = {
  reserve: [key, amount, ttl, reservation, atLeast, metadata],
  settle: [key, reservation, amount, final, metadata],
  cancel: [key, reservation, metadata],
  extend: [key, reservation, ttl, amount, metadata],
  charge: [key, amount, reservation, metadata],
};

/** Whether a command of this name travels in batches. */
export function isBatchedOp(name: string): name is BatchedOp {
  return Object.hasOwn(FIELDS, name);
}

/**
 * The text of a command, as it stands in a batch. A value that cannot be sent is refused here, so
 * that it does not spoil the batch for the others.
 */
export function encode<Op extends BatchedOp>(op: Op, args: BatchedArgs[Op]): string {
  const given = args as unknown as Readonly<Record<string, unknown>>;
  let text = `{"op":"${op}"`;
  for (const [name, field, write] of FIELDS[op]) {
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
