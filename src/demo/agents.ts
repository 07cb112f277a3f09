import { setTimeout as delay } from "node:timers/promises";
import { cancel, type Receipt, reserve, settle } from "../generated/index.ts";
import { type Deliver, isReceipt } from "./delivery.ts";
import type { PlannedCall } from "./plan.ts";
import type { Tally } from "./tally.ts";

/** What the agents share. */
export interface Work {
  readonly plan: readonly PlannedCall[];
  /** By customer. */
  readonly tallies: readonly Tally[];
  readonly deliver: Deliver;
}

/** Runs the whole plan with so many agents at once, each taking the next call when it is free. */
export async function runAgents(work: Work, agents: number): Promise<void> {
  const start = performance.now();
  const calls = work.plan.values();
  const agent = async (): Promise<void> => {
    for (const call of calls) {
      await until(start + call.arrivesAt);
      await makeCall(work, call);
    }
  };
  await Promise.all(Array.from({ length: agents }, agent));
}

async function makeCall({ tallies, deliver }: Work, call: PlannedCall): Promise<void> {
  const tally = tallies[call.customer] as Tally;
  tally.calls += 1;
  const { walletId } = tally;
  const answer = await deliver(
    tally,
    (sql) =>
      reserve(sql, {
        walletId,
        amount: call.hold,
        idempotencyKey: `${call.id}:reserve`,
        ttl: call.ttlSeconds,
        reservationId: call.id,
      }),
    call.losesReserve,
  );
  if (isReceipt(answer)) {
    tally.granted += 1;
    await endCall(tally, deliver, call, answer);
    return;
  }
  tally.refused += 1;
  tally.refusedHeld += answer.reason === "held" ? 1 : 0;
}

async function endCall(
  tally: Tally,
  deliver: Deliver,
  call: PlannedCall,
  granted: Receipt,
): Promise<void> {
  switch (call.fate) {
    case "dies":
      tally.died += 1;
      return;
    case "cancels":
      await delay(call.takesMs / 2);
      await sendCancel(tally, deliver, call);
      return;
    case "late":
      await until(performance.now() + lifetimeMs(granted) + call.lateByMs);
      await sendSettle(tally, deliver, call);
      return;
    default:
      await delay(call.takesMs);
      await sendSettle(tally, deliver, call);
  }
}

async function sendCancel(tally: Tally, deliver: Deliver, call: PlannedCall): Promise<void> {
  const { walletId } = tally;
  const idempotencyKey = `${call.id}:cancel`;
  await deliver(
    tally,
    (sql) => cancel(sql, { walletId, reservationId: call.id, idempotencyKey }),
    call.losesEnd,
  );
  tally.cancelled += 1;
}

async function sendSettle(tally: Tally, deliver: Deliver, call: PlannedCall): Promise<void> {
  const { walletId } = tally;
  const idempotencyKey = `${call.id}:settle`;
  await deliver(
    tally,
    (sql) => settle(sql, { walletId, reservationId: call.id, amount: call.cost, idempotencyKey }),
    call.losesEnd,
  );
  const late = call.fate === "late";
  const excess = call.cost > call.hold ? call.cost - call.hold : 0n;
  tally.settled += 1;
  tally.spent += call.cost;
  tally.late += late ? 1 : 0;
  tally.over += excess > 0n && !late ? 1 : 0;
  tally.overage += late ? call.cost : excess;
}

// From when the grant was heard of, so that the deadline is certain to have passed whatever the
// clocks of the two machines say.
function lifetimeMs({ expiresAt, occurredAt }: Receipt): number {
  return (expiresAt?.getTime() ?? 0) - (occurredAt?.getTime() ?? 0) + 1;
}

async function until(instant: number): Promise<void> {
  const wait = instant - performance.now();
  if (wait > 0) {
    await delay(wait);
  }
}
