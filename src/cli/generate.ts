import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { generate } from "../codegen/index.ts";
import { EXIT, printLine } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { asCheck, UsageError } from "./failure.ts";

const SCHEMA = "baseledger";

interface Options extends DatabaseOptions {
  readonly schema: string;
  readonly check?: true;
}

/** `baseledger generate`: writes typed wrappers for the functions of a database. */
export function generateCommand(): Command {
  const command = new Command("generate")
    .argument("<file>", "the TypeScript module to write", moduleName)
    .option("--schema <name>", "the schema that has the functions", SCHEMA)
    .option("--check", "write nothing; exit 1 if the file is stale, 4 if that cannot be checked")
    .addHelpText(
      "after",
      "\nThe package has the wrappers of its own functions. This is for functions of yours, and for a" +
        "\ndatabase that is newer than the package. The module imports baseledger/wire, so baseledger is" +
        "\na dependency of your program; its wrappers accept the same connections as those of the package" +
        "\nand throw the same errors. Names that begin with _ are left out. Any login may run it." +
        "\n\nExamples:\n  baseledger generate src/shop.ts --schema shop" +
        "\n  baseledger generate src/shop.ts --schema shop --check     in CI" +
        "\n  baseledger generate src/ledger.ts",
    )
    .action(runGenerate);
  return addDatabaseOptions(command);
}

async function runGenerate(file: string, options: Options): Promise<void> {
  const { check, schema } = options;
  const make = () => withConnection(options, (sql) => generate(sql, { schema }));
  const wanted = await (check ? asCheck(make) : make());
  if (existsSync(file) && readFileSync(file, "utf8") === wanted) {
    printLine(`${file} is up to date`);
  } else if (check) {
    const other = schema === SCHEMA ? "" : ` --schema ${schema}`;
    printLine(`${file} is stale; run: baseledger generate ${file}${other}`);
    process.exitCode = EXIT.refused;
  } else {
    write(file, wanted);
    printLine(`${file} written`);
  }
}

function moduleName(file: string): string {
  if (!/\.[cm]?ts$/.test(file)) throw new InvalidArgumentError("The file name must end with .ts.");
  return file;
}

function write(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}
