import type { Command } from "commander";
import { charge } from "../generated/index.ts";
import { AMOUNT, sendsToWallet, walletCommand } from "./wallet-command.ts";

interface Options {
  readonly reservation?: string;
  readonly alreadySpent?: true;
}

const HELP = `
For a cost that is known already. It may be refunded like what was reserved and settled.

Example:
  baseledger charge acme 0.02 --key embedding-9`;

/** `baseledger charge`: spends at once. */
export function chargeCommand(): Command {
  const command = walletCommand("charge")
    .argument("<amount>", AMOUNT)
    .option("--reservation <id>", "id to look it up and refund it by (default: the key)")
    .option("--already-spent", "book it past limits, a freeze and a closing: it is spent already");
  return sendsToWallet<Options>(command, HELP, (asked) => {
    const { amount, options, sql, terms, walletId, words } = asked;
    const { alreadySpent, reservation: reservationId } = options;
    return charge(sql, {
      walletId,
      amount: amount(words[0]),
      reservationId,
      alreadySpent,
      ...terms,
    });
  });
}
