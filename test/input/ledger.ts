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

/** A ledger with something to refer to, for the tests of a file. */
export interface InputLedger {
  readonly ledger: TestLedger;
  /** As an operator. */
  readonly sql: postgres.Sql;
  /** Does something after which no row differs. */
  unchanged<T>(attempt: () => Promise<T>): Promise<T>;
  /** Does something in a transaction that is undone. */
  undone<T>(attempt: (tx: postgres.Sql) => Promise<T>): Promise<T>;
}

/** Makes one before the tests of a file, and looks whether it is sound after them. */
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
    async unchanged(attempt) {
      const before = await digest(ledger);
      const result = await attempt();
      expect(await digest(ledger)).toBe(before);
      return result;
    },
    async undone(attempt) {
      await undoing.sql.unsafe("begin");
      try {
        return await attempt(undoing.sql);
      } finally {
        await undoing.sql.unsafe("rollback");
      }
    },
  };
}

/** A wallet `w` with an open reservation and a charge, and others to go with it. */
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
