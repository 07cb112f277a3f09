import { Command } from "commander";
import { transfer } from "../generated/index.ts";
import { AMOUNT, sendsToWallet } from "./wallet-command.ts";

const HELP = `
Both wallets have one unit and scale. The key belongs to the sender, and so does the receipt.
Needs baseledger_operator.

Example:
  baseledger transfer acme acme-research 2.50 --key topup-8`;

/** `baseledger transfer`: funds from one wallet to another. */
export function transferCommand(): Command {
  const command = new Command("transfer")
    .argument("<from>", "id of the wallet that pays")
    .argument("<to>", "id of the wallet that receives")
    .argument("<amount>", AMOUNT);
  return sendsToWallet(command, HELP, ({ amount, sql, terms, walletId, words }) => {
    const [to = "", text] = words;
    return transfer(sql, { from: walletId, to, amount: amount(text), ...terms });
  });
}
