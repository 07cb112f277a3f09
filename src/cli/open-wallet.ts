import { Command } from "commander";
import { openWallet } from "../generated/index.ts";
import type { Json } from "../json/index.ts";
import { wholeNumber } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { printReceipt } from "./receipt.ts";
import { attempt, metadataOption, readAmount } from "./wallet-command.ts";

interface Options extends DatabaseOptions {
  readonly unit: string;
  readonly scale: number;
  readonly overdraftLimit?: string;
  readonly restricted?: true;
  readonly metadata?: Json;
  readonly json?: true;
}

/** `baseledger open`: a new wallet. */
export function openCommand(): Command {
  const command = new Command("open")
    .argument("<wallet>", "id of the new wallet")
    .option("--unit <name>", "what it counts, e.g. USD, tokens, requests", "USD")
    .option(
      "--scale <digits>",
      "decimal digits of its smallest step, 0 to 18",
      wholeNumber(0, 18),
      9,
    )
    .option("--overdraft-limit <amount>", "how far settlements may go below zero (default: any)")
    .option("--restricted", "only roles and keys may use it that are let: see allow, key create")
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

async function openOne(walletId: string, options: Options): Promise<void> {
  const { unit, scale, metadata, restricted } = options;
  const overdraftLimit =
    options.overdraftLimit === undefined
      ? undefined
      : readAmount(options.overdraftLimit, scale, "--overdraft-limit");
  const denomination = { unit, scale };
  const receipt = await withConnection(options, (sql) =>
    attempt({ denomination, again: "ask again: it is done once" }, () =>
      openWallet(sql, { walletId, unit, scale, overdraftLimit, metadata, restricted }),
    ),
  );
  printReceipt(receipt, denomination, options.json);
}
