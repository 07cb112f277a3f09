// Imports of prices: what is new, what has changed, and what stays as an operator has set it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { setPrice } from "../../src/generated/index.ts";
import {
  applyPrices,
  comparePrices,
  importSeed,
  type PriceRow,
  readCatalogue,
  readSeed,
  rowsToSet,
} from "../../src/prices/index.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await createLedger();
});

afterAll(() => ledger[Symbol.asyncDispose]());

const FIRST = "seed 2026-01-01";
const SECOND = "seed 2026-02-01";
const LATER = "2099-01-01T00:00:00.000000Z";
const LAST = "2099-06-01T00:00:00.000000Z";

function row(model: string, input: number, more: Partial<PriceRow> = {}): PriceRow {
  return {
    ...{ model, variant: "standard", above: 0, validFrom: null, currency: "USD" },
    ...{ contextWindow: null, maxOutput: null, aliasOf: null },
    rates: { input: BigInt(input) },
    ...more,
  };
}

function alias(model: string, aliasOf: string): PriceRow {
  return row(model, 0, { variant: "", aliasOf, rates: {} });
}

/** Imports rows as those of a seed, and returns what was done by name. */
async function importRows(rows: readonly PriceRow[], source = FIRST, keepOthers = true) {
  const difference = comparePrices(rows, await readCatalogue(ledger.operator), { keepOthers });
  await applyPrices(ledger.operator, difference, source);
  const { added, changed, impossible, kept, unchanged } = difference;
  const names = (changes: readonly { name: string }[]) => changes.map(({ name }) => name);
  return { added: names(added), changed: names(changed), impossible, kept, unchanged };
}

/** What a token costs, in nano-dollars per million, at a time and with so much input. */
async function rateAt(model: string, at: string | null = null, input = 1_000_000): Promise<bigint> {
  const usage = JSON.stringify({ model, input });
  const [quoted] = await ledger.agent`
    select amount * 1000000 / ${input}::bigint as rate
      from baseledger.quote(${usage}::text::jsonb, ${at}::text::timestamptz)`;
  return quoted?.rate;
}

describe("the seed", () => {
  test("is added whole, and the second time there is nothing to do", async () => {
    const { rows } = await readSeed();
    const first = await importSeed(ledger.operator);
    expect(rowsToSet(first)).toHaveLength(rows.length);
    const { prices } = await readCatalogue(ledger.auditor);
    expect(prices).toHaveLength(rows.length);
    expect(new Set(prices.map(({ source }) => source)).size).toBe(1);
    const second = await importSeed(ledger.operator);
    expect(second).toMatchObject({ added: [], changed: [], kept: [], impossible: [], missing: [] });
    expect(second.unchanged.length).toBe(first.added.length);
  });

  test("is not for agents", async () => {
    const other = await createLedger();
    await expect(importSeed(other.agent)).rejects.toMatchObject({ code: "42501" });
    expect((await readCatalogue(other.agent)).prices).toEqual([]);
    await other[Symbol.asyncDispose]();
  });
});

