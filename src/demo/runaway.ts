import { setTimeout as delay } from "node:timers/promises";
import { LimitReachedError } from "../errors/index.ts";
import { reserve, settle } from "../generated/index.ts";
import type { NanoDollars } from "../trace/index.ts";
import type { Usage } from "../wire/index.ts";
import type { Connections } from "./connections.ts";
import type { Customer } from "./counters.ts";
import { createDelivery, isReceipt } from "./delivery.ts";
import { UNATTENDED } from "./limits.ts";
import type { Labels } from "./plan.ts";

/** What has become of the agent that does not stop by itself. */
export interface Runaway {
  readonly name: string;
  readonly run: string;
  readonly limit: NanoDollars;
  readonly calls: number;
  readonly granted: number;
  readonly spent: NanoDollars;
  /** Of the calls: refused by the limit of its run. */
  readonly stopped: number;
}

/** How many calls it makes. */
export const RUNAWAY_CALLS = 100;
const LABELS: Labels = { team: "search", user: "night-job", run: UNATTENDED };
const PAUSE_MS = 10;

/** The id of its n-th call. */
export function runawayId(n: number): string {
  return `runaway-${n}`;
}

/** Makes the same call in a loop, whatever the answer, as an agent that a prompt has led astray. */
export async function runRunaway(
  customer: Customer,
  usage: Usage,
  connections: Connections,
): Promise<Runaway> {
  const deliver = createDelivery(connections);
  const { limits, name, sent, walletId } = customer;
  const { limitId, own } = limits.run;
  const limit = own?.amount ?? limits.run.amount;
  let [granted, stopped, spent] = [0, 0, 0n];
  for (let n = 1; n <= RUNAWAY_CALLS; n += 1) {
    const reservationId = runawayId(n);
    const request = { walletId, usage, reservationId, metadata: { ...LABELS } };
    const asked = { ...request, idempotencyKey: `${reservationId}:reserve` };
    sent.calls += 1;
    const answer = await deliver(customer, (sql) => reserve(sql, asked), undefined);
    if (isReceipt(answer)) {
      sent.granted += 1;
      granted += 1;
      const used = { walletId, reservationId, usage, idempotencyKey: `${reservationId}:settle` };
      const settled = await deliver(customer, (sql) => settle(sql, used), undefined);
      const cost = isReceipt(settled) ? (settled.amount ?? 0n) : 0n;
      sent.settled += 1;
      sent.spent += cost;
      spent += cost;
    } else {
      sent.refused += 1;
      sent.refusedHeld += answer.reason === "held" ? 1 : 0;
      sent.refusedByLimit += answer instanceof LimitReachedError ? 1 : 0;
      stopped += answer instanceof LimitReachedError && answer.limitId === limitId ? 1 : 0;
    }
    await delay(PAUSE_MS);
  }
  return { name, run: LABELS.run, limit, calls: RUNAWAY_CALLS, granted, spent, stopped };
}
