import { Command } from "commander";
import type { Discrepancy } from "../generated/index.ts";
import {
  EXIT,
  joined,
  printedAll,
  printJson,
  printLine,
  type SafeText,
  styled,
  text,
} from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { asCheck } from "./failure.ts";
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
    .option("--wallet <id>", "of this wallet only")
    .option("--json", "print the discrepancies as JSON: [] if there is none")
    .addHelpText(
      "after",
      "\nNeeds baseledger_auditor, and changes nothing. How far it is goes to standard error." +
        "\nExits with 0 if all is sound, 1 if not, 3 without a connection, and 4 if it could not be" +
        "\nfound out: a wallet that does not exist, rights, time-outs, a connection that broke." +
        "\nWhat a standby cancels is verified again." +
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
    await asCheck(() =>
      withConnection(options, (sql) =>
        verifyAll(sql, options.wallet, {
          start: progress.start,
          found: (more) => {
            for (const one of more) found.push(one);
          },
          done: ({ wallets, events }) => {
            done.wallets += wallets;
            done.events += events;
            progress.update(done);
          },
          again: progress.again,
        }),
      ),
    );
  } finally {
    progress.stop();
  }
  // Until it is told, a verdict that is good is none: the reader may be gone, or the disk full.
  process.exitCode = found.length === 0 ? EXIT.unchecked : EXIT.refused;
  if (options.json) printJson(found.map(withoutNulls));
  else tell(found, done, (performance.now() - began) / 1000);
  await printedAll();
  if (found.length === 0) process.exitCode = EXIT.fine;
}

/** Without the number of an event where none is concerned. */
function withoutNulls({ seq, ...rest }: Discrepancy): Partial<Discrepancy> {
  const { walletId, ...what } = rest;
  return { ...(walletId !== null && { walletId }), ...(seq !== null && { seq }), ...what };
}

function tell(found: readonly Discrepancy[], { wallets, events }: LedgerSize, seconds: number) {
  const read =
    events > 0
      ? `: ${count(events)} events of ${count(wallets)} wallets in ${seconds.toFixed(1)} s`
      : "";
  if (found.length === 0) {
    const sound = styled("green", "sound");
    printLine(text`${sound}: the journal, its hash chain and every balance agree${read}`);
    return;
  }
  for (const discrepancy of found) printLine(describe(discrepancy));
  const wrong = `${count(found.length)} ${found.length === 1 ? "discrepancy" : "discrepancies"}`;
  printLine(text`${styled("red", "not sound")}: ${wrong}${read}`);
}

function describe({ walletId, seq, check, expected, found }: Discrepancy): SafeText {
  const whose = walletId ?? "the whole ledger";
  const place = seq === null ? text`${whose}` : text`${whose}, event ${seq}`;
  return joined([
    text`${place}: ${styled("red", check)}`,
    text`  expected  ${expected ?? "nothing"}`,
    text`  found     ${found ?? "nothing"}`,
  ]);
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
