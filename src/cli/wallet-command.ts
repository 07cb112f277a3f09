import { Command, Option } from "commander";
import type postgres from "postgres";
import { parseAmount } from "../amounts/index.ts";
import type { Receipt } from "../generated/index.ts";
import { type Json, parseJson } from "../json/index.ts";
import { optionParser } from "../terminal/index.ts";
import { type Denomination, denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { CommandError, type SentCommand, UsageError } from "./failure.ts";
import { printReceipt } from "./receipt.ts";

/** A command as a person has given it. */
export interface Asked<O> {
  readonly sql: postgres.Sql;
  readonly walletId: string;
  /** The arguments behind the wallet. */
  readonly words: readonly string[];
  readonly options: O;
  /** Parses an amount in the wallet's unit, exactly; `option` is the one it was given with. */
  amount(text: string | undefined, option?: string): bigint;
  /** The arguments that every command has. */
  readonly terms: { readonly idempotencyKey: string; readonly metadata: Json | undefined };
}

interface Options extends DatabaseOptions {
  readonly key?: string;
  readonly metadata?: Json;
  readonly json?: true;
}

/** What help says of an amount. */
export const AMOUNT = "in the wallet's unit, like 12.50: exact, never rounded";

/** Makes a command to a wallet; its own arguments and options follow. */
export function walletCommand(name: string): Command {
  return new Command(name).argument("<wallet>", "id of the wallet");
}

/**
 * Completes a command to a wallet: adds the options that all of them have, and the action, which
 * sends it under an idempotency key and prints its receipt. `help` follows the options.
 */
export function sendsToWallet<O = object>(
  command: Command,
  help: string,
  act: (asked: Asked<O>) => Promise<Receipt>,
): Command {
  command
    .option("--key <key>", "idempotency key: with the same one it is done once (default: made up)")
    .addOption(metadataOption())
    .option("--json", "print the receipt as JSON: amounts in the smallest step, as strings")
    .addHelpText("after", help)
    .action(() => run(command, act));
  return addDatabaseOptions(command);
}

async function run<O>(command: Command, act: (asked: Asked<O>) => Promise<Receipt>): Promise<void> {
  const [walletId = "", ...words] = command.args;
  const options = command.opts<Options>();
  const { json, key, metadata } = options;
  await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const amount = (text = "", option?: string): bigint =>
      readAmount(text, denomination.scale, option);
    const receipt = await sendWithKey(denomination, key, (idempotencyKey) => {
      const terms = { idempotencyKey, metadata };
      return act({ sql, walletId, words, options: options as Options & O, amount, terms });
    });
    printReceipt(receipt, denomination, json);
  });
}

/** Parses an amount of a wallet; `option` is the one it was given with. */
export function readAmount(text: string, scale: number, option?: string): bigint {
  try {
    return parseAmount(text, scale);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(option ? `${option}: ${message}` : message, { cause: error });
  }
}

/** The option for what a caller wants to keep on record with a command. */
export function metadataOption(): Option {
  return new Option("--metadata <json>", "an object to keep with it").argParser(
    optionParser((text): Json => {
      const value = parseJson(text);
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new RangeError('It is not a JSON object like {"order": 17}.');
      }
      return value;
    }),
  );
}

/**
 * Sends a command under the given key, or a new one. A refusal reports amounts in the wallet's unit;
 * if the connection ends before the answer, the error has the key, with which the same command
 * finds out whether it was executed.
 */
async function sendWithKey<T>(
  denomination: Denomination,
  key: string | undefined,
  act: (idempotencyKey: string) => Promise<T>,
): Promise<T> {
  // Loaded only without a key: with it comes all of the client.
  const idempotencyKey = key ?? (await import("../client/index.ts")).createIdempotencyKey();
  const again = `ask again with --key ${idempotencyKey}`;
  return attempt({ denomination, idempotencyKey, again }, () => act(idempotencyKey));
}

/** Sends a command, and adds to its error what is known about the command. */
export async function attempt<T>(sent: SentCommand, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new CommandError(cause, sent);
  }
}
