import type { Operation } from "./measure.ts";
import type { Distribution, Ground, PickWallet, Workload } from "./workload.ts";

/** How many callers the client has at once. */
export const CALLERS = [1, 20, 200, 1000];
const GOAL_CALLERS = 200;
const DISTRIBUTIONS: readonly Distribution[] = ["hot", "spread", "zipf"];

/** Callers of the TypeScript client, each of which reserves and settles repeatedly. */
export const clients: readonly Workload[] = DISTRIBUTIONS.flatMap((wallets) =>
  CALLERS.map(
    (callers): Workload => ({
      name: `client, ${callers} ${callers === 1 ? "caller" : "callers"}, ${wallets}`,
      family: "client",
      wallets,
      clients: callers,
      ...(wallets === "hot" && callers === GOAL_CALLERS && { isGoal: true }),
      ...(wallets !== "zipf" && { line: `client, ${wallets}` }),
      create,
    }),
  ),
);

function create({ database: { ledger }, nextCall }: Ground, pick: PickWallet): Operation {
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
