import type postgres from "postgres";
import { afterAll, beforeAll, expect } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  command,
  createLedger,
  digest,
  openWallet,
  post,
  type Session,
  type TestLedger,
} from "../support/ledger.ts";
import { MAX } from "./arguments.ts";

/** A ledger with wallets and reservations, for the tests of a file. */
export interface InputLedger {
  readonly ledger: TestLedger;
  /** As an operator. */
  readonly sql: postgres.Sql;
  /** Runs something that must change no row. */
  unchanged<T>(run: () => Promise<T>): Promise<T>;
  /** Runs something in a transaction that is rolled back. */
  undone<T>(run: (tx: postgres.Sql) => Promise<T>): Promise<T>;
}

/** Creates one before the tests of a file, and checks its invariants after them. */
export function useLedger(): InputLedger {
  let ledger: TestLedger;
  let undoing: Session;
  beforeAll(async () => {
    ledger = await createLedger();
    undoing = await ledger.session("operator");
    await fill(ledger);
  });
  afterAll(async () => {
    await checkInvariants(ledger);
    await ledger[Symbol.asyncDispose]();
  });
  return {
    get ledger() {
      return ledger;
    },
    get sql() {
      return ledger.operator;
    },
    async unchanged(run) {
      const before = await digest(ledger);
      const result = await run();
      expect(await digest(ledger)).toBe(before);
      return result;
    },
    async undone(run) {
      await undoing.sql.unsafe("begin");
      try {
        return await run(undoing.sql);
      } finally {
        await undoing.sql.unsafe("rollback");
      }
    },
  };
}

/** A wallet `w` with an open reservation and a charge, and others: of another unit, with limits, full. */
async function fill(ledger: TestLedger): Promise<void> {
  await openWallet(ledger, "w", 1000n);
  await openWallet(ledger, "other", 1000n);
  await openWallet(ledger, "tokens", 1000n, { unit: "tokens", scale: 0n });
  await openWallet(ledger, "strict", 1000n, { overdraft_limit: 0n });
  await openWallet(ledger, "full", MAX);
  await post(ledger.agent, "w", [
    { op: "reserve", idempotency_key: "open", amount: 100, ttl: 86400 },
    { op: "charge", idempotency_key: "charge", amount: 50 },
  ]);
  const inStrict = { wallet_id: "strict", amount: 1000n, idempotency_key: "open" };
  await command(ledger.agent, "reserve", inStrict);
  await command(ledger.agent, "reserve", { ...inStrict, wallet_id: "full", amount: MAX });
}
