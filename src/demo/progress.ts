import {
  createProgress,
  drawBar,
  formatNumber,
  fundsBar,
  joined,
  noProgress,
  progressBar,
  type SafeText,
  terminalText,
  text,
  trusted,
} from "../terminal/index.ts";
import { formatDollars, type NanoDollars } from "../trace/index.ts";
import type { Counters } from "./counters.ts";

/** How far a run is. */
export interface RunState {
  /** Calls to make in all. */
  readonly planned: number;
  /** By all customers. */
  readonly sent: Counters;
  /** Of each customer, as the ledger has them at this moment. */
  readonly funds: readonly Funds[];
}

type Account = "available" | "reserved" | "spent";
type Funds = Readonly<{ name: string } & Pick<Counters, Account>>;

/** Shows how far the demo is. */
export interface DemoProgress {
  /** A step before or after the run, in a line of its own. */
  step(line: SafeText | string): void;
  start(state: RunState): void;
  update(state: RunState): void;
  stop(): void;
}

const NAME_WIDTH = 12;
const BAR_WIDTH = 26;
// A terminal's height is limited, and what does not fit cannot be redrawn.
const MOST_CUSTOMERS_SHOWN = 12;

/** Bars on a terminal, a line now and then elsewhere; nothing without a stream. */
export async function createDemoProgress(
  out: NodeJS.WriteStream | undefined,
): Promise<DemoProgress> {
  if (!out) return { step: () => undefined, ...noProgress };
  let state: RunState | undefined;
  const progress = await createProgress(out, {
    lines: (seconds) => (state ? ["", ...linesOf(state, seconds, out), ""] : []),
    summary: (seconds) => state && summaryOf(state, seconds),
    stays: true,
  });
  return {
    step: (line) => out.write(`${terminalText(line)}\n`),
    start: (first) => {
      state = first;
      progress.start();
    },
    update: (next) => {
      state = next;
      progress.update();
    },
    stop: progress.stop,
  };
}

function linesOf(
  { planned, sent, funds }: RunState,
  seconds: number,
  out: NodeJS.WriteStream,
): readonly (SafeText | string)[] {
  const done = sent.granted + sent.refused;
  const bar = drawBar(progressBar(done, planned), BAR_WIDTH, out);
  const time = `${formatNumber(done)} of ${formatNumber(planned)}, ${Math.round(seconds)} s`;
  return [
    text`${label("calls")} ${bar} ${time}`,
    text`${label("")} ${describeCalls(sent)}`,
    ...funds.slice(0, MOST_CUSTOMERS_SHOWN).map(({ name, available, reserved, spent }) => {
      const part = (what: string, nano: NanoDollars): SafeText =>
        trusted(`${what} ${formatDollars(nano, 2).padStart(6)}`);
      const amounts = [part("spent", spent), part("held", reserved), part("free", available)];
      const bar = drawBar(fundsBar(spent, reserved, available), BAR_WIDTH, out);
      return text`${label(name)} ${bar} ${joined(amounts, "  ")}`;
    }),
  ];
}

function label(name: string): SafeText {
  return trusted(name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH));
}

function summaryOf({ planned, sent, funds }: RunState, seconds: number): SafeText {
  const sum = (of: Account): string => {
    const nano = funds.reduce((total, customer) => total + customer[of], 0n);
    return formatDollars(nano, 2);
  };
  const done = formatNumber(sent.granted + sent.refused);
  return trusted(
    `${seconds.toFixed(0).padStart(4)} s  ${done} of ${formatNumber(planned)} calls: ` +
      `${describeCalls(sent)}; ` +
      `spent ${sum("spent")}, held ${sum("reserved")}, free ${sum("available")}`,
  );
}

function describeCalls({ granted, refused, lostAnswers }: Counters): string {
  const [grants, refusals, retries] = [granted, refused, lostAnswers].map((n) => formatNumber(n));
  return `${grants} granted, ${refusals} refused, ${retries} retried`;
}
