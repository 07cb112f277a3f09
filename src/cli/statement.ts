import { Command } from "commander";
import { balance, type StatementLine, statement } from "../generated/baseledger.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { parsedBy } from "./failure.ts";
import { formatAmount, printJson, printLine, printTable } from "./output.ts";

interface Options extends DatabaseOptions {
  readonly from?: Date;
  readonly to?: Date;
  readonly json?: true;
}

/** `baseledger statement`: the events of a wallet. */
export function statementCommand(): Command {
  const command = new Command("statement")
    .description("list the events of a wallet with the balances after each")
    .argument("<wallet>", "id of the wallet")
    .option("--from <time>", "from this time on, as in 2026-01-31 or 2026-01-31T12:00Z", instant())
    .option("--to <time>", "before this time", instant())
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText("after", "\nExample:\n  baseledger statement acme --from 2026-01-01")
    .action(showStatement);
  return addDatabaseOptions(command);
}

function instant(): (text: string) => Date {
  return parsedBy((text) => {
    const time = new Date(text);
    if (Number.isNaN(time.getTime())) {
      throw new RangeError("It is not a time like 2026-01-31 or 2026-01-31T12:00Z.");
    }
    return time;
  });
}

async function showStatement(walletId: string, options: Options): Promise<void> {
  await withConnection(options, async (sql) => {
    const { from, to } = options;
    const lines = await statement(sql, { walletId, from, to });
    if (options.json) {
      printJson(lines);
      return;
    }
    if (lines.length === 0) {
      printLine("no events in this time");
      return;
    }
    const { scale, unit } = await balance(sql, { walletId });
    printTable(
      lines.map((line) => toRow(line, scale, unit)),
      ["seq", "amount", "available", "reserved", "spent"],
    );
  });
}

function toRow(line: StatementLine, scale: number, unit: string): Record<string, string> {
  const show = (amount: bigint): string => formatAmount(amount, scale, unit);
  return {
    seq: line.seq.toString(),
    time: line.occurredAt.toISOString(),
    event: line.event,
    reservation: line.reservationId ?? "",
    amount: line.amount === null ? "" : show(line.amount),
    available: show(line.available),
    reserved: show(line.reserved),
    spent: show(line.spent),
    actor: line.actor,
  };
}
