import { Command, Option } from "commander";
import {
  type PriceRow,
  presentPrices,
  priceFields,
  priceLines,
  readCatalogue,
} from "../prices/index.ts";
import { csvText, printCsv, printJson } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";

interface Options extends DatabaseOptions {
  readonly json?: true;
}

/** `baseledger prices export`: a file that import takes. */
export function exportCommand(): Command {
  const command = new Command("export")
    .description("print what counts now and later on, as a file for import --file")
    .argument("[prefix]", "only names that begin with this, such as openai/", "")
    .addOption(new Option("--json", "print JSON instead of CSV"))
    .addHelpText(
      "after",
      "\nAny role of the ledger may do it.\n\nExample:\n  baseledger prices export openai/ > prices.csv",
    )
    .action(exportPrices);
  return addDatabaseOptions(command);
}

async function exportPrices(prefix: string, options: Options): Promise<void> {
  const catalogue = await withConnection(options, readCatalogue);
  const rows = presentPrices(catalogue).filter(({ model }) => model.startsWith(prefix));
  if (options.json) printJson(rows.map(priceFields));
  else await printPriceFile(rows);
}

/** Prints rows as a file of prices. */
export async function printPriceFile(rows: readonly PriceRow[]): Promise<void> {
  await printCsv(safeLines(rows));
}

async function* safeLines(rows: readonly PriceRow[]): AsyncGenerator<readonly string[]> {
  for (const fields of priceLines(rows)) yield fields.map(csvText);
}
