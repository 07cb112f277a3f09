import { Command } from "commander";
import type postgres from "postgres";
import { decimalNumber, printJson, printLine, wholeNumber } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { drawFrame } from "./top-frame.ts";
import { showLive } from "./top-live.ts";
import { type Sample, sample } from "./top-sample.ts";
import { ledgerSize } from "./views.ts";

interface Options extends DatabaseOptions {
  readonly interval: number;
  readonly window: number;
  readonly limit?: number;
  readonly once?: true;
  readonly json?: true;
}

const WALLETS_IN_A_FILE = 20;
const COLUMNS_IN_A_FILE = 132;
/** With more wallets, what is due is looked for only in those shown. */
const MOST_WALLETS_FOR_DUE = 20_000;

/** `baseledger top`: the wallets that spend most, live. */
export function topCommand(): Command {
  const command = new Command("top")
    .option("--interval <seconds>", "between two frames", seconds(), 2)
    .option("--window <seconds>", "that rates are taken over", seconds(), 10)
    .option(
      "--limit <n>",
      "wallets to show (default: as many as there is room for)",
      wholeNumber(1, 1_000),
    )
    .option("--once", "print one frame, and end")
    .option("--json", "print one frame as JSON: amounts in the smallest step, as strings")
    .addHelpText(
      "after",
      "\nq or Ctrl-C ends it. DUE is held by reservations past their deadline that no sweep has" +
        "\nbooked yet; it counts as available all the same. Wallets are named whose last event lies" +
        "\nahead of the server's clock, as that was ahead when it was written, or is behind now. Below" +
        "\nare the limits of these wallets that are used most, of the first 1,000 combinations of each." +
        "\n\nNeeds baseledger_auditor. A frame reads a row for each wallet and the events of the" +
        "\nwindow, never the whole journal, and top works for a tenth of the time at most: where a" +
        "\nframe takes long, the next one comes later. Above 20,000 wallets, what is due is looked" +
        "\nfor in the wallets shown only." +
        "\n\nExamples:\n  baseledger top\n  baseledger top --interval 5 --window 60" +
        "\n  baseledger top --once --limit 5\n  baseledger top --json | jq .open",
    )
    .action(runTop);
  return addDatabaseOptions(command);
}

function seconds(): (text: string) => number {
  return decimalNumber(0.1, 3600);
}

async function runTop(options: Options): Promise<void> {
  const stream = process.stdout;
  const live = !options.once && !options.json;
  if (live && !stream.isTTY) {
    throw new UsageError("top needs a terminal; for a file or a script: --once or --json");
  }
  await withConnection(options, async (sql) => {
    const { wallets } = await ledgerSize(sql);
    const dueOfAll = wallets <= MOST_WALLETS_FOR_DUE;
    const look = (room: number): Promise<Sample> => takeSample(sql, options, dueOfAll, room);
    if (live) {
      await showLive(look, options.interval);
      return;
    }
    const taken = await look(WALLETS_IN_A_FILE);
    if (options.json) printJson(taken);
    else printFrame(taken, stream);
  });
}

function takeSample(
  sql: postgres.Sql,
  { limit, window: windowSeconds }: Options,
  dueOfAll: boolean,
  room: number,
): Promise<Sample> {
  return sample(sql, { windowSeconds, limit: limit ?? room, dueOfAll });
}

function printFrame(taken: Sample, stream: NodeJS.WriteStream): void {
  const columns = stream.columns ?? COLUMNS_IN_A_FILE;
  for (const line of drawFrame(taken, { columns, rows: Number.POSITIVE_INFINITY, stream })) {
    printLine(line);
  }
}
