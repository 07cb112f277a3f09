import { setTimeout as delay } from "node:timers/promises";
import { LimitReachedError } from "../errors/index.ts";
import { cancel, type Receipt, reserve, settle } from "../generated/index.ts";
import type { Connections } from "./connections.ts";
import type { Customer } from "./counters.ts";
import { createDelivery, type Deliver, isReceipt } from "./delivery.ts";
import type { PlannedCall } from "./plan.ts";

/**
 * Makes all calls of a plan by so many agents, each of which takes the next call when it is free.
 * They know no price: they send usage, and their sums are of the amounts in the receipts.
 */
export async function runAgents(
  plan: readonly PlannedCall[],
  customers: readonly Customer[],
  connections: Connections,
  agents: number,
): Promise<void> {
  const start = performance.now();
  const deliver = createDelivery(connections);
  const calls = plan.values();
  const agent = async (): Promise<void> => {
    for (const call of calls) {
      await waitUntil(start + call.arrivesAt);
      await makeCall(customers[call.customer] as Customer, deliver, call);
    }
  };
  await Promise.all(Array.from({ length: agents }, agent));
}

async function makeCall(customer: Customer, deliver: Deliver, call: PlannedCall): Promise<void> {
  const { sent, walletId } = customer;
  sent.calls += 1;
  const request = {
    walletId,
    usage: call.reserves,
    idempotencyKey: `${call.id}:reserve`,
    ttl: call.ttlSeconds,
    reservationId: call.id,
    metadata: { ...call.labels },
  };
  const answer = await deliver(customer, (sql) => reserve(sql, request), call.losesReserve);
  if (isReceipt(answer)) {
    sent.granted += 1;
    await endCall(customer, deliver, call, answer);
  } else {
    sent.refused += 1;
    sent.refusedHeld += answer.reason === "held" ? 1 : 0;
    sent.refusedByLimit += answer instanceof LimitReachedError ? 1 : 0;
  }
}

async function endCall(
  customer: Customer,
  deliver: Deliver,
  call: PlannedCall,
  granted: Receipt,
): Promise<void> {
  const { sent, surprises, walletId } = customer;
  const { fate } = call;
  const reservation = { walletId, reservationId: call.id };
  if (fate === "dies") {
    sent.expired += 1;
    return;
  }
  if (fate === "cancels") {
    await delay(call.takesMs / 2);
    const request = { ...reservation, idempotencyKey: `${call.id}:cancel` };
    await deliver(customer, (sql) => cancel(sql, request), call.losesEnd);
    sent.cancelled += 1;
    return;
  }
  const late = fate === "late";
  // From when the grant arrived here, so that the deadline is certain to have passed, whatever the
  // clocks of the two machines say.
  await delay(late ? lifetimeMs(granted) + call.lateByMs : call.takesMs);
  // Without the model, which is that of the reservation.
  const { model: _, variant: __, ...usage } = call.uses;
  const request = { ...reservation, usage, idempotencyKey: `${call.id}:settle` };
  const answer = await deliver(customer, (sql) => settle(sql, request), call.losesEnd);
  if (!isReceipt(answer)) {
    surprises.push(`${call.id}: its settlement was refused`);
    return;
  }
  const [cost, hold] = [answer.amount ?? 0n, granted.amount ?? 0n];
  sent.settled += 1;
  sent.spent += cost;
  if (late) {
    sent.expired += 1;
    sent.late += 1;
    sent.overage += cost;
  } else if (cost > hold) {
    sent.over += 1;
    sent.overage += cost - hold;
  }
}

function lifetimeMs({ expiresAt, occurredAt }: Receipt): number {
  return (expiresAt?.getTime() ?? 0) - (occurredAt?.getTime() ?? 0) + 1;
}

async function waitUntil(instant: number): Promise<void> {
  const wait = instant - performance.now();
  if (wait > 0) await delay(wait);
}
