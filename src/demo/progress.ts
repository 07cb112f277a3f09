import { styleText } from "node:util";
import { MultiBar, type Options, Presets, type SingleBar } from "cli-progress";
import { type SafeText, terminalText } from "../terminal/index.ts";
import { formatDollars, type NanoDollars } from "../trace/index.ts";

/** How far the run is. */
export interface Snapshot {
  readonly calls: number;
  readonly granted: number;
  readonly refused: number;
  readonly retried: number;
  readonly customers: readonly CustomerSnapshot[];
}

/** One customer's funds, as the ledger answers them at this moment. */
export interface CustomerSnapshot {
  readonly name: string;
  readonly available: NanoDollars;
  readonly reserved: NanoDollars;
  readonly spent: NanoDollars;
}

/** Shows how far the run is. */
export interface Progress {
  /** A step before or after the run, in a line of its own. */
  step(line: SafeText | string): void;
  start(calls: number, customers: readonly string[]): void;
  update(snapshot: Snapshot): void;
  stop(): void;
}

/** Bars on a terminal, a line now and then elsewhere. */
export function createProgress(out: NodeJS.WriteStream): Progress {
  return out.isTTY ? createBars(out) : createLines(out);
}

/** Shows nothing. */
export function createSilence(): Progress {
  const nothing = (): void => undefined;
  return { step: nothing, start: nothing, update: nothing, stop: nothing };
}

const LINE_EVERY_MS = 2_000;

function createLines(out: NodeJS.WriteStream): Progress {
  let total = 0;
  let began = 0;
  let printed = 0;
  return {
    step: (line) => out.write(`${terminalText(line)}\n`),
    start: (calls) => {
      total = calls;
      began = performance.now();
      printed = began;
    },
    update: (snapshot) => {
      if (performance.now() - printed >= LINE_EVERY_MS) {
        printed = performance.now();
        out.write(`${describe(snapshot, total, (printed - began) / 1000)}\n`);
      }
    },
    stop: () => undefined,
  };
}

function describe(snapshot: Snapshot, total: number, seconds: number): string {
  const sum = (of: "available" | "reserved" | "spent"): string =>
    formatDollars(
      snapshot.customers.reduce((all, customer) => all + customer[of], 0n),
      2,
    );
  return (
    `${seconds.toFixed(0).padStart(4)} s  ${count(snapshot.calls)} of ${count(total)} calls: ` +
    `${tellCalls(snapshot)}; ` +
    `spent ${sum("spent")}, held ${sum("reserved")}, free ${sum("available")}`
  );
}

function tellCalls({ granted, refused, retried }: Snapshot): string {
  return `${count(granted)} granted, ${count(refused)} refused, ${count(retried)} retried`;
}

const NAME_WIDTH = 12;
const BAR_WIDTH = 26;
// A terminal's height is limited, and what does not fit cannot be redrawn.
const MOST_CUSTOMERS_SHOWN = 12;

function createBars(out: NodeJS.WriteStream): Progress {
  const bars = new MultiBar(
    {
      stream: out,
      hideCursor: true,
      fps: 10,
      emptyOnZero: true,
      barsize: BAR_WIDTH,
      formatValue: (value, _options, type) => (type === "duration" ? `${value}` : count(value)),
      // Ctrl-C is for the command to handle, which stops these bars, too.
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  let calls: SingleBar | undefined;
  let told: SingleBar | undefined;
  let funds: SingleBar[] = [];
  return {
    step: (line) => out.write(`${terminalText(line)}\n`),
    start: (total, customers) => {
      const shown = customers.slice(0, MOST_CUSTOMERS_SHOWN);
      out.write("\n");
      calls = bars.create(total, 0, {}, { format: callsFormat(out) });
      told = bars.create(1, 0, { text: "" }, { format: `${"".padEnd(NAME_WIDTH)} {text}` });
      funds = shown.map((name) => bars.create(1, 0, { name }, { format: fundsFormat(out) }));
    },
    update: (snapshot) => {
      calls?.update(snapshot.calls);
      told?.update({ text: tellCalls(snapshot) });
      for (const [index, bar] of funds.entries()) {
        bar.update({ ...snapshot.customers[index] });
      }
    },
    stop: () => {
      bars.stop();
      out.write("\n");
    },
  };
}

function callsFormat(stream: NodeJS.WriteStream): string {
  const bar = styleText("cyan", "{bar}", { stream });
  return `${"calls".padEnd(NAME_WIDTH)} ${bar} {value} of {total}, {duration} s`;
}

function fundsFormat(stream: NodeJS.WriteStream): Required<Options>["format"] {
  return (_options, _params, { name, available, reserved, spent }: CustomerSnapshot) => {
    const label = name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH);
    if (spent === undefined) {
      return label;
    }
    const free = available > 0n ? available : 0n;
    const total = spent + reserved + free;
    const used = cells(spent, total);
    const held = Math.min(cells(reserved, total), BAR_WIDTH - used);
    const bar =
      styleText("green", "█".repeat(used), { stream }) +
      styleText("yellow", "▒".repeat(held), { stream }) +
      styleText("gray", "░".repeat(BAR_WIDTH - used - held), { stream });
    return `${label} ${bar} ${tellFunds({ name, available, reserved, spent })}`;
  };
}

function tellFunds({ available, reserved, spent }: CustomerSnapshot): string {
  const part = (label: string, amount: NanoDollars): string =>
    `${label} ${formatDollars(amount, 2).padStart(6)}`;
  return [part("spent", spent), part("held", reserved), part("free", available)].join("  ");
}

function cells(part: NanoDollars, total: NanoDollars): number {
  return total > 0n ? Number((part * BigInt(BAR_WIDTH) + total / 2n) / total) : 0;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
