import type { Command } from "commander";
import type postgres from "postgres";
import type { Receipt } from "../generated/index.ts";
import type { Json } from "../json/index.ts";
import { optionParser, printJson } from "../terminal/index.ts";
import { type Denomination, denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { printChange } from "./receipt.ts";
import { attempt, metadataOption, readAmount } from "./wallet-command.ts";

/** A change of a wallet's terms, limits or access, as a person has asked for it. */
export interface AskedChange<O> {
  readonly sql: postgres.Sql;
  readonly walletId: string;
  /** The arguments behind the wallet. */
  readonly words: readonly string[];
  readonly options: O;
  readonly denomination: Denomination;
  /** Parses an amount in the wallet's unit; `option` is the one it was given with. */
  amount(text: string, option?: string): bigint;
  readonly terms: {
    readonly idempotencyKey: string | undefined;
    readonly metadata: Json | undefined;
  };
}

/** What has changed: the receipt, and in words what holds now. */
export interface Changed {
  readonly receipt: Receipt;
  readonly facts?: readonly (readonly [name: string, value: string])[];
}

interface Options extends DatabaseOptions {
  readonly key?: string;
  readonly metadata?: Json;
  readonly json?: true;
}

/** Options of a change: the key is optional, as the same change twice does no harm. */
export function addChangeOptions(command: Command, help: string): Command {
  command
    .option("--key <key>", "idempotency key, if it may be sent more than once")
    .addOption(metadataOption())
    .option("--json", "print the receipt as JSON")
    .addHelpText("after", help);
  return addDatabaseOptions(command);
}

/**
 * Completes a command that changes what a wallet may do; its first argument is the wallet. `see` is
 * the command that shows how it stands, for a change whose answer was lost.
 */
export function changesWallet<O = object>(
  command: Command,
  help: string,
  see: (walletId: string) => string,
  act: (asked: AskedChange<O>) => Promise<Changed | readonly Changed[]>,
): Command {
  return addChangeOptions(command, help).action(() => runChange(command, see, act));
}

/** The action of {@link changesWallet}. */
export async function runChange<O>(
  command: Command,
  see: (walletId: string) => string,
  act: (asked: AskedChange<O>) => Promise<Changed | readonly Changed[]>,
): Promise<void> {
  const [walletId = "", ...words] = command.args;
  const options = command.opts<Options>();
  const { json, key: idempotencyKey, metadata } = options;
  await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const again = `see: baseledger ${see(walletId)}`;
    const asked: AskedChange<O> = {
      sql,
      walletId,
      words,
      options: options as Options & O,
      denomination,
      amount: (given, option) => readAmount(given, denomination.scale, option),
      terms: { idempotencyKey, metadata },
    };
    const changes = [
      await attempt({ denomination, idempotencyKey, again }, () => act(asked)),
    ].flat();
    const receipts = changes.map(({ receipt }) => receipt);
    if (json) printJson(receipts.length === 1 ? receipts[0] : receipts);
    else for (const { facts, receipt } of changes) printChange(receipt, facts);
  });
}

/** Parses a list such as `user,run`; an empty text is no name. */
export function listOption(): (text: string) => string[] {
  return optionParser((text) => {
    const names = text.split(",").map((name) => name.trim());
    if (names.includes("")) throw new RangeError("It is not a list like user,run.");
    return names;
  });
}

/** Options for the labels of a role or key. */
export function addLabelOptions(command: Command): Command {
  return command
    .option(
      "--label <name=value>",
      "a fixed label, such as user=ann; may be given more than once",
      (text: string, before: Record<string, string> = {}) => ({ ...before, ...parseLabel(text) }),
    )
    .option(
      "--free <names>",
      "labels it may choose itself, such as user,run, or '*'",
      listOption(),
    );
}

/** What {@link addLabelOptions} reads. */
export interface LabelOptions {
  readonly label?: Readonly<Record<string, string>>;
  readonly free?: readonly string[];
}

function parseLabel(text: string): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new UsageError(`--label: ${text} is not like user=ann`);
  }
  return { [name]: value };
}

/** Labels in words, such as `user=ann, free: run`. */
export function describeLabels(labels: Json, free: readonly string[]): string {
  const fixed = Object.entries((labels ?? {}) as Record<string, string>).map(
    ([name, value]) => `${name}=${value}`,
  );
  const chosen = free.includes("*") ? ["all"] : free;
  const all = [...fixed, ...(chosen.length > 0 ? [`free: ${chosen.join(", ")}`] : [])];
  return all.join(", ") || "none";
}
