import { Command } from "commander";
import { parseAmount } from "../client/amounts.ts";
import { credit } from "../generated/baseledger.ts";
import type { Json } from "../json.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { denominationOf, metadataOption, printReceipt } from "./receipt.ts";
import { send } from "./send.ts";

interface Options extends DatabaseOptions {
  readonly key?: string;
  readonly metadata?: Json;
  readonly json?: true;
}

/** `baseledger credit`: funds for a wallet. */
export function creditCommand(): Command {
  const command = new Command("credit")
    .description("add funds to a wallet")
    .argument("<wallet>", "id of the wallet")
    .argument("<amount>", "in the wallet's unit, like 12.50: exact, never rounded")
    .option("--key <key>", "idempotency key: with the same one it is done once (default: made up)")
    .addOption(metadataOption())
    .option("--json", "print the receipt as JSON: amounts in the smallest step, as strings")
    .addHelpText(
      "after",
      "\nWithout --key each call adds funds. Give the number of the payment, and a repeated call" +
        "\nfinds it done.\n\nExamples:\n  baseledger credit acme 12.50 --key invoice-17" +
        `\n  baseledger credit acme 100 --metadata '{"order": 17}'`,
    )
    .action(creditOne);
  return addDatabaseOptions(command);
}

async function creditOne(walletId: string, text: string, options: Options): Promise<void> {
  await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const amount = amountOf(text, denomination.scale);
    const { key, metadata } = options;
    const receipt = await send(denomination, key, (idempotencyKey) =>
      credit(sql, { walletId, amount, idempotencyKey, metadata }),
    );
    printReceipt(receipt, denomination, options.json);
  });
}

function amountOf(text: string, scale: number): bigint {
  try {
    return parseAmount(text, scale);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
