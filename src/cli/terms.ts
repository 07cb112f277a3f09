import { Command } from "commander";
import type postgres from "postgres";
import { formatAmount } from "../amounts/index.ts";
import { WalletNotFoundError } from "../errors/index.ts";
import {
  type ListedWallet,
  listWallets,
  setLowBalance,
  setOverdraftLimit,
} from "../generated/index.ts";
import { joined, optionParser, printJson, printLine, text } from "../terminal/index.ts";
import type { Denomination } from "./amounts.ts";
import { type AskedChange, addChangeOptions, type Changed, runChange } from "./change-command.ts";
import { type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { lowBalancesOf } from "./views.ts";
import { stateOf } from "./wallet-state.ts";

const NONE = "none";

interface Options extends DatabaseOptions {
  readonly overdraftLimit?: string;
  readonly lowBalance?: readonly string[];
  readonly key?: string;
  readonly json?: true;
}

const HELP = `
Without an option it shows the terms, and needs baseledger_auditor or baseledger_operator (low
balances are shown to auditors only); to change them needs baseledger_operator.

Examples:
  baseledger terms acme
  baseledger terms acme --overdraft-limit 5.00
  baseledger terms acme --low-balance 100,20`;

/** `baseledger terms`: what a wallet may do; shows or changes it. */
export function termsCommand(): Command {
  const command = new Command("terms")
    .argument("<wallet>", "id of the wallet")
    .option("--overdraft-limit <amount>", "how far settlements may go below zero, or none for any")
    .option(
      "--low-balance <amounts>",
      "alert when available and reserved together fall below, such as 100,20, or none",
      optionParser((given: string) => given.split(",").map((amount) => amount.trim())),
    );
  return addChangeOptions(command, HELP).action(async (walletId: string, options: Options) => {
    const { lowBalance, overdraftLimit } = options;
    if (lowBalance === undefined && overdraftLimit === undefined) await show(walletId, options);
    else await runChange<Options>(command, (id) => `terms ${id}`, change);
  });
}

async function change(asked: AskedChange<Options>): Promise<Changed[]> {
  const { denomination, options, sql, terms, walletId } = asked;
  const { lowBalance, overdraftLimit: given } = options;
  if (lowBalance !== undefined && given !== undefined && options.key !== undefined) {
    throw new UsageError("--key names one change: give --overdraft-limit or --low-balance");
  }
  const changes: Changed[] = [];
  if (given !== undefined) {
    const overdraftLimit = given === NONE ? null : asked.amount(given, "--overdraft-limit");
    const receipt = await setOverdraftLimit(sql, { walletId, overdraftLimit, ...terms });
    changes.push({
      receipt,
      facts: [["overdraft limit", showAmount(overdraftLimit, denomination)]],
    });
  }
  if (lowBalance !== undefined) {
    const isNone = lowBalance.length === 1 && lowBalance[0] === NONE;
    const amounts = isNone ? [] : lowBalance.map((one) => asked.amount(one, "--low-balance"));
    const receipt = await setLowBalance(sql, { walletId, amounts, ...terms });
    changes.push({ receipt, facts: [["low balance", showAmounts(amounts, denomination)]] });
  }
  return changes;
}

async function show(walletId: string, options: Options): Promise<void> {
  const { lowBalances, wallet } = await withConnection(options, async (sql) => ({
    wallet: await find(sql, walletId),
    lowBalances: await lowBalancesOf(sql, walletId),
  }));
  const { overdraftLimit, scale, unit } = wallet;
  if (options.json) {
    const { closed, frozen, limited, restricted } = wallet;
    printJson({
      ...{ walletId, unit, scale, overdraftLimit, lowBalances },
      ...{ restricted, limited, frozen, closed },
    });
    return;
  }
  printLine(
    joined([
      text`${walletId}: ${stateOf(wallet)}`,
      text`  unit             ${unit}, ${scale} decimals`,
      text`  overdraft limit  ${showAmount(overdraftLimit, wallet)}`,
      ...(lowBalances ? [text`  low balance      ${showAmounts(lowBalances, wallet)}`] : []),
    ]),
  );
}

async function find(sql: postgres.Sql, walletId: string): Promise<ListedWallet> {
  // Of all that begin so, the id itself comes first.
  const [wallet] = await listWallets(sql, { prefix: walletId, closed: null, limit: 1 });
  if (wallet?.walletId === walletId) return wallet;
  throw new WalletNotFoundError("LGWNF", {
    message: `wallet not found: ${walletId}`,
    detail: { wallet_id: walletId },
    hint: "Check the id.",
  });
}

function showAmount(amount: bigint | null, { scale, unit }: Denomination): string {
  if (amount === null) return NONE;
  return `${formatAmount(amount, scale, { grouping: true })} ${unit}`;
}

function showAmounts(amounts: readonly bigint[], denomination: Denomination): string {
  return amounts.map((amount) => showAmount(amount, denomination)).join(", ") || NONE;
}
