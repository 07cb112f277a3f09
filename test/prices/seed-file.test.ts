// The seed is what the package and the lists beside it say, and each of its rows can be read.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { waitForUpdate } from "@pydantic/genai-prices";
import { describe, expect, test } from "vitest";
import { ratesOf } from "../../scripts/prices/kinds.ts";
import { periodsOf } from "../../scripts/prices/periods.ts";
import { renderSeed } from "../../scripts/prices/render.ts";
import { makeSeed } from "../../scripts/prices/seed.ts";
import { readSeed } from "../../src/prices/index.ts";

const folder = join(import.meta.dirname, "..", "..", "db", "prices");

test("is what npm run prices writes", async () => {
  const { source } = await readSeed();
  const files = await renderSeed(source.replace("seed ", ""));
  for (const [name, wanted] of Object.entries(files)) {
    expect(readFileSync(join(folder, name), "utf8"), name).toBe(wanted);
  }
});

test("has every model that the package lists, or says that it has no price", async () => {
  const providers = (await waitForUpdate()) ?? [];
  const { rows } = await readSeed();
  const known = new Set(rows.filter((row) => row.aliasOf === null).map(({ model }) => model));
  const leftOut = readFileSync(join(folder, "left-out.csv"), "utf8").trim().split("\n").slice(1);
  const listed = providers.flatMap(({ id, models }) => models.map((model) => `${id}/${model.id}`));
  expect([...known, ...leftOut].sort()).toEqual(listed.sort());
  // An alias stands for a model, and is none itself.
  for (const { aliasOf, model } of rows.filter((row) => row.aliasOf !== null)) {
    expect([known.has(aliasOf ?? ""), known.has(model)], model).toEqual([true, false]);
  }
});

test("has no price of 0 but where the package says 0", async () => {
  const { rows } = await readSeed();
  expect(rows.filter(({ rates }) => Object.values(rates).includes(0n))).toEqual([]);
});

describe("a price of the package", () => {
  test("is taken exactly, and rounded up where it is no whole nano-dollar", () => {
    expect(ratesOf({ input_mtok: 0.003625, output_mtok: 12 }, 0)).toEqual({
      input: 3_625_000n,
      output: 12_000_000_000n,
    });
    // 1/12 of a dollar, as a float.
    expect(ratesOf({ cache_write_mtok: 0.08333333333333334 }, 0)).toEqual({
      cache_write: 83_333_334n,
    });
    // $10 for 1,000 are $10,000 for a million; $0.36 an hour are $100 for a million seconds.
    expect(ratesOf({ web_searches_kcount: 10, audio_hours: 0.36 }, 0)).toEqual({
      web_searches: 10_000_000_000_000n,
      seconds: 100_000_000_000n,
    });
  });

  test("of writes for an hour makes the other one that of five minutes", () => {
    expect(ratesOf({ cache_write_mtok: 3.75, cache_write_1h_mtok: 6 }, 0)).toEqual({
      cache_write_5m: 3_750_000_000n,
      cache_write_1h: 6_000_000_000n,
    });
  });

  test("for something unknown, or two for the same, are refused", () => {
    expect(() => ratesOf({ dreams_mtok: 1 }, 0)).toThrow(/dreams_mtok is new/);
    expect(() => ratesOf({ audio_hours: 1, input_audio_hours: 2 }, 0)).toThrow(/two prices/);
    expect(() => ratesOf({ input_mtok: 1e-7 }, 0)).toThrow(/is not a price/);
  });

  const model = { id: "m", match: { equals: "m" } };
  const tiers = (base: number, price: number) => ({ base, tiers: [{ start: 200_000, price }] });
  const dated = (date: string) => ({ type: "start_date", start_date: date }) as const;
  const daily = (start: string, end: string) =>
    ({ type: "time_of_date", start_time: start, end_time: end }) as const;

  test("without tiers repeats those that there were before", () => {
    const periods = periodsOf({
      ...model,
      prices: [
        { prices: { input_mtok: tiers(5, 10), output_mtok: 25 } },
        { constraint: dated("2026-03-13"), prices: { input_mtok: 5, output_mtok: 20 } },
      ],
    });
    const now = { input: 5_000_000_000n, output: 20_000_000_000n };
    expect(periods.map(({ tiers, validFrom }) => [validFrom, Object.fromEntries(tiers)])).toEqual([
      [
        null,
        {
          0: { input: 5_000_000_000n, output: 25_000_000_000n },
          200000: { input: 10_000_000_000n, output: 25_000_000_000n },
        },
      ],
      ["2026-03-13T00:00:00.000000Z", { 0: now, 200000: now }],
    ]);
  });

  test("by the time of day is the dearest, from its date on", () => {
    const periods = periodsOf({
      ...model,
      prices: [
        { prices: { input_mtok: 1, output_mtok: 2 } },
        { constraint: dated("2026-08-17"), prices: { input_mtok: 3, output_mtok: 9 } },
        { constraint: daily("01:00:00Z", "04:00:00Z"), prices: { input_mtok: 6, output_mtok: 8 } },
      ],
    });
    expect(periods.map(({ tiers }) => tiers.get(0))).toEqual([
      { input: 1_000_000_000n, output: 2_000_000_000n },
      { input: 6_000_000_000n, output: 9_000_000_000n },
    ]);
  });

  test("has only exact names as aliases, and none for a model without a price", () => {
    const match = {
      or: [{ equals: "Exact/One" }, { starts_with: "exact" }, { or: [{ equals: "two" }] }],
    };
    const provider = {
      id: "p",
      name: "P",
      api_pattern: "p",
      models: [
        { id: "one", match, prices: { input_mtok: 1 } },
        { id: "free", match: { equals: "gratis" }, prices: {} },
      ],
    };
    const { leftOut, rows } = makeSeed([provider], new Map());
    expect(rows.map((row) => [row.model, row.aliasOf])).toEqual([
      ["p/one", null],
      ["p/Exact/One", "p/one"],
      ["p/two", "p/one"],
    ]);
    expect(leftOut).toEqual(["p/free"]);
  });
});
