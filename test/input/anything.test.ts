import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import { type Arguments, call, command, openWallet, outcome } from "../support/ledger.ts";
import { MAX, MIN } from "./arguments.ts";
import { useLedger } from "./ledger.ts";

const input = useLedger();

describe("whatever is sent", () => {
  const amount = fc.constantFrom(1n, 2n, 3n, 0n, -1n, MAX, MAX - 1n, MIN, 10n ** 18n, 2n ** 62n);
  const reservation_id = fc.integer({ min: 0, max: 30 }).map((n) => `r${n}`);
  const idempotency_key = fc.integer({ min: 0, max: 3000 }).map((n) => `key ${n}`);
  const ttl = fc.constantFrom("1 second", "1 minute", "30 days", "0", "1 year");
  const wallet = fc.constantFrom("rich", "poor", "debtor");
  const base = { wallet_id: wallet, idempotency_key };
  const kinds = {
    credit: fc.record({ ...base, amount }),
    withdraw: fc.record({ ...base, amount }),
    charge: fc.record({ ...base, amount, reservation_id }),
    reserve: fc.record({ ...base, amount, ttl, reservation_id }),
    settle: fc.record({ ...base, amount, reservation_id, final: fc.boolean() }),
    cancel: fc.record({ ...base, reservation_id }),
    extend: fc.record({ ...base, ttl, amount: fc.option(amount), reservation_id }),
    refund: fc.record({ ...base, amount, reservation_id }),
    transfer: fc.record({ from: wallet, to: wallet, amount, idempotency_key }),
  };
  const anything = fc.oneof(
    ...Object.entries(kinds).map(([name, args]) =>
      (args as fc.Arbitrary<Arguments>).map((given): [string, Arguments] => [name, given]),
    ),
  );

  test("is granted or refused by the ledger's own codes, and leaves it sound", async () => {
    await openWallet(input.ledger, "rich", MAX - 10n);
    await openWallet(input.ledger, "poor", 10n, { overdraft_limit: 0n });
    await openWallet(input.ledger, "debtor", 10n, { overdraft_limit: MAX });
    let results = 0;
    const said = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(anything, { minLength: 40, maxLength: 60 }), async (sent) => {
        for (const [name, args] of sent) {
          const result = await outcome(command(input.sql, name, args));
          const code = "code" in result ? result.code : (result.event ?? "");
          said.add(code);
          results += 1;
          if ("code" in result) expect([name, args, code.slice(0, 2)]).toEqual([name, args, "LG"]);
        }
        for (const wallet_id of ["rich", "poor", "debtor"]) {
          await call(input.sql, "balance", { wallet_id });
          await call(input.sql, "balance_at", { wallet_id, at: "now" });
        }
        for (const view of ["wallet_balances", "postings", "reservation_history"]) {
          await input.ledger.auditor.unsafe(`select * from baseledger.${view}`);
        }
      }),
      { numRuns: 40 },
    );
    expect(results).toBeGreaterThan(900);
    // It got to many of the edges.
    expect(said.size).toBeGreaterThan(12);
    await checkInvariants(input.ledger);
  });
});
