import { RESERVE, SETTLE } from "./statements.ts";
import {
  CLIENTS,
  type NextCall,
  type NextStep,
  nextKey,
  type PickWallet,
  type TextCall,
  type WireWorkload,
} from "./workload.ts";

/** A reservation by a call of its own, and then its settlement by another: two operations. */
export const singles: readonly WireWorkload[] = [
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

function create(nextCall: NextCall<TextCall>, pick: PickWallet): NextStep {
  let reserved:
    | { readonly wallet: string; readonly key: string; readonly cost: string }
    | undefined;
  return () => {
    if (reserved) {
      const { wallet, key, cost } = reserved;
      reserved = undefined;
      const values = [wallet, key, cost, `${key}-cost`];
      return { executions: [{ statement: SETTLE, values }], operations: 1 };
    }
    const { hold, cost } = nextCall();
    const [wallet, key] = [pick(), nextKey("wire")];
    reserved = { wallet, key, cost };
    return { executions: [{ statement: RESERVE, values: [wallet, hold, key] }], operations: 1 };
  };
}
