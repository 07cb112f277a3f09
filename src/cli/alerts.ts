import { Command } from "commander";
import { limits } from "../generated/index.ts";
import {
  formatTime,
  printJson,
  printLine,
  printTable,
  shortened,
  text,
  wholeNumber,
} from "../terminal/index.ts";
import type { Queryable } from "../wire/index.ts";
import { denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { combinationOf, limitWriter } from "./limit-words.ts";
import { type Alert, countedByRemoved, lastAlerts } from "./views.ts";

interface Options extends DatabaseOptions {
  readonly limit: number;
  readonly json?: true;
}

const WIDEST_NAME = 40;

/** `baseledger alerts`: what limits and low balances have raised. */
export function alertsCommand(): Command {
  const command = new Command("alerts")
    .argument("[wallet]", "id of the wallet (default: all wallets)")
    .option("--limit <n>", "how many of the last ones", wholeNumber(1, 1_000_000), 50)
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText(
      "after",
      "\nThe latest first, each once for every webhook that there was. The state is none (there was no" +
        "\nwebhook), pending, sent, failed (given up after a day) or suppressed (there were too many; the" +
        "\nnext one that is sent says how many). Needs baseledger_auditor." +
        "\n\nExamples:\n  baseledger alerts acme" +
        "\n  baseledger alerts --json | jq '.[] | select(.state == \"failed\")'",
    )
    .action(showAlerts);
  return addDatabaseOptions(command);
}

async function showAlerts(walletId: string | undefined, options: Options): Promise<void> {
  const found = await withConnection(options, async (sql) => {
    // An unknown wallet is refused; it is not one without alerts.
    if (walletId !== undefined) await denominationOf(sql, walletId);
    return withLimits(sql, await lastAlerts(sql, walletId ?? null, options.limit));
  });
  if (options.json) printJson(found);
  else if (found.length === 0) printLine(text`no alerts`);
  else print(found, walletId === undefined);
}

/** An alert with what its limit counts; null for one of funds. */
type CountedAlert = Alert & { readonly of: string | null };

async function withLimits(sql: Queryable, alerts: readonly Alert[]): Promise<CountedAlert[]> {
  const counted = new Map<string, string | null>();
  const result: CountedAlert[] = [];
  for (const alert of alerts) {
    const { limitId, walletId } = alert;
    const name = JSON.stringify([walletId, limitId]);
    if (limitId !== null && !counted.has(name)) {
      const [limit] = await limits(sql, { walletId, limitId, limit: 1 });
      counted.set(name, limit?.of ?? (await countedByRemoved(sql, walletId, limitId)) ?? null);
    }
    result.push({ ...alert, of: counted.get(name) ?? null });
  }
  return result;
}

function print(found: readonly CountedAlert[], ofAll: boolean): void {
  const rows = found.map((alert) => ({
    time: formatTime(alert.occurredAt),
    ...(ofAll && { wallet: shortened(alert.walletId, WIDEST_NAME) }),
    alert: describe(alert),
    state: alert.state === "none" ? "no webhook" : alert.state,
    error: shortened(alert.lastError ?? "", WIDEST_NAME),
  }));
  // Most often nothing has failed.
  const hasErrors = rows.some(({ error }) => error !== "");
  printTable(rows.map(({ error, ...row }) => (hasErrors ? { ...row, error } : row)));
}

/** An alert in words: `user-day (ann): 82% of 5.00 USD spent, past 80%`. */
function describe(alert: CountedAlert): string {
  const { amount, kind, labelValues, limitId, of, threshold, value } = alert;
  const show = limitWriter(of ?? "amount", alert);
  if (kind !== "limit") return `funds fell below ${show(threshold)}, to ${show(value)}`;
  const combination = combinationOf(labelValues);
  const name = combination === "" ? limitId : `${limitId} (${combination})`;
  const did = { calls: "made", tokens: "used" }[of ?? ""] ?? "spent";
  return `${shortenedText(name ?? "")}: ${threshold}% of ${show(amount)}, ${show(value)} ${did}`;
}

function shortenedText(name: string): string {
  return name.length > WIDEST_NAME ? `${name.slice(0, WIDEST_NAME - 1)}…` : name;
}
