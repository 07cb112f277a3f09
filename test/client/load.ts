import { setImmediate } from "node:timers/promises";
import { expect } from "vitest";
import type { Ledger } from "../../src/client/ledger.ts";
import type { Granted } from "../../src/index.ts";
import type { TestLedger } from "../support/ledger.ts";

/** The receipts that callers got, by the keys of their commands. */
export type Receipts = Map<string, Granted>;

/** Callers that send commands until they are stopped. */
export interface Load {
  readonly receipts: Receipts;
  /** Errors that callers got: there should be none. */
  readonly errors: unknown[];
  /** Resolves when all callers have their last answer. */
  stop(): Promise<void>;
}

/** Starts so many callers, each with one wallet, which send what an agent sends. */
export function startLoad(ledger: Ledger, walletIds: readonly string[], callers: number): Load {
  const receipts: Receipts = new Map();
  const errors: unknown[] = [];
  let stopped = false;
  let calls = 0;

  const note = <R extends Granted>(receipt: R): R => {
    expect(receipts.has(String(receipt.idempotencyKey))).toBe(false);
    receipts.set(String(receipt.idempotencyKey), receipt);
    return receipt;
  };

  async function callOnce(walletId: string): Promise<void> {
    const kind = calls++ % 4;
    if (kind === 0) {
      note(await ledger.charge({ walletId, amount: 3n }));
      return;
    }
    const { reservationId } = note(await ledger.reserve({ walletId, amount: 10n, ttl: 600 }));
    if (kind === 1) note(await ledger.cancel({ walletId, reservationId }));
    if (kind === 2) note(await ledger.extend({ walletId, reservationId, ttl: 700, amount: 20n }));
    if (kind > 1) note(await ledger.settle({ walletId, reservationId, amount: 7n }));
  }

  const running = Array.from({ length: callers }, async (_, i) => {
    const walletId = walletIds[i % walletIds.length] ?? "";
    while (!stopped) {
      await callOnce(walletId).catch(async (error: unknown) => {
        errors.push(error);
        // A closed client fails at once; the pause lets a test that fails stop this loop.
        await setImmediate();
      });
    }
  });
  return {
    receipts,
    errors,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

/** Expects that every receipt has its event, every event its receipt, and that they agree. */
export async function compare(
  database: Pick<TestLedger, "admin">,
  receipts: Receipts,
): Promise<void> {
  const events = await database.admin`
    select wallet_id, seq, event, reservation_id, amount, available, reserved, spent,
        idempotency_key, (extract(epoch from occurred_at) * 1000)::text as at
      from baseledger.journal
      where event not in ('opened', 'credited')`;
  expect(events.length).toBe(receipts.size);
  for (const event of events) {
    const receipt = receipts.get(event.idempotency_key);
    expect({
      wallet_id: receipt?.walletId,
      seq: receipt?.seq,
      event: receipt?.event,
      reservation_id: receipt?.reservationId,
      amount: receipt?.amount,
      available: receipt?.available,
      reserved: receipt?.reserved,
      spent: receipt?.spent,
      idempotency_key: receipt?.idempotencyKey,
      at: String(receipt?.occurredAt.getTime()),
    }).toEqual({ ...event, at: event.at.split(".")[0] });
  }
}
