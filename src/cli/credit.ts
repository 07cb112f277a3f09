import type { Command } from "commander";
import { credit } from "../generated/index.ts";
import { AMOUNT, sendsToWallet, walletCommand } from "./wallet-command.ts";

const HELP = `
Without --key each call adds funds. Give the number of the payment, and a repeated call
finds it done. Needs baseledger_operator.

Examples:
  baseledger credit acme 12.50 --key invoice-17
  baseledger credit acme 100 --metadata '{"order": 17}'`;

/** `baseledger credit`: funds for a wallet. */
export function creditCommand(): Command {
  const command = walletCommand("credit").argument("<amount>", AMOUNT);
  return sendsToWallet(command, HELP, ({ amount, sql, terms, walletId, words: [text] }) =>
    credit(sql, { walletId, amount: amount(text), ...terms }),
  );
}
