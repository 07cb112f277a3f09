import { Command } from "commander";
import type postgres from "postgres";
import { parseAmount } from "../client/amounts.ts";
import { createKey } from "../client/keys.ts";
import { LedgerError } from "../errors.ts";
import { credit, type Receipt } from "../generated/baseledger.ts";
import type { Json } from "../json.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { printError } from "./output.ts";
import { denominationOf, metadataOption, printReceipt } from "./receipt.ts";

interface Options extends DatabaseOptions {
  readonly key?: string;
  readonly metadata?: Json;
  readonly json?: true;
}

/** `baseledger credit`: funds for a wallet. */
export function creditCommand(): Command {
  const command = new Command("credit")
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
    const receipt = await send(sql, walletId, amount, options);
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

async function send(
  sql: postgres.Sql,
  walletId: string,
  amount: bigint,
  { key, metadata }: Options,
): Promise<Receipt> {
  const idempotencyKey = key ?? createKey();
  try {
    return await credit(sql, { walletId, amount, idempotencyKey, metadata });
  } catch (error) {
    if (!(error instanceof LedgerError)) {
      // It may have been done: only the same key tells, and nobody but us knows a made-up one.
      printError(`baseledger: not known whether it was done; ask again: --key ${idempotencyKey}`);
    }
    throw error;
  }
}
