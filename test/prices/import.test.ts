// Imports of prices: what is new, what has changed, and what stays as an operator has set it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { importSeed, readCatalogue, readSeed } from "../../src/prices/index.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";

let ledger: TestLedger;
beforeAll(async () => {
  ledger = await createLedger();
});
afterAll(() => ledger[Symbol.asyncDispose]());

test("adds all of the seed, and the second time nothing", async () => {
  const { rows } = await readSeed();
  console.time("import");
  const first = await importSeed(ledger.operator);
  console.timeEnd("import");
  expect(first.added.flatMap((one) => one.rows)).toHaveLength(rows.length);
  console.time("import");
  const second = await importSeed(ledger.operator);
  console.timeEnd("import");
  expect(second).toMatchObject({ added: [], changed: [], kept: [], impossible: [], missing: [] });
  const { prices } = await readCatalogue(ledger.auditor);
  expect(prices).toHaveLength(rows.length);
});
