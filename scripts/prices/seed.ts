import type { ModelInfo, Provider } from "@pydantic/genai-prices";
import { compareText, type PriceRow } from "../../src/prices/index.ts";
import type { Limits } from "./limits.ts";
import { type Alias, aliasesOf } from "./names.ts";
import { periodsOf } from "./periods.ts";

/** What is made of the package's prices. */
export interface Seed {
  readonly rows: readonly PriceRow[];
  /** Names of models that the package lists without a price. */
  readonly leftOut: readonly string[];
}

/** Makes rows of the catalogue of all that the package lists. */
export function makeSeed(
  providers: readonly Provider[],
  limits: ReadonlyMap<string, Limits>,
  moreAliases: readonly Alias[] = [],
): Seed {
  const rows: PriceRow[] = [];
  const leftOut: string[] = [];
  for (const provider of providers) {
    for (const model of provider.models) {
      const name = `${provider.id}/${model.id}`;
      const priced = hasPrice(model) ? rowsOf(name, model, limits.get(name)) : [];
      if (priced.length === 0) leftOut.push(name);
      rows.push(...priced);
    }
  }
  refuseUnknown(rows, [...limits.keys(), ...moreAliases.map(({ model }) => model)]);
  const aliases = [...providers.flatMap(aliasesOf), ...moreAliases];
  const known = aliases.filter(({ model }) => !leftOut.includes(model));
  return { rows: [...rows, ...known.map(aliasRow)], leftOut: leftOut.sort(compareText) };
}

function hasPrice({ prices }: ModelInfo): boolean {
  return Array.isArray(prices) || Object.keys(prices).length > 0;
}

const COMMON = { variant: "standard", currency: "USD", aliasOf: null } as const;

function rowsOf(name: string, model: ModelInfo, limits: Limits | undefined): PriceRow[] {
  const windows = {
    contextWindow: model.context_window ?? limits?.contextWindow ?? null,
    maxOutput: limits?.maxOutput ?? null,
  };
  return periodsOf(model).flatMap(({ validFrom, tiers }) =>
    [...tiers].map(([above, rates]) => ({
      ...{ ...COMMON, ...windows },
      ...{ model: name, above, validFrom, rates },
    })),
  );
}

function aliasRow({ model, name }: Alias): PriceRow {
  return {
    ...{ ...COMMON, variant: "", contextWindow: null, maxOutput: null, rates: {} },
    ...{ model: name, above: 0, validFrom: null, aliasOf: model },
  };
}

function refuseUnknown(rows: readonly PriceRow[], names: readonly string[]): void {
  const known = new Set(rows.map(({ model }) => model));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) throw new Error(`no prices for ${unknown.join(", ")}`);
}
