import type { Command } from "commander";
import { extend } from "../generated/index.ts";
import { DURATIONS, parseDuration } from "../terminal/index.ts";
import { sendsToWallet, walletCommand } from "./wallet-command.ts";

interface Options {
  readonly ttl: string;
  readonly amount?: string;
}

const HELP = `
The receipt's amount is the change of the hold.

Examples:
  baseledger extend acme call-1 --ttl 5m
  baseledger extend acme call-1 --ttl 5m --amount 0.50`;

/** `baseledger extend`: a new deadline for a reservation, and a larger or smaller hold. */
export function extendCommand(): Command {
  const command = walletCommand("extend")
    .argument("<reservation>", "id of the reservation")
    .requiredOption("--ttl <time>", `how long it lives from now on, ${DURATIONS}`, parseDuration)
    .option("--amount <amount>", "what it holds from now on (default: as before)");
  return sendsToWallet<Options>(command, HELP, (asked) => {
    const { options, sql, terms, walletId, words } = asked;
    const [reservationId = ""] = words;
    const { amount: hold, ttl } = options;
    const amount = hold === undefined ? undefined : asked.amount(hold, "--amount");
    return extend(sql, { walletId, reservationId, ttl, amount, ...terms });
  });
}
