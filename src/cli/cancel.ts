import type { Command } from "commander";
import { cancel } from "../generated/index.ts";
import { sendsToWallet, walletCommand } from "./wallet-command.ts";

const HELP = `
Example:
  baseledger cancel acme call-1`;

/** `baseledger cancel`: a reservation is not needed. */
export function cancelCommand(): Command {
  const command = walletCommand("cancel").argument("<reservation>", "id of the reservation");
  return sendsToWallet(command, HELP, ({ sql, terms, walletId, words: [reservationId = ""] }) =>
    cancel(sql, { walletId, reservationId, ...terms }),
  );
}
