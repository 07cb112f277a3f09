import { setTimeout as delay } from "node:timers/promises";
import { LimitReachedError } from "../errors/index.ts";
import { reserve, settle } from "../generated/index.ts";
import type { NanoDollars } from "../trace/index.ts";
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
/** Each of its calls costs the same: this part of its run's limit. */
const PART_OF_LIMIT = 20n;
const PAUSE_MS = 10;

/** Makes calls in a loop, whatever the answer, as an agent does that a prompt has led astray. */
export async function runRunaway(customer: Customer, connections: Connections): Promise<Runaway> {
  const deliver = createDelivery(connections);
  const { limits, name, sent, walletId } = customer;
  const { limitId, own } = limits.run;
  const limit = own?.amount ?? limits.run.amount;
  const amount = limit > PART_OF_LIMIT ? limit / PART_OF_LIMIT : 1n;
  let [granted, stopped] = [0, 0];
  for (let n = 1; n <= RUNAWAY_CALLS; n += 1) {
    const reservationId = `runaway-${n}`;
    const request = { walletId, amount, reservationId, metadata: { ...LABELS } };
    const asked = { ...request, idempotencyKey: `${reservationId}:reserve` };
    sent.calls += 1;
    const answer = await deliver(customer, (sql) => reserve(sql, asked), undefined);
    if (isReceipt(answer)) {
      sent.granted += 1;
      granted += 1;
      const cost = { walletId, reservationId, amount, idempotencyKey: `${reservationId}:settle` };
      await deliver(customer, (sql) => settle(sql, cost), undefined);
      sent.settled += 1;
      sent.spent += amount;
    } else {
      sent.refused += 1;
      sent.refusedHeld += answer.reason === "held" ? 1 : 0;
      sent.refusedByLimit += answer instanceof LimitReachedError ? 1 : 0;
      stopped += answer instanceof LimitReachedError && answer.limitId === limitId ? 1 : 0;
    }
    await delay(PAUSE_MS);
  }
  const spent = amount * BigInt(granted);
  return { name, run: LABELS.run, limit, calls: RUNAWAY_CALLS, granted, spent, stopped };
}
