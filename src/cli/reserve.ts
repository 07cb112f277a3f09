import type { Command } from "commander";
import { reserve } from "../generated/index.ts";
import { DURATIONS, parseDuration } from "../terminal/index.ts";
import { AMOUNT, sendsToWallet, walletCommand } from "./wallet-command.ts";

interface Options {
  readonly ttl?: string;
  readonly reservation?: string;
  readonly atLeast?: string;
}

const HELP = `
What is not settled or cancelled by its deadline is available again.

Examples:
  baseledger reserve acme 0.25 --key call-1 --ttl 2m
  baseledger reserve acme 0.25 --at-least 0.05 --json | jq -r .amount`;

/** `baseledger reserve`: a hold on funds, before they are spent. */
export function reserveCommand(): Command {
  const command = walletCommand("reserve")
    .argument("<amount>", AMOUNT)
    .option("--ttl <time>", `how long it lives, ${DURATIONS} (default: 10 minutes)`, parseDuration)
    .option("--reservation <id>", "id of the reservation (default: the key)")
    .option("--at-least <amount>", "take what is there, if it is no less than this");
  return sendsToWallet<Options>(command, HELP, (asked) => {
    const { amount, options, sql, terms, walletId, words } = asked;
    const { atLeast, reservation: reservationId, ttl } = options;
    return reserve(sql, {
      walletId,
      amount: amount(words[0]),
      atLeast: atLeast === undefined ? undefined : amount(atLeast, "--at-least"),
      reservationId,
      ttl,
      ...terms,
    });
  });
}
