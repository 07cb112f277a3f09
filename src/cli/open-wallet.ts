import { Command } from "commander";
import { parseAmount } from "../amounts/index.ts";
import { openWallet } from "../generated/index.ts";
import type { Json } from "../wire/json.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { parsedBy, UsageError } from "./failure.ts";
import { metadataOption, printReceipt } from "./receipt.ts";
import { attempt } from "./send.ts";

interface Options extends DatabaseOptions {
  readonly unit: string;
  readonly scale: number;
  readonly overdraftLimit?: string;
  readonly metadata?: Json;
  readonly json?: true;
}

/** `baseledger open`: a new wallet. */
export function openCommand(): Command {
  const command = new Command("open")
    .argument("<wallet>", "id of the new wallet")
    .option("--unit <name>", "what it counts, e.g. USD, tokens, requests", "USD")
    .option("--scale <digits>", "decimal digits of its smallest step, 0 to 18", parseScale(), 9)
    .option("--overdraft-limit <amount>", "how far settlements may go below zero (default: any)")
    .addOption(metadataOption())
    .option("--json", "print the receipt as JSON: amounts in the smallest step, as strings")
    .addHelpText(
      "after",
      "\nExamples:\n  baseledger open acme\n  baseledger open acme --overdraft-limit 5.00" +
        "\n  baseledger open requests-of-acme --unit requests --scale 0",
    )
    .action(openOne);
  return addDatabaseOptions(command);
}

function parseScale(): (text: string) => number {
  return parsedBy((text) => {
    const scale = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
    if (!(scale <= 18)) throw new RangeError("It is not a whole number from 0 to 18.");
    return scale;
  });
}

async function openOne(walletId: string, options: Options): Promise<void> {
  const { unit, scale, metadata } = options;
  const overdraftLimit = parseLimit(options);
  const denomination = { unit, scale };
  const receipt = await withConnection(options, (sql) =>
    attempt({ denomination, again: "ask again: it is done once" }, () =>
      openWallet(sql, { walletId, unit, scale, overdraftLimit, metadata }),
    ),
  );
  printReceipt(receipt, denomination, options.json);
}

function parseLimit({ overdraftLimit, scale }: Options): bigint | undefined {
  if (overdraftLimit === undefined) return undefined;
  try {
    return parseAmount(overdraftLimit, scale);
  } catch (error) {
    throw new UsageError(`--overdraft-limit: ${(error as Error).message}`, { cause: error });
  }
}
