import { Command } from "commander";
import { receipt } from "../generated/index.ts";
import { EXIT, printError, printJson, text } from "../terminal/index.ts";
import { denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { printReceipt } from "./receipt.ts";

interface Options extends DatabaseOptions {
  readonly json?: true;
}

/** `baseledger receipt`: was it done? */
export function receiptCommand(): Command {
  const command = new Command("receipt")
    .argument("<wallet>", "id of the wallet")
    .argument("<key>", "idempotency key of the command")
    .option("--json", "print the receipt as JSON, or null: amounts in the smallest step")
    .addHelpText(
      "after",
      "\nExits with 1 if nothing was done under this key, or nothing that the login may see. A command" +
        "\nwhose answer was lost may still be under way.\n\nExample:\n  baseledger receipt acme call-1",
    )
    .action(show);
  return addDatabaseOptions(command);
}

async function show(walletId: string, idempotencyKey: string, options: Options): Promise<void> {
  const { denomination, found } = await withConnection(options, async (sql) => ({
    denomination: await denominationOf(sql, walletId),
    found: (await receipt(sql, { walletId, idempotencyKey }))[0],
  }));
  if (found) {
    printReceipt(found, denomination, options.json);
    return;
  }
  process.exitCode = EXIT.refused;
  if (options.json) printJson(null);
  printError(text`baseledger: nothing was done under the key ${idempotencyKey} in ${walletId}`);
}
