import { batches } from "./batches.ts";
import { comparators, naive } from "./naive.ts";
import { singles } from "./single-calls.ts";
import type { WireWorkload } from "./workload.ts";

/** What the load generator can send: to measure something else by it, add it here. */
export const wireWorkloads: readonly WireWorkload[] = [...singles, ...batches, ...comparators];

/** The workload of a name, the baselines included. */
export function findWireWorkload(name: string): WireWorkload {
  const all = [...wireWorkloads, naive("spread"), naive("hot")];
  const found = all.find((workload) => workload.name === name);
  if (!found) throw new Error(`the load generator knows no workload ${name}`);
  return found;
}