describe("a new version", () => {
  test("changes what counts from now on, and nothing before", async () => {
    await importRows([row("new/changed", 100), row("new/same", 100)]);
    const [before] = await ledger.agent`select clock_timestamp()::text as now`;
    const done = await importRows([row("new/changed", 200), row("new/same", 100)], SECOND);
    expect(done).toMatchObject({ added: [], changed: ["new/changed"], unchanged: ["new/same"] });
    expect(await rateAt("new/changed")).toBe(200n);
    expect(await rateAt("new/changed", before?.now)).toBe(100n);
    expect(await rateAt("new/changed", "2000-01-01")).toBe(100n);
  });

  test("changes windows, too, and what aliases stand for", async () => {
    await importRows([row("win/a", 1), row("win/b", 2), alias("win/latest", "win/a")]);
    const rows = [
      row("win/a", 1, { maxOutput: 64 }),
      row("win/b", 2),
      alias("win/latest", "win/b"),
    ];
    expect(await importRows(rows, SECOND)).toMatchObject({ changed: ["win/a", "win/latest"] });
    expect(await rateAt("win/latest")).toBe(2n);
    expect(await importRows(rows, SECOND)).toMatchObject({ added: [], changed: [] });
  });

  test("moves, changes and takes back prices that hold later on", async () => {
    const later = (input: number, validFrom = LATER) => row("later/a", input, { validFrom });
    await importRows([row("later/a", 100), later(200)]);
    await importRows([row("later/a", 100), later(300, LAST)], SECOND);
    expect(await rateAt("later/a", "2099-02-01")).toBe(100n);
    expect(await rateAt("later/a", "2099-07-01")).toBe(300n);
    await importRows([row("later/a", 50)], SECOND);
    for (const at of [null, "2099-02-01", "2099-07-01"]) {
      expect(await rateAt("later/a", at)).toBe(50n);
    }
    expect(await importRows([row("later/a", 50)], SECOND)).toMatchObject({ changed: [] });
  });

  test("adds a tier, changes it, and ends it", async () => {
    const tier = (input: number) => row("tier/a", input, { above: 200_000 });
    await importRows([row("tier/a", 100)]);
    await importRows([row("tier/a", 100), tier(200)], SECOND);
    expect(await rateAt("tier/a", null, 200_000)).toBe(100n);
    expect(await rateAt("tier/a")).toBe(200n);
    // Only the base changes: the tier stays.
    await importRows([row("tier/a", 110), tier(200)], SECOND);
    expect(await rateAt("tier/a")).toBe(200n);
    await importRows([row("tier/a", 110)], SECOND);
    expect(await rateAt("tier/a")).toBe(110n);
    expect(await importRows([row("tier/a", 110)], SECOND)).toMatchObject({ changed: [] });
  });

  test("counts dated rows of the past as what holds now", async () => {
    const dated = [
      row("past/a", 100),
      row("past/a", 200, { validFrom: "2020-01-01T00:00:00.000000Z" }),
    ];
    await importRows(dated);
    expect(await rateAt("past/a", "2019-01-01")).toBe(100n);
    expect(await rateAt("past/a")).toBe(200n);
    const changed = [...dated, row("past/a", 300, { validFrom: "2021-01-01T00:00:00.000000Z" })];
    expect(await importRows(changed, SECOND)).toMatchObject({ changed: ["past/a"] });
    expect(await rateAt("past/a", "2022-01-01")).toBe(200n);
    expect(await rateAt("past/a")).toBe(300n);
  });

  test("leaves alone what an operator has set, of that variant", async () => {
    await importRows([row("own/a", 100), row("own/a", 50, { variant: "batch" }), row("own/b", 1)]);
    await setPrice(ledger.operator, { model: "own/a", rates: { input: 90 } });
    await setPrice(ledger.operator, { model: "own/named", rates: { input: 7 } });
    const done = await importRows(
      [
        row("own/a", 200),
        row("own/a", 60, { variant: "batch" }),
        row("own/b", 1),
        row("own/b", 2, { variant: "flex" }),
        alias("own/named", "own/b"),
      ],
      SECOND,
    );
    expect(done).toEqual({
      added: ["own/b flex"],
      changed: ["own/a batch"],
      impossible: [],
      kept: ["own/a", "own/named"],
      unchanged: ["own/b"],
    });
    expect(await rateAt("own/a")).toBe(90n);
    expect(await rateAt("own/named")).toBe(7n);
    // A file of the operator's own does change it.
    expect(await importRows([row("own/a", 80)], "file own.csv", false)).toMatchObject({
      changed: ["own/a"],
    });
    expect(await importRows([row("own/a", 200)], SECOND)).toMatchObject({ kept: ["own/a"] });
  });

  test("makes no alias of a model, nor a model of an alias, and imports the rest", async () => {
    await importRows([row("kind/a", 1), alias("kind/b", "kind/a")]);
    const done = await importRows(
      [alias("kind/a", "kind/c"), row("kind/b", 2), row("kind/c", 3), alias("kind/d", "kind/b")],
      SECOND,
    );
    expect(done).toMatchObject({ added: ["kind/c"], impossible: ["kind/a", "kind/b", "kind/d"] });
    expect(await rateAt("kind/b")).toBe(1n);
  });

  test("leaves names that it no longer has", async () => {
    await importRows([row("gone/a", 1)]);
    const catalogue = await readCatalogue(ledger.operator);
    expect(comparePrices([], catalogue, { keepOthers: true }).missing).toContain("gone/a");
    expect(await rateAt("gone/a")).toBe(1n);
  });
});
