import { Command } from "commander";
import type { Discrepancy } from "../generated/index.ts";
import {
  createProgress,
  drawBar,
  EXIT,
  formatCount,
  formatNumber,
  formatSeconds,
  joined,
  type Progress,
  type ProgressView,
  printError,
  printedAll,
  printJson,
  printLine,
  progressBar,
  type SafeText,
  styled,
  text,
} from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { asCheck } from "./failure.ts";
import { verifyAll, type Watcher } from "./verify-plan.ts";
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
      "\nNeeds baseledger_auditor, and changes nothing. Progress goes to standard error." +
        "\nExits with 0 if all is sound, 1 if not, 3 without a connection, and 4 without a verdict:" +
        "\na wallet that does not exist, missing rights, a time-out, a broken connection." +
        "\nWhat a standby cancels is verified again." +
        "\n\nExamples:\n  baseledger verify\n  baseledger verify --wallet acme" +
        "\n  baseledger verify --json > discrepancies.json || alert",
    )
    .action(runVerify);
  return addDatabaseOptions(command);
}

/** How far a verification is. */
interface State {
  readonly found: Discrepancy[];
  total: LedgerSize;
  done: LedgerSize;
  /** False while one call verifies everything. */
  hasSteps: boolean;
  retries: number;
}

const NOTHING: LedgerSize = { wallets: 0, events: 0 };

async function runVerify(options: Options): Promise<void> {
  const began = performance.now();
  const state: State = { found: [], total: NOTHING, done: NOTHING, hasSteps: true, retries: 0 };
  const progress = await createProgress(process.stderr, viewOf(state));
  try {
    await asCheck(() =>
      withConnection(options, (sql) => verifyAll(sql, options.wallet, watcherOf(state, progress))),
    );
  } finally {
    progress.stop();
  }
  const { done, found } = state;
  // A good verdict counts only after it is printed: the reader may be gone, or the disk full.
  process.exitCode = found.length === 0 ? EXIT.unchecked : EXIT.refused;
  if (options.json) printJson(found.map(withoutNulls));
  else printVerdict(found, done, (performance.now() - began) / 1000);
  await printedAll();
  if (found.length === 0) process.exitCode = EXIT.fine;
}

function watcherOf(state: State, progress: Progress): Watcher {
  return {
    start: (size, hasSteps) => {
      state.total = size;
      state.hasSteps = hasSteps;
      progress.start();
    },
    found: (more) => {
      for (const one of more) state.found.push(one);
    },
    done: ({ wallets, events }) => {
      const { done } = state;
      state.done = { wallets: done.wallets + wallets, events: done.events + events };
      progress.update();
    },
    retry: ({ message }) => {
      state.retries += 1;
      if (!process.stderr.isTTY) printError(text`again, as: ${message}`);
    },
  };
}

const BAR_WIDTH = 24;

function viewOf(state: State): ProgressView {
  const describeState = (seconds: number): string => {
    const { done, hasSteps, retries, total } = state;
    const line =
      hasSteps || done.events > 0
        ? describeProgress(done, total, seconds)
        : `${sizeOf(total)} in one call, ${seconds.toFixed(0)} s`;
    return retries > 0 ? `${line}, ${formatNumber(retries)} × again` : line;
  };
  return {
    lines: (seconds) => {
      const { done, total } = state;
      const bar = drawBar(progressBar(done.events, total.events), BAR_WIDTH, process.stderr);
      return [text`${bar} ${describeState(seconds)}`];
    },
    summary: (seconds) => {
      const { done, total } = state;
      return done.events < total.events ? describeProgress(done, total, seconds) : undefined;
    },
  };
}

function describeProgress(done: LedgerSize, total: LedgerSize, seconds: number): string {
  const speed = done.events / Math.max(seconds, 0.001);
  const left = speed > 0 ? `, ${formatSeconds((total.events - done.events) / speed)} left` : "";
  return (
    `${formatNumber(done.events)} of ${formatNumber(total.events)} events, ` +
    `${formatNumber(done.wallets)} of ${formatNumber(total.wallets)} wallets, ` +
    `${formatNumber(Math.round(speed))} events/s${left}`
  );
}

function sizeOf({ events, wallets }: LedgerSize): string {
  return `${formatNumber(events)} events of ${formatNumber(wallets)} wallets`;
}

/** Leaves out the wallet or the event if a discrepancy concerns none. */
function withoutNulls({ seq, ...rest }: Discrepancy): Partial<Discrepancy> {
  const { walletId, ...what } = rest;
  return { ...(walletId !== null && { walletId }), ...(seq !== null && { seq }), ...what };
}

function printVerdict(
  found: readonly Discrepancy[],
  { wallets, events }: LedgerSize,
  seconds: number,
): void {
  const read = events > 0 ? `: ${sizeOf({ events, wallets })} in ${seconds.toFixed(1)} s` : "";
  if (found.length === 0) {
    const sound = styled("green", "sound");
    printLine(text`${sound}: the journal, its hash chain and every balance agree${read}`);
    return;
  }
  for (const discrepancy of found) printLine(describe(discrepancy));
  const wrong = formatCount(found.length, "discrepancy", "discrepancies");
  printLine(text`${styled("red", "not sound")}: ${wrong}${read}`);
}

function describe({ walletId, seq, check, expected, found }: Discrepancy): SafeText {
  const subject = walletId ?? "the whole ledger";
  const place = seq === null ? text`${subject}` : text`${subject}, event ${seq}`;
  return joined([
    text`${place}: ${styled("red", check)}`,
    text`  expected  ${expected ?? "nothing"}`,
    text`  found     ${found ?? "nothing"}`,
  ]);
}
