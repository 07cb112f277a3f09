import { styleText } from "node:util";
import { Command } from "commander";
import type { Discrepancy } from "../generated/baseledger.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { EXIT } from "./failure.ts";
import { printJson, printLine } from "./output.ts";
import { verifyAll } from "./verify-plan.ts";
import { createVerifyProgress } from "./verify-progress.ts";
import type { LedgerSize } from "./views.ts";

interface Options extends DatabaseOptions {
  readonly wallet?: string;
  readonly json?: true;
}

/** `baseledger verify`: proves the journal, the hash chain and the balances. */
export function verifyCommand(): Command {
  const command = new Command("verify")
    .description("prove the journal, its hash chain and every balance; exit 1 if one is off")
    .option("--wallet <id>", "of this wallet only")
    .option("--json", "print the discrepancies as JSON: [] if there is none")
    .addHelpText(
      "after",
      "\nNeeds baseledger_auditor, and changes nothing. How far it is goes to standard error." +
        "\n\nExamples:\n  baseledger verify\n  baseledger verify --wallet acme" +
        "\n  baseledger verify --json > discrepancies.json || alert",
    )
    .action(runVerify);
  return addDatabaseOptions(command);
}

async function runVerify(options: Options): Promise<void> {
  const began = performance.now();
  const found: Discrepancy[] = [];
  const done = { wallets: 0, events: 0 };
  const progress = createVerifyProgress(process.stderr);
  try {
    await withConnection(options, (sql) =>
      verifyAll(sql, options.wallet, {
        start: progress.start,
        found: (more) => void found.push(...more),
        done: ({ wallets, events }) => {
          done.wallets += wallets;
          done.events += events;
          progress.update(done);
        },
      }),
    );
  } finally {
    progress.stop();
  }
  if (options.json) printJson(found);
  else tell(found, done, (performance.now() - began) / 1000);
  process.exitCode = found.length === 0 ? EXIT.fine : EXIT.refused;
}

function tell(found: readonly Discrepancy[], { wallets, events }: LedgerSize, seconds: number) {
  const stream = process.stdout;
  const read =
    events > 0
      ? `: ${count(events)} events of ${count(wallets)} wallets in ${seconds.toFixed(1)} s`
      : "";
  if (found.length === 0) {
    const sound = styleText("green", "sound", { stream });
    printLine(`${sound}: the journal, its hash chain and every balance agree${read}`);
    return;
  }
  for (const discrepancy of found) printLine(describe(discrepancy));
  const wrong = `${count(found.length)} ${found.length === 1 ? "discrepancy" : "discrepancies"}`;
  printLine(`${styleText("red", "not sound", { stream })}: ${wrong}${read}`);
}

function describe({ walletId, seq, check, expected, found }: Discrepancy): string {
  const whole = walletId ?? "the whole ledger";
  const place = seq === null ? whole : `${whole}, event ${seq}`;
  const name = styleText("red", check, { stream: process.stdout });
  return `${place}: ${name}\n  expected  ${expected ?? "nothing"}\n  found     ${found ?? "nothing"}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
