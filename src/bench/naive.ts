import { SPEND, spendMany, UNDER_LOCK } from "./statements.ts";
import {
  CLIENTS,
  type Distribution,
  type NextCall,
  type NextStep,
  type PickWallet,
  type TextCall,
  type WireWorkload,
} from "./workload.ts";

const BATCH = 100;
const DISTRIBUTIONS: readonly Distribution[] = ["spread", "hot"];

/** The baseline of what the load generator sends: what people write today, in its simplest form. */
export function naive(wallets: Distribution): WireWorkload {
  return {
    name: `naive, ${wallets}`,
    family: "comparators",
    wallets,
    clients: CLIENTS,
    create: (nextCall, pick) => () => ({
      executions: [{ statement: SPEND, values: [pick(), nextCall().cost] }],
      operations: 1,
    }),
  };
}

/** What else people write today. */
export const comparators: readonly WireWorkload[] = DISTRIBUTIONS.flatMap((wallets) => [
  {
    name: `select for update, then update, ${wallets}`,
    family: "comparators",
    wallets,
    clients: CLIENTS,
    create: spendUnderLock,
  },
  {
    name: `naive in batches of ${BATCH}, ${wallets}`,
    family: "comparators",
    wallets,
    clients: CLIENTS,
    create: spendBatches,
  },
]);

/**
 * Two round trips in one transaction: the begin is sent with the first of them, and the commit with
 * the second. What the program decides in between takes no time here.
 */
function spendUnderLock(nextCall: NextCall<TextCall>, pick: PickWallet): NextStep {
  let locked: string | undefined;
  return () => {
    if (locked !== undefined) {
      const values = [locked, nextCall().cost];
      locked = undefined;
      return {
        executions: [
          { statement: UNDER_LOCK.spend, values },
          { statement: UNDER_LOCK.commit, values: [] },
        ],
        operations: 1,
      };
    }
    locked = pick();
    return {
      executions: [
        { statement: UNDER_LOCK.begin, values: [] },
        { statement: UNDER_LOCK.read, values: [locked] },
      ],
      operations: 0,
    };
  };
}

function spendBatches(nextCall: NextCall<TextCall>, pick: PickWallet): NextStep {
  const statement = spendMany(BATCH);
  return () => {
    const amounts = Array.from({ length: BATCH }, () => nextCall().cost);
    return { executions: [{ statement, values: [pick(), amounts.join()] }], operations: BATCH };
  };
}
