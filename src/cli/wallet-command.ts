import { Command } from "commander";
import type postgres from "postgres";
import { parseAmount } from "../amounts/index.ts";
import type { Receipt } from "../generated/index.ts";
import type { Json } from "../wire/json.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { denominationOf, metadataOption, printReceipt } from "./receipt.ts";
import { send } from "./send.ts";

/** What a person has asked of a wallet. */
export interface Asked<O> {
  readonly sql: postgres.Sql;
  readonly walletId: string;
  /** The arguments behind the wallet. */
  readonly words: readonly string[];
  readonly options: O;
  /** Reads an amount in the wallet's unit, exactly; `option` is the one that has it. */
  amount(text: string | undefined, option?: string): bigint;
  /** What every command is sent with. */
  readonly terms: { readonly idempotencyKey: string; readonly metadata: Json | undefined };
}

interface Options extends DatabaseOptions {
  readonly key?: string;
  readonly metadata?: Json;
  readonly json?: true;
}

/** What help says of an amount. */
export const AMOUNT = "in the wallet's unit, like 12.50: exact, never rounded";

/** Begins a command that a wallet is sent, under an idempotency key; its own options follow. */
export function walletCommand(name: string): Command {
  return new Command(name).argument("<wallet>", "id of the wallet");
}

/**
 * Completes a command that a wallet is sent: adds the options that all of them have, and has it
 * sent and its receipt printed. `help` is what follows the options, with examples.
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
    const receipt = await send(denomination, key, (idempotencyKey) => {
      const terms = { idempotencyKey, metadata };
      return act({ sql, walletId, words, options: options as Options & O, amount, terms });
    });
    printReceipt(receipt, denomination, json);
  });
}

/** Reads an amount in units of a scale; `option` is the one that has it. */
export function readAmount(text: string, scale: number, option?: string): bigint {
  try {
    return parseAmount(text, scale);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(option ? `${option}: ${message}` : message, { cause: error });
  }
}
