import type { Ledger } from "../client/index.ts";
import type { Price } from "../generated/index.ts";
import type { Kinds } from "./wire/index.ts";

/** What the prices say of a model in a variant: enough to bound a call, not to price it. */
export interface ModelFacts {
  /** The most tokens of input and output together, and of output, where known. */
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
  /** Kinds with their rates, for a call with so much input. */
  ratesFor(input: number): Kinds;
}

/** What is known of models. */
export interface Catalogue {
  /** Undefined if the ledger has no price. */
  find(model: string, variant: string): Promise<ModelFacts | undefined>;
}

const LIFETIME_MS = 30_000;

interface Entry {
  readonly rows: Promise<readonly Price[]>;
  readonly until: number;
}

/**
 * Reads models from the ledger, and keeps each for half a minute; calls at the same time share one
 * request.
 */
export function createCatalogue(ledger: Pick<Ledger, "listPrices">): Catalogue {
  const entries = new Map<string, Entry>();

  function rowsOf(model: string): Promise<readonly Price[]> {
    const found = entries.get(model);
    if (found && found.until > performance.now()) return found.rows;
    const rows = read(model);
    entries.set(model, { rows, until: performance.now() + LIFETIME_MS });
    const forget = () => entries.get(model)?.rows === rows && entries.delete(model);
    // A price that is set now counts for the next call.
    rows.then((all) => all.length === 0 && forget(), forget);
    return rows;
  }

  async function read(model: string): Promise<readonly Price[]> {
    const rows = await list(model);
    const aliasOf = rows[0]?.aliasOf ?? undefined;
    return aliasOf === undefined ? rows : list(aliasOf);
  }

  async function list(model: string): Promise<readonly Price[]> {
    const all = await ledger.listPrices({ prefix: model });
    return all.filter((row) => row.model === model);
  }

  return {
    async find(model, variant) {
      const has = (row: Price) => row.variant === variant;
      const before = entries.get(model);
      let rows = await rowsOf(model);
      if (before && !rows.some(has)) {
        // The variant may have got a price since they were read.
        entries.delete(model);
        rows = await rowsOf(model);
      }
      const own = rows.filter(has);
      return own.length > 0 ? factsOf(own, rows) : undefined;
    },
  };
}

const catalogues = new WeakMap<object, Catalogue>();

/** The catalogue of a ledger: one for all that meter with it. */
export function catalogueOf(ledger: Pick<Ledger, "listPrices">): Catalogue {
  const catalogue = catalogues.get(ledger) ?? createCatalogue(ledger);
  catalogues.set(ledger, catalogue);
  return catalogue;
}

function factsOf(own: readonly Price[], all: readonly Price[]): ModelFacts {
  const tiers = own
    .map(({ above, rates }) => ({ above: Number(above), rates: ratesOf(rates) }))
    .sort((a, b) => b.above - a.above);
  const most = (field: "contextWindow" | "maxOutput") =>
    largest(own.map((row) => row[field])) ?? largest(all.map((row) => row[field]));
  return {
    contextWindow: most("contextWindow"),
    maxOutput: most("maxOutput"),
    ratesFor: (input) => tiers.find(({ above }) => above === 0 || input > above)?.rates ?? {},
  };
}

/** As numbers: they are compared, not multiplied. */
function ratesOf(rates: Price["rates"]): Kinds {
  return Object.fromEntries(
    Object.entries(rates ?? {}).map(([kind, rate]) => [kind, Number(rate)]),
  );
}

function largest(values: readonly (bigint | null)[]): number | undefined {
  const known = values.filter((value) => value !== null).map(Number);
  return known.length > 0 ? Math.max(...known) : undefined;
}
