import { Command } from "commander";
import { formatAmount } from "../amounts/index.ts";
import { balance } from "../generated/index.ts";
import { printJson, printTable } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";

interface Options extends DatabaseOptions {
  readonly json?: true;
}

/** `baseledger balance`: what a wallet has, at this moment. */
export function balanceCommand(): Command {
  const command = new Command("balance")
    .argument("<wallet>", "id of the wallet")
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText("after", "\nExample:\n  baseledger balance acme")
    .action(showBalance);
  return addDatabaseOptions(command);
}

async function showBalance(walletId: string, options: Options): Promise<void> {
  const found = await withConnection(options, (sql) => balance(sql, { walletId }));
  if (options.json) {
    printJson(found);
    return;
  }
  const show = (amount: bigint): string =>
    `${formatAmount(amount, found.scale, { grouping: true })} ${found.unit}`;
  const row = {
    wallet: found.walletId,
    available: show(found.available),
    reserved: show(found.reserved),
    spent: show(found.spent),
    state: found.frozen ? "frozen" : "open",
  };
  printTable([row], ["available", "reserved", "spent"]);
}
