import type { Command } from "commander";
import { refund } from "../generated/index.ts";
import { AMOUNT, sendsToWallet, walletCommand } from "./wallet-command.ts";

const HELP = `
Never more in all than the reservation has settled. Needs baseledger_operator.

Example:
  baseledger refund acme call-1 0.05 --key complaint-5`;

/** `baseledger refund`: takes spending back. */
export function refundCommand(): Command {
  const command = walletCommand("refund")
    .argument("<reservation>", "id of the reservation that settled it")
    .argument("<amount>", AMOUNT);
  return sendsToWallet(command, HELP, ({ amount, sql, terms, walletId, words }) => {
    const [reservationId = "", text] = words;
    return refund(sql, { walletId, reservationId, amount: amount(text), ...terms });
  });
}
