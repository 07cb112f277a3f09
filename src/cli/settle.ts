import type { Command } from "commander";
import { settle } from "../generated/index.ts";
import { AMOUNT, sendsToWallet, walletCommand } from "./wallet-command.ts";

const HELP = `
More than was reserved is booked all the same, from what is available.

Examples:
  baseledger settle acme call-1 0.1815
  baseledger settle acme call-1 0.04 --part --key call-1-step-2`;

/** `baseledger settle`: what a reservation was for has been spent. */
export function settleCommand(): Command {
  const command = walletCommand("settle")
    .argument("<reservation>", "id of the reservation")
    .argument("<amount>", AMOUNT)
    .option("--part", "book a part, and keep the rest reserved (default: the rest is returned)");
  return sendsToWallet<{ readonly part?: true }>(command, HELP, (asked) => {
    const { amount, options, sql, terms, walletId, words } = asked;
    const [reservationId = "", text] = words;
    return settle(sql, {
      walletId,
      reservationId,
      amount: amount(text),
      final: !options.part,
      ...terms,
    });
  });
}
