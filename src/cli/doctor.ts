import { Command } from "commander";
import type postgres from "postgres";
import { type Diagnosis, doctor } from "../generated/index.ts";
import { loadMigrations, packaged } from "../migrate/index.ts";
import {
  EXIT,
  printedAll,
  printJson,
  printLine,
  printTable,
  type SafeText,
  styled,
  text,
} from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { asCheck } from "./failure.ts";
import { lookAround, type Surroundings } from "./views.ts";

interface Options extends DatabaseOptions {
  readonly json?: true;
}

/** `baseledger doctor`: checks what the ledger depends on. */
export function doctorCommand(): Command {
  const command = new Command("doctor")
    .option("--json", "print the checks as JSON")
    .addHelpText(
      "after",
      "\nNeeds baseledger_auditor or baseledger_operator, and changes nothing. The data" +
        "\nitself is proved by `baseledger verify`. Exits with 0 if nothing is wrong, also with" +
        "\nwarnings, 1 if something is, 3 without a connection, and 4 without a verdict." +
        "\n\nExamples:\n  baseledger doctor\n  baseledger doctor --json | jq '.[] | select(.advice)'",
    )
    .action(runDoctor);
  return addDatabaseOptions(command);
}

async function runDoctor(options: Options): Promise<void> {
  const found = await asCheck(() => withConnection(options, diagnose));
  const isWrong = found.some(({ status }) => status === "wrong");
  // A good verdict counts only after it is printed.
  process.exitCode = isWrong ? EXIT.refused : EXIT.unchecked;
  if (options.json) printJson(found);
  else printDiagnoses(found);
  await printedAll();
  if (!isWrong) process.exitCode = EXIT.fine;
}

/** The checks of the database, and those that only a client can make. */
async function diagnose(sql: postgres.Sql): Promise<Diagnosis[]> {
  const { migrations } = await loadMigrations(packaged);
  const inside = (await doctor(sql)).map((row) =>
    row.check === "schema" ? compareSchema(row, migrations.length) : row,
  );
  const around = await lookAround(sql);
  return [judgeConnection(around), judgeClock(around), ...inside];
}

function compareSchema(row: Diagnosis, ours: number): Diagnosis {
  const installed = Number.parseInt(row.found, 10);
  const expected = `${ours}, as in this package`;
  if (installed === ours) return { ...row, expected };
  return installed < ours
    ? { ...row, expected, status: "wrong", advice: "Run `baseledger migrate`." }
    : { ...row, expected, status: "warning", advice: "Install a newer version of baseledger." };
}

function judgeConnection({ isDirect }: Surroundings): Diagnosis {
  return {
    check: "connection",
    status: isDirect ? "fine" : "warning",
    found: isDirect ? "direct" : "a pooler in between",
    expected: "direct",
    advice: isDirect ? null : "In transaction mode the worker does not work behind it.",
  };
}

const MOST_SECONDS = 5;

function judgeClock({ secondsAhead }: Surroundings): Diagnosis {
  const seconds = Math.abs(secondsAhead);
  const isFar = seconds > MOST_SECONDS;
  const found = `${seconds.toFixed(1)} s ${secondsAhead < 0 ? "behind" : "ahead of"} ours`;
  return {
    check: "server's clock",
    status: isFar ? "warning" : "fine",
    found: seconds === 0 ? "as ours" : found,
    expected: `${MOST_SECONDS} s from this machine's at most`,
    advice: isFar ? "Deadlines go by the server's clock: see which of the two is wrong." : null,
  };
}

function printDiagnoses(found: readonly Diagnosis[]): void {
  const rows = found.map(({ status, check, found: fact }) => ({
    status: inColour(status),
    check,
    found: fact,
  }));
  printTable(rows);
  for (const { status, check, expected, advice } of found) {
    if (status === "fine") continue;
    printLine(text`${check}: expected ${expected ?? "better"}. ${advice ?? ""}`);
  }
  const number = (of: string) => found.filter(({ status }) => status === of).length;
  printLine(text`${number("wrong")} wrong, ${number("warning")} warnings, ${number("fine")} fine`);
}

function inColour(status: string): SafeText | string {
  if (status === "fine") return status;
  return styled(status === "wrong" ? "red" : "yellow", status);
}
