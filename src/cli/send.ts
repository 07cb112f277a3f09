import { createKey } from "../client/keys.ts";
import { CommandError, type SentCommand } from "./failure.ts";
import type { Denomination } from "./refusal.ts";

/**
 * Sends a command to a wallet under the key that was given, or one that is made up. What it is
 * refused with is told in the wallet's unit; if the connection ends before the answer, the key is
 * told, with which the same command finds out whether it was done.
 */
export async function send<T>(
  denomination: Denomination,
  key: string | undefined,
  act: (idempotencyKey: string) => Promise<T>,
): Promise<T> {
  const idempotencyKey = key ?? createKey();
  const again = `ask again with --key ${idempotencyKey}`;
  return attempt({ denomination, idempotencyKey, again }, () => act(idempotencyKey));
}

/** Does something of which more is known than its error says. */
export async function attempt<T>(sent: SentCommand, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new CommandError(cause, sent);
  }
}
