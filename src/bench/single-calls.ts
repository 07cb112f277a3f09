import type { Operation } from "./measure.ts";
import { CLIENTS, clientOf } from "./server.ts";
import { reserveSingly, settleSingly } from "./statements.ts";
import { type Ground, nextKey, type PickWallet, type Workload } from "./workload.ts";

/** A reservation by a call of its own, and then its settlement by another: two operations. */
export const singles: readonly Workload[] = [
  {
    name: "single calls, spread",
    family: "single",
    wallets: "spread",
    clients: CLIENTS,
    isGoal: true,
    create,
  },
  { name: "single calls, hot", family: "single", wallets: "hot", clients: CLIENTS, create },
];

function create({ database, nextCall }: Ground, pick: PickWallet, client: number): Operation {
  const sql = clientOf(database, client);
  let reserved:
    | { readonly wallet: string; readonly key: string; readonly cost: bigint }
    | undefined;
  return async () => {
    if (reserved) {
      await settleSingly(sql, reserved.wallet, `${reserved.cost}`, reserved.key);
      reserved = undefined;
      return 1;
    }
    const { hold, cost } = nextCall();
    const [wallet, key] = [pick(), nextKey()];
    await reserveSingly(sql, wallet, `${hold}`, key);
    reserved = { wallet, key, cost };
    return 1;
  };
}
