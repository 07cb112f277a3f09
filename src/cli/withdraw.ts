import type { Command } from "commander";
import { withdraw } from "../generated/index.ts";
import { AMOUNT, sendsToWallet, walletCommand } from "./wallet-command.ts";

const HELP = `
Never takes more than is available. Needs baseledger_operator.

Example:
  baseledger withdraw acme 4.00 --key payout-3`;

/** `baseledger withdraw`: funds out of a wallet. */
export function withdrawCommand(): Command {
  const command = walletCommand("withdraw").argument("<amount>", AMOUNT);
  return sendsToWallet(command, HELP, ({ amount, sql, terms, walletId, words: [text] }) =>
    withdraw(sql, { walletId, amount: amount(text), ...terms }),
  );
}
