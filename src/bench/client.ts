import type { Operation } from "./measure.ts";
import { clientOf } from "./server.ts";
import { spendNaively } from "./statements.ts";
import type { CallerWorkload, Distribution, Ground, PickWallet } from "./workload.ts";

const CALLERS = [1, 20, 200, 1000];
const DISTRIBUTIONS: readonly Distribution[] = ["hot", "spread", "zipf"];
const GOALS: Readonly<Record<Distribution, number>> = { hot: 200, spread: 200, zipf: 1000 };

/** Callers of the TypeScript client, each of which reserves and settles repeatedly. */
export const clients: readonly CallerWorkload[] = DISTRIBUTIONS.flatMap((wallets) =>
  CALLERS.map(
    (callers): CallerWorkload => ({
      name: `client, ${nameOf(callers)}, ${wallets}`,
      family: "client",
      wallets,
      clients: callers,
      ...(callers === GOALS[wallets] && { isGoal: true }),
      create: reserveAndSettle,
    }),
  ),
);

/**
 * Their baseline: as many callers of the naive statement in the same program. They share
 * connections, and the driver sends a statement without waiting for the answer to the one before
 * it: otherwise many callers would only wait in this program.
 */
export function naiveCallers(wallets: Distribution, callers: number): CallerWorkload {
  return {
    name: `naive, ${nameOf(callers)}, ${wallets}`,
    family: "client",
    wallets,
    clients: callers,
    create: ({ byStatement, nextCall }, pick, caller) => {
      const sql = clientOf(byStatement, caller);
      return async () => {
        await spendNaively(sql, pick(), `${nextCall().cost}`);
        return 1;
      };
    },
  };
}

function nameOf(callers: number): string {
  return callers === 1 ? "1 caller" : `${callers} callers`;
}

function reserveAndSettle(
  { throughClient: { ledger }, nextCall }: Ground,
  pick: PickWallet,
): Operation {
  let open: { readonly reservation: Reserved; readonly cost: bigint } | undefined;
  return async () => {
    if (open) {
      await ledger.settle({ ...open.reservation, amount: open.cost });
      open = undefined;
      return 1;
    }
    const { hold, cost } = nextCall();
    const walletId = pick();
    const { reservationId } = await ledger.reserve({ walletId, amount: hold, ttl: 3600 });
    open = { reservation: { walletId, reservationId }, cost };
    return 1;
  };
}

interface Reserved {
  readonly walletId: string;
  readonly reservationId: string;
}
