import { CALLERS } from "./client.ts";
import type { Operation } from "./measure.ts";
import { CLIENTS, clientOf } from "./server.ts";
import { spendManyNaively, spendNaively, spendUnderLock } from "./statements.ts";
import type { Distribution, Ground, PickWallet, Workload } from "./workload.ts";

const BATCH = 100;
const DISTRIBUTIONS: readonly Distribution[] = ["spread", "hot"];

/**
 * What people write today, in its simplest form. Callers share the connections, and the driver
 * sends a statement without waiting for the answer to the one before it: otherwise many callers
 * would only wait in this program.
 */
export const comparators: readonly Workload[] = DISTRIBUTIONS.flatMap((wallets) => [
  {
    name: `select for update, then update, ${wallets}`,
    family: "comparators",
    wallets,
    clients: CLIENTS,
    create: (ground: Ground, pick: PickWallet, client: number) =>
      spendOne(ground, pick, client, spendUnderLock),
  },
  {
    name: `naive in batches of ${BATCH}, ${wallets}`,
    family: "comparators",
    wallets,
    clients: CLIENTS,
    create: spendMany,
  },
  ...CALLERS.map(
    (callers): Workload => ({
      name: `naive, ${callers} ${callers === 1 ? "caller" : "callers"}, ${wallets}`,
      family: "comparators",
      wallets,
      clients: callers,
      line: `naive, ${wallets}`,
      create: naive,
    }),
  ),
]);

/** The operation of the baseline. */
export function naive(ground: Ground, pick: PickWallet, client: number): Operation {
  return spendOne(ground, pick, client, spendNaively);
}

function spendOne(
  { database, nextCall }: Ground,
  pick: PickWallet,
  client: number,
  spend: typeof spendNaively,
): Operation {
  const sql = clientOf(database, client);
  return async () => {
    await spend(sql, pick(), `${nextCall().cost}`);
    return 1;
  };
}

function spendMany({ database, nextCall }: Ground, pick: PickWallet, client: number): Operation {
  const sql = clientOf(database, client);
  return async () => {
    const amounts = Array.from({ length: BATCH }, () => `${nextCall().cost}`);
    await spendManyNaively(sql, pick(), amounts);
    return BATCH;
  };
}
