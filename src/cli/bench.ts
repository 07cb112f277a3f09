import { Command } from "commander";
import { type Result, type Round, bench as runBench } from "../bench/run.ts";
import { EXIT } from "./failure.ts";
import { wholeNumber } from "./numbers.ts";
import { printError, printJson, printLine, printTable } from "./output.ts";

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly wallets: number;
  readonly json?: true;
}

/** `baseledger bench`: how fast it is, beside what people do today. */
export function benchCommand(): Command {
  return new Command("bench")
    .description("measure the ledger against the naive balance update, interleaved in one run")
    .option("--rounds <n>", "how often each workload is measured", wholeNumber(1, 100), 5)
    .option("--seconds <n>", "how long each measurement takes", wholeNumber(1, 600), 3)
    .option(
      "--wallets <n>",
      "over how many wallets commands are spread",
      wholeNumber(1, 100_000),
      10_000,
    )
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      "\nRuns on a PostgreSQL of its own with fsync on, which is gone afterwards. Client and server" +
        "\nshare the machine. An operation is one command; the naive statement is one conditional" +
        "\nupdate with a log row, by 8 clients." +
        "\n\nExamples:\n  baseledger bench\n  baseledger bench --rounds 1 --seconds 1 --wallets 100",
    )
    .action(showBench);
}

async function showBench({ json, ...options }: Options): Promise<void> {
  const { results, discrepancies } = await runBench({
    ...options,
    onRound: (round) => printError(describe(round)),
  });
  if (json) printJson({ results, discrepancies });
  else {
    printTable(results.map(row), ["naive/s", "ops/s", "ratio", "least", "most", "p99 ms"]);
    printLine(`verify: ${discrepancies} discrepancies`);
  }
  if (discrepancies > 0) process.exitCode = EXIT.refused;
}

function describe({ round, workload, naive, ours }: Round): string {
  const rates = `${Math.round(naive)} naive, ${Math.round(ours.rate)} ours`;
  return `${round}  ${workload.padEnd(16)}  ${rates}: ${(ours.rate / naive).toFixed(1)} ×`;
}

function row({ workload, naive, rate, ratio, p99 }: Result): Record<string, string> {
  return {
    workload,
    "naive/s": Math.round(naive).toLocaleString("en-US"),
    "ops/s": Math.round(rate).toLocaleString("en-US"),
    ratio: `${ratio.median.toFixed(1)} ×`,
    least: ratio.least.toFixed(1),
    most: ratio.most.toFixed(1),
    "p99 ms": p99.toFixed(1),
  };
}
