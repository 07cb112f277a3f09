import { Command } from "commander";
import { type Discrepancy, verify } from "../generated/baseledger.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { EXIT } from "./failure.ts";
import { printJson, printLine, printTable } from "./output.ts";

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
    .addHelpText("after", "\nExamples:\n  baseledger verify\n  baseledger verify --wallet acme")
    .action(runVerify);
  return addDatabaseOptions(command);
}

async function runVerify(options: Options): Promise<void> {
  const found = await withConnection(options, (sql) => verify(sql, { walletId: options.wallet }));
  if (options.json) {
    printJson(found);
  } else if (found.length === 0) {
    printLine("sound: the journal, its hash chain and every balance agree");
  } else {
    printTable(found.map(toRow), ["seq"]);
    printLine(`not sound: ${found.length} discrepancies`);
  }
  process.exitCode = found.length === 0 ? EXIT.fine : EXIT.refused;
}

function toRow(found: Discrepancy): Record<string, string> {
  return {
    wallet: found.walletId,
    seq: found.seq?.toString() ?? "",
    check: found.check,
    expected: found.expected ?? "",
    found: found.found ?? "",
  };
}
