import { afterAll, beforeAll, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { compare, startLoad } from "./load.ts";
import { createClient } from "./support.ts";

let database: TestLedger;

beforeAll(async () => {
  database = await createTestLedger();
});
afterAll(async () => {
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

/** A migration that adds a column to some types. */
const change = (column: string) => `
  do $$
  declare
    v_type text;
    v_function regprocedure;
  begin
    foreach v_type in array array['receipt', 'wallet_balance', '_command', '_hold'] loop
      execute format('alter type baseledger.%I add attribute ${column} text', v_type);
      v_type := ')::baseledger.' || v_type;
      for v_function in
        select p.oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace
          where n.nspname = 'baseledger' and strpos(p.prosrc, v_type) > 0
      loop
        execute replace(pg_get_functiondef(v_function), v_type, ', null' || v_type);
      end loop;
    end loop;
  end $$`;

test("callers do not notice that types change", async () => {
  const walletIds = ["a", "b", "c"];
  for (const walletId of walletIds) await openWallet(database, walletId, 10n ** 9n);
  await using ledger = createClient(database);
  const load = startLoad(ledger, walletIds, 20);
  const { sql } = await database.session("admin");
  try {
    for (const column of ["one", "two", "three", "four", "five"]) {
      const before = load.receipts.size;
      await until("callers are answered", () => load.receipts.size > before + 200);
      await sql.unsafe(change(column));
      const reads = walletIds.map((walletId) => ledger.balance({ walletId }));
      expect(await Promise.all(reads)).toHaveLength(3);
    }
  } finally {
    await load.stop();
  }
  expect(load.errors).toEqual([]);
  await compare(database, load.receipts);
});
