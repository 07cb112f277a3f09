import { Command } from "commander";
import type postgres from "postgres";
import { type Diagnosis, doctor } from "../generated/baseledger.ts";
import { loadMigrations, packaged } from "../migrate/files.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { EXIT, failureOf } from "./failure.ts";
import { printError, printJson, printLine, printTable } from "./output.ts";

interface Options extends DatabaseOptions {
  readonly json?: true;
}

/** `baseledger doctor`: what is around the ledger, and may keep it from working well. */
export function doctorCommand(): Command {
  const command = new Command("doctor")
    .option("--json", "print the checks as JSON")
    .addHelpText(
      "after",
      "\nNeeds baseledger_auditor or baseledger_operator, and changes nothing. What concerns the" +
        "\ndata, `baseledger verify` proves. Exits with 0 if nothing is wrong, also with warnings, 1" +
        "\nif something is, 3 without a connection, and 4 if it could not be found out." +
        "\n\nExamples:\n  baseledger doctor\n  baseledger doctor --json | jq '.[] | select(.advice)'",
    )
    .action(runDoctor);
  return addDatabaseOptions(command);
}

async function runDoctor(options: Options): Promise<void> {
  const found = await withConnection(options, diagnose).catch((error: unknown) => {
    const failure = failureOf(error);
    if (failure?.code !== EXIT.refused) throw error;
    printError(`baseledger: ${failure.line}`);
    return null;
  });
  process.exitCode = EXIT.unchecked;
  if (found === null) return;
  if (options.json) printJson(found);
  else tell(found);
  process.exitCode = found.some(({ status }) => status === "wrong") ? EXIT.refused : EXIT.fine;
}

/** What the database says of itself, and what only a client can find out. */
async function diagnose(sql: postgres.Sql): Promise<Diagnosis[]> {
  const { migrations } = await loadMigrations(packaged);
  const inside = (await doctor(sql)).map((row) =>
    row.check === "schema" ? compareSchema(row, migrations.length) : row,
  );
  return [await lookAtConnection(sql), await lookAtClock(sql), ...inside];
}

function compareSchema(row: Diagnosis, ours: number): Diagnosis {
  const installed = Number.parseInt(row.found, 10);
  const expected = `${ours}, as in this package`;
  if (installed === ours) return { ...row, expected };
  return installed < ours
    ? { ...row, expected, status: "wrong", advice: "Run `baseledger migrate`." }
    : { ...row, expected, status: "warning", advice: "Install a newer version of baseledger." };
}

async function lookAtConnection(sql: postgres.Sql): Promise<Diagnosis> {
  const answer = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const fact = { check: "connection", expected: "direct" };
  // The server names its process when it greets; a pooler greets in its stead.
  if (answer.state.pid === answer[0]?.pid) {
    return { ...fact, status: "fine", found: "direct", advice: null };
  }
  return {
    ...fact,
    status: "warning",
    found: "a pooler in between",
    advice:
      "In transaction mode the worker does not work behind it, and other sessions may answer.",
  };
}

const MOST_SECONDS = 5;

async function lookAtClock(sql: postgres.Sql): Promise<Diagnosis> {
  const asked = Date.now();
  const [row] = await sql<{ now: number }[]>`
    select extract('epoch' from clock_timestamp())::float8 * 1000 as now`;
  const answered = Date.now();
  // Between the two it was so late for the server.
  const now = row?.now ?? Number.NaN;
  const ahead = (now - Math.min(Math.max(now, asked), answered)) / 1000;
  const isFar = Math.abs(ahead) > MOST_SECONDS;
  const found = `${Math.abs(ahead).toFixed(1)} s ${ahead < 0 ? "behind" : "ahead of"} ours`;
  return {
    check: "server's clock",
    status: isFar ? "warning" : "fine",
    found: ahead === 0 ? "as ours" : found,
    expected: `${MOST_SECONDS} s from this machine's at most`,
    advice: isFar ? "Deadlines go by the server's clock: see which of the two is wrong." : null,
  };
}

function tell(found: readonly Diagnosis[]): void {
  printTable(found.map(({ status, check, found: fact }) => ({ status, check, found: fact })));
  for (const { status, check, expected, advice } of found) {
    if (status !== "fine") printLine(`${check}: expected ${expected ?? "better"}. ${advice ?? ""}`);
  }
  const count = (of: string) => found.filter(({ status }) => status === of).length;
  printLine(`${count("wrong")} wrong, ${count("warning")} warnings, ${count("fine")} fine`);
}
