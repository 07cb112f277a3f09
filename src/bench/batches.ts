import type { Operation } from "./measure.ts";
import { CLIENTS, clientOf } from "./server.ts";
import { type BatchCommand, postBatch } from "./statements.ts";
import {
  type Call,
  type Distribution,
  type Ground,
  type NextCall,
  nextKey,
  type PickWallet,
  type Workload,
} from "./workload.ts";

const SIZES = [1, 10, 100, 500];
const GOAL_SIZE = 100;
const DISTRIBUTIONS: readonly Distribution[] = ["spread", "hot"];

/**
 * A batch of reservations, then one with their settlements: model calls take seconds, so a batch
 * settles what earlier ones have reserved, and each reservation is stored in between. Settling
 * within the batch saves that; it is measured once.
 */
export const batches: readonly Workload[] = DISTRIBUTIONS.flatMap((wallets) => [
  ...SIZES.map(
    (size): Workload => ({
      name: `batches of ${size}, ${wallets}`,
      family: "batch",
      wallets,
      clients: CLIENTS,
      ...(size === GOAL_SIZE && { isGoal: true }),
      create: (ground, pick, client) => postInTurn(ground, pick, client, size),
    }),
  ),
  {
    name: `batches of ${GOAL_SIZE}, settled within, ${wallets}`,
    family: "batch",
    wallets,
    clients: CLIENTS,
    create: (ground, pick, client) => postPairs(ground, pick, client, GOAL_SIZE),
  },
]);

/** A call with a key. */
interface Keyed extends Call {
  readonly key: string;
}

function postInTurn(
  { database, nextCall }: Ground,
  pick: PickWallet,
  client: number,
  size: number,
): Operation {
  const sql = clientOf(database, client);
  let open: { readonly wallet: string; readonly reserved: readonly Keyed[] } | undefined;
  return async () => {
    if (open) {
      await postBatch(sql, open.wallet, open.reserved.map(settlement));
      open = undefined;
      return size;
    }
    const [wallet, reserved] = [pick(), take(nextCall, size)];
    await postBatch(sql, wallet, reserved.map(reservation));
    open = { wallet, reserved };
    return size;
  };
}

function postPairs(
  { database, nextCall }: Ground,
  pick: PickWallet,
  client: number,
  size: number,
): Operation {
  const sql = clientOf(database, client);
  return async () => {
    const pairs = take(nextCall, size / 2).flatMap((call) => [reservation(call), settlement(call)]);
    await postBatch(sql, pick(), pairs);
    return size;
  };
}

function take(nextCall: NextCall, count: number): Keyed[] {
  return Array.from({ length: count }, () => ({ ...nextCall(), key: nextKey() }));
}

function reservation({ key, hold }: Keyed): BatchCommand {
  return { op: "reserve", idempotency_key: key, amount: `${hold}`, ttl: 3600 };
}

function settlement({ key, cost }: Keyed): BatchCommand {
  return { op: "settle", reservation_id: key, idempotency_key: `${key}-cost`, amount: `${cost}` };
}
