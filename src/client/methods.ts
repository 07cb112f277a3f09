import type { NotSettledError } from "../errors/index.ts";
import * as generated from "../generated/index.ts";
import type { Queryable } from "../wire/index.ts";
import { createIdempotencyKey } from "./keys.ts";
import type { Receipts } from "./receipts.ts";

type Generated = typeof generated;
type Takes<Args extends readonly unknown[]> = (sql: Queryable, ...args: Args) => unknown;

/** Arguments of which the idempotency key may be left out: a new one is made for each call. */
export type KeyOptional<Args> =
  // Of a union, each one: either an amount is given or usage.
  Args extends { readonly idempotencyKey: unknown }
    ? Pick<Args, Exclude<keyof Args, "idempotencyKey">> & {
        /** The caller's name for the command. Default: a new one. */
        readonly idempotencyKey?: string | null | undefined;
      }
    : Args;

/** The function that looks a key up: there, none can be made up. */
type LooksUp = typeof LOOKS_UP;
const LOOKS_UP = "receipt";

/** What a settlement that failed has can be sent as it is. */
type Failed<Name> = Name extends "settle" ? NotSettledError : never;

type Rest<Name, F> =
  F extends Takes<infer Args>
    ? Name extends LooksUp
      ? Args
      : { [Index in keyof Args]: KeyOptional<Args[Index]> | Failed<Name> }
    : never;

type Answer<Name, F> = Name extends keyof Receipts
  ? Receipts[Name]
  : F extends (...args: never) => Promise<infer Result>
    ? Result
    : never;

/**
 * Every function of the ledger as a method, with the arguments of its wrapper. A refusal rejects
 * with its class, e.g. `InsufficientFundsError`.
 */
export type LedgerMethods = {
  // Mapped over the module's own keys, so that each method keeps the description of its function.
  readonly [Name in keyof Generated as Generated[Name] extends Takes<never> ? Name : never]: (
    ...args: Rest<Name, Generated[Name]>
  ) => Promise<Answer<Name, Generated[Name]>>;
};

/** Names of the functions of the ledger. */
export type MethodName = keyof LedgerMethods;

/** The wrapper of a function, whatever its arguments. */
export type Wrapper = (sql: Queryable, args: Args) => Promise<unknown>;

/** Arguments of a call, with an idempotency key. */
export type Args = Readonly<Record<string, unknown>> & { readonly idempotencyKey: string };

/** Makes a method of each wrapper; `send` sends its calls. */
export function createMethods(
  send: (name: MethodName, wrapper: Wrapper, args: Args) => Promise<unknown>,
): LedgerMethods {
  // What else the module exports are lists.
  const functions = Object.entries(generated).filter(([, value]) => typeof value === "function");
  const methods = (functions as unknown as [MethodName, Wrapper][]).map(([name, wrapper]) => [
    name,
    // Wrappers of functions without a key ignore it.
    async (args?: Partial<Args>) =>
      send(name, wrapper, {
        ...args,
        idempotencyKey: args?.idempotencyKey ?? (name === LOOKS_UP ? "" : createIdempotencyKey()),
      }),
  ]);
  return Object.fromEntries(methods);
}
