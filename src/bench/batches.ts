import { post, postMany } from "./statements.ts";
import {
  CLIENTS,
  type Distribution,
  type NextCall,
  type NextStep,
  nextKey,
  type PickWallet,
  type TextCall,
  type WireWorkload,
} from "./workload.ts";

const SIZES = [1, 10, 100, 500];
const GOAL_SIZE = 100;
const DISTRIBUTIONS: readonly Distribution[] = ["spread", "hot"];

/**
 * A batch of reservations, then one with their settlements: model calls take seconds, so a batch
 * settles what earlier ones have reserved, and each reservation is stored in between. Settling
 * within the batch saves that; it is measured once.
 */
const ofOneWallet: readonly WireWorkload[] = DISTRIBUTIONS.flatMap((wallets) => [
  ...SIZES.map(
    (size): WireWorkload => ({
      name: `batches of ${size}, ${wallets}`,
      family: "batch",
      wallets,
      clients: CLIENTS,
      ...(size === GOAL_SIZE && { isGoal: true }),
      create: postInTurn(size),
    }),
  ),
  {
    name: `batches of ${GOAL_SIZE}, settled within, ${wallets}`,
    family: "batch",
    wallets,
    clients: CLIENTS,
    create: postPairs(GOAL_SIZE),
  },
]);

/**
 * The same in as many wallets, by `post_many`. Each client has wallets of its own, as a program sends
 * no wallet's commands in two batches at once: what others have locked would be refused.
 */
const ofManyWallets: WireWorkload = {
  name: `batches of ${GOAL_SIZE} in as many wallets, spread`,
  family: "batch",
  wallets: "spread",
  clients: CLIENTS,
  isGoal: true,
  create: postManyInTurn(GOAL_SIZE),
};

/** Batches of each kind. */
export const batches: readonly WireWorkload[] = [...ofOneWallet, ofManyWallets];

/** A call with a key. */
interface Keyed extends TextCall {
  readonly key: string;
}

function postInTurn(size: number): WireWorkload["create"] {
  const postBatch = poster(size);
  return (nextCall, pick) => {
    let open: { readonly wallet: string; readonly reserved: readonly Keyed[] } | undefined;
    return () => {
      if (open) {
        const { wallet, reserved } = open;
        open = undefined;
        return postBatch(wallet, reserved.map(settlement));
      }
      const [wallet, reserved] = [pick(), take(nextCall, size)];
      open = { wallet, reserved };
      return postBatch(wallet, reserved.map(reservation));
    };
  };
}

function postPairs(size: number): WireWorkload["create"] {
  const postBatch = poster(size);
  return (nextCall: NextCall<TextCall>, pick: PickWallet): NextStep =>
    () => {
      const calls = take(nextCall, size / 2);
      return postBatch(
        pick(),
        calls.flatMap((call) => [reservation(call), settlement(call)]),
      );
    };
}

function postManyInTurn(size: number): WireWorkload["create"] {
  const statement = postMany(size);
  let clients = 0;
  return (nextCall, pick) => {
    const client = clients % CLIENTS;
    clients += 1;
    let open: readonly (readonly [wallet: string, call: Keyed])[] | undefined;
    return () => {
      const [calls, command] = open
        ? ([open, settlement] as const)
        : ([zip(pickSome(pick, size, client), take(nextCall, size)), reservation] as const);
      open = open ? undefined : calls;
      const commands = calls.map(([wallet, call]) => inWallet(wallet, command(call)));
      const values = [`[${commands.join()}]`];
      return { executions: [{ statement, values }], operations: size };
    };
  };
}

/**
 * Picks wallets out of those of a client: different ones, as far as there are so many. A draw that
 * misses too often says that there are not.
 */
function pickSome(pick: PickWallet, count: number, client: number): string[] {
  const picked = new Set<string>();
  for (let draws = 0; picked.size < count && draws < count * CLIENTS * 10; draws += 1) {
    const wallet = pick();
    if (Number(wallet.slice(wallet.lastIndexOf("-") + 1)) % CLIENTS === client) picked.add(wallet);
  }
  const all = [...picked];
  if (all.length === 0) throw new Error(`${CLIENTS} clients need as many wallets at least`);
  return Array.from({ length: count }, (_, i) => all[i % all.length] as string);
}

function zip<A, B>(left: readonly A[], right: readonly B[]): (readonly [A, B])[] {
  return left.map((value, i) => [value, right[i] as B] as const);
}

function inWallet(wallet: string, command: string): string {
  return `{"wallet_id":"${wallet}",${command.slice(1)}`;
}

function poster(size: number) {
  const statement = post(size);
  return (wallet: string, commands: readonly string[]) => ({
    executions: [{ statement, values: [wallet, `[${commands.join()}]`] }],
    operations: size,
  });
}

function take(nextCall: NextCall<TextCall>, count: number): Keyed[] {
  return Array.from({ length: count }, () => ({ ...nextCall(), key: nextKey("wire") }));
}

// Put together as text, which is a third of the work of making objects and then JSON of them.
function reservation({ key, hold }: Keyed): string {
  return `{"op":"reserve","idempotency_key":"${key}","amount":"${hold}","ttl":3600}`;
}

function settlement({ key, cost }: Keyed): string {
  return `{"op":"settle","reservation_id":"${key}","idempotency_key":"${key}-cost","amount":"${cost}"}`;
}
