import type { Json } from "../../src/json/index.ts";
import type { Arguments } from "../support/ledger.ts";
import type { BatchOp } from "../support/operations.ts";

export const MAX = 9223372036854775807n;
export const MIN = -9223372036854775808n;
export const long = "x".repeat(300);
export const metadataOf = (bytes: number): Json => ({ a: "x".repeat(bytes - '{"a": ""}'.length) });
export const nested = (depth: number): Json =>
  JSON.parse(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`);

/** Every command, with arguments for which it is granted. */
export const granted: Record<BatchOp, Arguments> & Record<string, Arguments> = {
  open_wallet: { wallet_id: "new", unit: "USD", scale: 9n, overdraft_limit: 5n, metadata: {} },
  credit: { wallet_id: "w", amount: 5n, idempotency_key: "k", metadata: {} },
  withdraw: { wallet_id: "w", amount: 5n, idempotency_key: "k", metadata: {} },
  reserve: {
    wallet_id: "w",
    amount: 5n,
    idempotency_key: "k",
    ttl: "1 minute",
    reservation_id: "r",
    at_least: 3n,
    metadata: {},
  },
  settle: {
    wallet_id: "w",
    reservation_id: "open",
    amount: 5n,
    idempotency_key: "k",
    final: true,
    metadata: {},
  },
  cancel: { wallet_id: "w", reservation_id: "open", idempotency_key: "k", metadata: {} },
  extend: {
    wallet_id: "w",
    reservation_id: "open",
    ttl: "1 minute",
    idempotency_key: "k",
    amount: 200n,
    metadata: {},
  },
  charge: {
    wallet_id: "w",
    amount: 5n,
    idempotency_key: "k",
    reservation_id: "r",
    metadata: {},
  },
  refund: {
    wallet_id: "w",
    reservation_id: "charge",
    amount: 5n,
    idempotency_key: "k",
    metadata: {},
  },
  transfer: { from: "w", to: "other", amount: 5n, idempotency_key: "k", metadata: {} },
  freeze_wallet: { wallet_id: "w", reason: "stop", idempotency_key: "k", metadata: {} },
  unfreeze_wallet: { wallet_id: "w", reason: "go", idempotency_key: "k", metadata: {} },
};

const ids = [null, "", " ", "\t\r\n ", long, "x".repeat(256), "\u{1f4a9}".repeat(256)];
const amounts = [null, 0n, -1n, MIN];
const metadata: Json[] = [
  ...[[], [1], "text", 5, true, [{}]],
  ...[metadataOf(16385), metadataOf(1_000_000), { a: Array(9000).fill(0) }],
];
const ttls = ["0", "0.999999 seconds", "-1 second", "30 days 0.000001 seconds", "1 year"];
const farTtls = ["178000000 years", "-178000000 years", "31 days", "1 mon 1 second"];

/** Bad values of each argument. */
const bad: Record<string, readonly (Json | undefined)[]> = {
  wallet_id: ids,
  from: ids,
  to: ids,
  idempotency_key: ids,
  reservation_id: ids,
  unit: ids,
  reason: [null, "", " ", "\n", "x".repeat(1001)],
  amount: amounts,
  at_least: [0n, -1n, MIN, 6n, MAX],
  scale: [null, -1n, 19n, 2147483647n, -2147483648n],
  overdraft_limit: [-1n, MIN],
  ttl: [...ttls, ...farTtls],
  metadata,
};

/** Whether a command takes null, or 0, for an argument. */
function allowed(name: string, field: string, value: Json | undefined): boolean {
  if (value === 0n && field === "amount") return name === "settle";
  if (value !== null) return false;
  if (field === "reservation_id") return name === "reserve" || name === "charge";
  if (field === "idempotency_key") return name.endsWith("freeze_wallet");
  if (field === "amount") return name === "extend";
  return field === "overdraft_limit" || field === "at_least";
}

/** For each command and each of its arguments: calls in which only that argument is bad. */
export const badArguments = Object.entries(granted).flatMap(([name, args]) =>
  Object.keys(args).map((field) => {
    const values = (bad[field] ?? []).filter((value) => !allowed(name, field, value));
    return [name, field, values.map((value): Arguments => ({ ...args, [field]: value }))] as const;
  }),
);
export const withBadArguments = badArguments.filter(([, , calls]) => calls.length > 0);
