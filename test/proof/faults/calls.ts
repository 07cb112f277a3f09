// Random calls that affect each other: few wallets, and ids that many clients use at the same time.

import type { Json } from "../../../src/json/index.ts";
import type { Random } from "../../../src/trace/index.ts";
import { type BatchOp, POST_FUNDS_OPS, POST_OPS } from "../../support/operations.ts";
import type { Call } from "./history.ts";

type Args = Record<string, Json>;

/** What calls are drawn from. */
export interface Source {
  readonly random: Random;
  readonly wallets: readonly string[];
  /** The prefix of this client's keys, which no other client has. */
  readonly name: string;
  /** Whether it sends usage for some of its amounts: see prices.ts. */
  readonly byUsage?: boolean;
}

/** How often each call comes, relative to the others. */
const WEIGHTS: Readonly<Record<BatchOp, number> & Record<string, number>> = {
  reserve: 30,
  settle: 26,
  cancel: 6,
  extend: 8,
  charge: 8,
  refund: 5,
  credit: 5,
  withdraw: 3,
  transfer: 6,
  freeze_wallet: 0.5,
  unfreeze_wallet: 4,
  post: 12,
  post_many: 12,
  post_funds: 5,
};

/** In a batch, reservations and settlements come twice as often. */
const inBatch = (ops: readonly string[]) =>
  ops.flatMap((op) => (op === "reserve" || op === "settle" ? [op, op] : [op]));
const IN_POST = inBatch(POST_OPS);
const IN_POST_FUNDS = inBatch(POST_FUNDS_OPS);
/** How many reservation ids are in use at the same time. */
const IDS = 12;

/** Draws calls, each with a new key. */
export function createDraw(source: Source, names: readonly string[]) {
  const { random, wallets, name, byUsage = false } = source;
  let calls = 0;
  const oneOf = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)] as T;

  /** Clients reach the same ids at about the same time. */
  const id = () => `r${calls * 2 + random.integer(0, IDS)}`;
  const amount = () => random.integer(1, random.chance(0.1) ? 400 : 60);
  /** Usage in place of an amount, now and then of a model that nobody knows. */
  const spending = (least = 1): Args => {
    if (!byUsage || random.chance(0.6)) return { amount: amount() - 1 + least };
    const model = oneOf(["x/one", "x/one", "x/one", "x/it", "x/none"]);
    const counts = { input: random.integer(1, 40), output: random.integer(0, 9) };
    return { amount: null, usage: { model, variant: "standard", ...counts } };
  };
  const ttl = () => (random.chance(0.7) ? 1 : 600);
  const metadata = (): Args => (random.chance(0.1) ? { metadata: { by: name, n: calls } } : {});

  const makers: Readonly<Record<BatchOp, () => Args> & Record<string, () => Args>> = {
    reserve: () => {
      const its = spending();
      const isFree = (its.usage as Args | undefined)?.model === "x/free";
      const atLeast = !isFree && random.chance(0.2) && { at_least: 1 };
      return { ...its, ttl: ttl(), reservation_id: id(), ...atLeast };
    },
    settle: () => ({
      ...spending(0),
      reservation_id: id(),
      ...(random.chance(0.3) && { final: false }),
    }),
    cancel: () => ({ reservation_id: id() }),
    extend: () => ({
      reservation_id: id(),
      ttl: ttl(),
      ...(random.chance(0.4) && { amount: amount() }),
    }),
    charge: () => ({ ...spending(), reservation_id: id() }),
    refund: () => ({ amount: random.integer(1, 9), reservation_id: id() }),
    credit: () => ({ amount: amount() }),
    withdraw: () => ({ amount: amount() }),
    freeze_wallet: () => ({ reason: "by chance" }),
    unfreeze_wallet: () => ({ reason: "by chance" }),
  };
  const make = (call: string, key: string): Args => {
    return { ...makers[call]?.(), idempotency_key: key, ...metadata() };
  };
  const batch = (ops: readonly string[], key: string): Args[] =>
    Array.from({ length: random.integer(1, 7) }, (_, i) => {
      const op = oneOf(ops);
      return { op, ...make(op, `${key} ${i}`) };
    });

  return (): Call => {
    const call = weighted(random, names);
    const key = `${name} ${calls++}`;
    const wallet_id = oneOf(wallets);
    switch (call) {
      case "post":
        return { call, args: { wallet_id, commands: batch(IN_POST, key) } };
      case "post_many": {
        const commands = batch(IN_POST, key).map((each) => ({
          wallet_id: oneOf(wallets),
          ...each,
        }));
        return { call, args: { commands } };
      }
      case "post_funds":
        return { call, args: { wallet_id, commands: batch(IN_POST_FUNDS, key) } };
      case "transfer": {
        const to = oneOf(wallets.filter((other) => other !== wallet_id));
        return { call, args: { from: wallet_id, to, amount: amount(), idempotency_key: key } };
      }
      default:
        return { call, args: { wallet_id, ...make(call, key) } };
    }
  };
}

/** The calls of SQL clients. */
export const SQL_CALLS = Object.keys(WEIGHTS);
/** The calls through the TypeScript client, which makes batches of its own. */
export const CLIENT_CALLS = SQL_CALLS.filter((call) => !call.startsWith("post"));

function weighted(random: Random, names: readonly string[]): string {
  const weight = (name: string) => WEIGHTS[name] ?? 0;
  let left = random.uniform() * names.reduce((sum, name) => sum + weight(name), 0);
  for (const name of names) {
    left -= weight(name);
    if (left < 0) return name;
  }
  return "reserve";
}
