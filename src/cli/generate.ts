import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { Command } from "commander";
import { generate } from "../generate/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { EXIT, UsageError } from "./failure.ts";
import { printLine } from "./output.ts";

interface Options extends DatabaseOptions {
  readonly schema: string;
  readonly check?: true;
}

/** `baseledger generate`: the typed wrappers of a database's functions. */
export function generateCommand(): Command {
  const command = new Command("generate")
    .description("write the typed wrappers of the functions of a migrated database")
    .argument("<file>", "the TypeScript module to write")
    .option("--schema <name>", "the schema that has the functions", "baseledger")
    .option("--check", "write nothing; exit 1 if the file is not what would be written")
    .addHelpText(
      "after",
      "\nThe wrappers of BaseLedger itself are in the package; this is for a database that has more" +
        "\nfunctions, or others. The module imports ../wire and ../json.ts, as src/generated does." +
        "\n\nExamples:\n  baseledger generate src/generated/baseledger.ts" +
        "\n  baseledger generate src/generated/baseledger.ts --check",
    )
    .action(runGenerate);
  return addDatabaseOptions(command);
}

async function runGenerate(file: string, options: Options): Promise<void> {
  const { check, schema } = options;
  const wanted = await withConnection(options, (sql) => generate(sql, { schema }));
  if (existsSync(file) && readFileSync(file, "utf8") === wanted) {
    printLine(`${file} is up to date`);
  } else if (check) {
    printLine(`${file} is stale; run: baseledger generate ${file}`);
    process.exitCode = EXIT.refused;
  } else {
    write(file, wanted);
    printLine(`${file} written`);
  }
}

function write(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}
