import { basename } from "node:path";
import { Command } from "commander";
import type postgres from "postgres";
import { LedgerError } from "../errors/index.ts";
import {
  applyPrices,
  comparePrices,
  type PlacedPriceRow,
  type PriceDifference,
  PriceFileError,
  type PriceRow,
  readCatalogue,
  readPrices,
  readSeed,
  rowsToSet,
} from "../prices/index.ts";
import { canAsk, confirm, EXIT, printJson, printLine, text } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { printDifference, toJsonDifference } from "./price-difference.ts";

interface Options extends DatabaseOptions {
  readonly file?: string;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

/** Prices to import. */
interface Given {
  readonly rows: readonly PlacedPriceRow[];
  readonly source: string;
  /** Whether what an operator has set stays. */
  readonly keepOthers: boolean;
}

const HELP = `
Shows the difference to what the database has, and asks before it sets anything. The seed leaves
every model as it is whose prices an operator has set, or another file. A file of your own is CSV,
or JSON with objects of the same names: model, then variant, above, valid_from, currency,
context_window, max_output or alias_of where they are needed, and a column for each kind of usage,
such as input, cache_read and output, in the currency per million. Needs baseledger_operator.

Examples:
  baseledger prices import
  baseledger prices import --dry-run
  baseledger prices import --file negotiated.csv --yes`;

/** `baseledger prices import`: the seed, or a file. */
export function importCommand(): Command {
  const command = new Command("import")
    .description("set the list prices that come with BaseLedger, or those of a file")
    .option("--file <path>", "CSV or JSON with prices of your own, instead of the seed")
    .option("--dry-run", "only show the difference")
    .option("--yes", "do not ask")
    .option("--json", "print the difference as JSON")
    .addHelpText("after", HELP)
    .action(importPrices);
  return addDatabaseOptions(command);
}

async function importPrices(options: Options): Promise<void> {
  const { dryRun, file, json, yes } = options;
  if (!dryRun && !yes && (json || !canAsk())) {
    throw new UsageError(
      "nobody can be asked here: give --yes to set the prices, or --dry-run to see the difference",
    );
  }
  const given = await readGiven(file);
  await withConnection(options, async (sql) => {
    const difference = comparePrices(given.rows, await readCatalogue(sql), given);
    refuseImpossible(given, difference);
    if (!json) printDifference(difference, given.source);
    const isEmpty = rowsToSet(difference).length === 0;
    const applied = !dryRun && !isEmpty && (yes || (await confirm("Set these prices?")));
    if (applied) await apply(sql, given, difference);
    if (json) printJson(toJsonDifference(difference, given.source, applied));
    else if (!isEmpty) printLine(applied ? text`Set.` : text`Nothing was set.`);
    if (!dryRun && !isEmpty && !applied) process.exitCode = EXIT.refused;
  });
}

async function readGiven(file: string | undefined): Promise<Given> {
  if (file === undefined) return { ...(await readSeed()), keepOthers: true };
  try {
    const rows = await readPrices(file);
    return { rows, source: `file ${basename(file)}`.slice(0, 255), keepOthers: false };
  } catch (error) {
    if (error instanceof PriceFileError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** A file is imported whole or not at all; of the seed, what is impossible is left out. */
function refuseImpossible({ keepOthers, rows }: Given, { impossible }: PriceDifference): void {
  const [first] = impossible;
  if (keepOthers || first === undefined) return;
  const place = rows.find(({ model }) => model === first || first.startsWith(`${model} `))?.place;
  throw new Error(
    `${place}: ${first} cannot be set: a model never becomes an alias, nor an alias a model; and ` +
      "an alias stands for a model",
  );
}

/** Sets the prices if the difference is still the one that was shown. */
async function apply(sql: postgres.Sql, given: Given, shown: PriceDifference): Promise<void> {
  const changed = new Error("the prices have been changed meanwhile, nothing was set: try again");
  try {
    // Under this isolation, prices that are set after the catalogue was read make the import fail.
    await sql.begin("isolation level repeatable read", async (transaction) => {
      const difference = comparePrices(given.rows, await readCatalogue(transaction), given);
      if (JSON.stringify(namesOf(difference)) !== JSON.stringify(namesOf(shown))) throw changed;
      await applyPrices(transaction, difference, given.source);
    });
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    throw code === "23505" || code === "40001" ? changed : placed(error, rowsToSet(shown));
  }
}

/** The refusal of a row with its place in the file. */
function placed(error: unknown, rows: readonly PriceRow[]): unknown {
  if (!(error instanceof LedgerError)) return error;
  const { field, place } = (error.detail ?? {}) as { field?: unknown; place?: unknown };
  const row = rows[Number(place) - 1] as Partial<PlacedPriceRow> | undefined;
  if (row?.place === undefined) return error;
  return new UsageError(`${row.place}, ${field}: ${error.message}`, { cause: error });
}

function namesOf(difference: PriceDifference): unknown {
  return rowsToSet(difference).map(({ above, model, validFrom, variant }) => [
    model,
    variant,
    above,
    validFrom,
  ]);
}
