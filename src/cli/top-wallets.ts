import { formatAmount } from "../amounts/index.ts";
import {
  drawBar,
  fitted,
  flow,
  formatNumber,
  fundsBar,
  joined,
  part,
  type SafeText,
  styled,
  trusted,
  visible,
  widthOf,
} from "../terminal/index.ts";
import type { SampledWallet } from "./top-sample.ts";

/** The screen that a frame must fit into. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Gets colours if it is a terminal. */
  readonly stream: NodeJS.WriteStream;
}

/** Writes an amount in steps of the wallet's scale, given as text. */
export type AmountWriter = (amount: string, scale: number) => string;

/** With four decimals. */
export const inFull: AmountWriter = (amount, scale) => withDecimals(amount, scale, 4);

/** With two decimals. */
export const rounded: AmountWriter = (amount, scale) => withDecimals(amount, scale, 2);

/** With three digits and K, M, B or T. */
export const short: AmountWriter = (amount, scale) => {
  const value = Number(amount) / 10 ** scale;
  if (value !== 0 && Math.abs(value) < LEAST_SHORT) return value > 0 ? "~0" : "~-0";
  if (Math.abs(value) >= MOST_SHORT) return value.toExponential(2).replace("+", "");
  return SHORT.format(value);
};

const LEAST_SHORT = 0.001;
const MOST_SHORT = 1e15;
const SHORT = new Intl.NumberFormat("en-US", {
  notation: "compact",
  maximumSignificantDigits: 3,
});

function withDecimals(amount: string, scale: number, most: number): string {
  return formatAmount(BigInt(amount), scale, { grouping: true, decimals: Math.min(scale, most) });
}

/** The spending of a window as an amount a minute. */
export function perMinute(spending: string, windowSeconds: number): string {
  // In milliseconds, as a bigint has no fractions.
  return ((BigInt(spending) * 60_000n) / BigInt(Math.round(windowSeconds * 1000))).toString();
}

const NAME = { least: 12, fair: 20, most: 36 };
const LEAST_BAR = 10;
const MOST_BAR = 40;

/** A column of numbers; `narrow` is its title where there is less room. */
interface Column {
  readonly title: string;
  readonly narrow: string;
  readonly write: (wallet: SampledWallet, amount: AmountWriter, windowSeconds: number) => string;
}

const COLUMNS: readonly Column[] = [
  {
    title: "SPENT/MIN",
    narrow: "/MIN",
    write: ({ scale, spending }, amount, seconds) => amount(perMinute(spending, seconds), scale),
  },
  {
    title: "EVENTS/S",
    narrow: "EV/S",
    write: ({ events }, _, seconds) => (events / seconds).toFixed(1),
  },
  { title: "OPEN", narrow: "OPEN", write: ({ open }) => formatNumber(open) },
  { title: "AVAILABLE", narrow: "AVAIL", write: (w, amount) => amount(w.available, w.scale) },
  { title: "RESERVED", narrow: "HELD", write: (w, amount) => amount(w.reserved, w.scale) },
  { title: "SPENT", narrow: "SPENT", write: (w, amount) => amount(w.spent, w.scale) },
  {
    title: "DUE",
    narrow: "DUE",
    write: ({ due, scale }, amount) => (due === "0" ? "" : amount(due, scale)),
  },
];
/** The columns that a narrow screen leaves out, and names instead, in this order. */
const DISPENSABLE = ["EVENTS/S", "OPEN", "SPENT/MIN", "RESERVED", "AVAILABLE", "SPENT"];

/** The columns of numbers as text: the titles, and the cells of each wallet. */
interface Numbers {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly widths: readonly number[];
  readonly width: number;
  readonly missing: readonly string[];
}

/** Draws a line for each wallet, in as much detail as the screen has columns for. */
export function drawWallets(
  wallets: readonly SampledWallet[],
  windowSeconds: number,
  { columns, stream }: Screen,
): SafeText[] {
  const names = wallets.map(nameOf);
  const longest = Math.max(NAME.least, ...names.map(widthOf));
  const fair = columns - Math.min(longest, NAME.fair);
  const numbers = fitNumbers(wallets, windowSeconds, { fair, most: columns - NAME.least });
  const room = Math.max(columns - numbers.width - 2, NAME.least);
  const name = Math.min(longest, NAME.most, room);
  const bar = Math.min(columns - numbers.width - name - 2, MOST_BAR);
  const hasBar = bar >= LEAST_BAR;
  const line = (first: string, cells: readonly string[]): SafeText => {
    const padded = cells.map((cell, i) => cell.padStart(numbers.widths[i] ?? 0));
    const drawn = [fitted(first, name), ...padded].join("  ");
    return trusted(hasBar ? drawn : drawn.trimEnd());
  };
  return [
    ...drawMissing(numbers.missing, columns),
    joined(
      [
        styled("bold", line("WALLET", numbers.titles), stream),
        ...(hasBar ? [drawLegend(bar, stream)] : []),
      ],
      "  ",
    ),
    ...wallets.map((wallet, i) => {
      const drawn = line(names[i] ?? "", numbers.rows[i] ?? []);
      return hasBar ? joined([drawn, drawFunds(wallet, bar, stream)], "  ") : drawn;
    }),
  ];
}

/** Shortens amounts and titles first, then names, and leaves out columns only as a last resort. */
function fitNumbers(
  wallets: readonly SampledWallet[],
  windowSeconds: number,
  room: { readonly fair: number; readonly most: number },
): Numbers {
  const layOut = (columns: readonly Column[], narrow: boolean, write: AmountWriter) =>
    layOutNumbers(wallets, windowSeconds, columns, narrow, write);
  const complete = [
    layOut(COLUMNS, false, inFull),
    layOut(COLUMNS, false, rounded),
    layOut(COLUMNS, true, rounded),
    layOut(COLUMNS, true, short),
  ].find(({ width }) => width <= room.fair);
  if (complete) return complete;
  let left = COLUMNS;
  for (const dispensable of DISPENSABLE) {
    const numbers = layOut(left, true, short);
    if (numbers.width <= room.most) return numbers;
    left = left.filter(({ title }) => title !== dispensable);
  }
  return layOut(left, true, short);
}

function layOutNumbers(
  wallets: readonly SampledWallet[],
  windowSeconds: number,
  columns: readonly Column[],
  narrow: boolean,
  write: AmountWriter,
): Numbers {
  const titles = columns.map((column) => (narrow ? column.narrow : column.title));
  const rows = wallets.map((wallet) =>
    columns.map((column) => column.write(wallet, write, windowSeconds)),
  );
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const width = widths.reduce((sum, each) => sum + each + 2, 0);
  const missing = COLUMNS.filter((column) => !columns.includes(column));
  return { titles, rows, widths, width, missing: missing.map(({ title }) => title) };
}

function drawMissing(missing: readonly string[], columns: number): SafeText[] {
  const names = missing.map((title) => part(title));
  return missing.length > 0 ? flow([part("Too narrow for:"), ...names], " ", columns) : [];
}

function nameOf({ frozen, unit, walletId }: SampledWallet): string {
  const kind = unit === "USD" ? "" : ` (${visible(unit)})`;
  return `${frozen ? "frozen: " : ""}${visible(walletId)}${kind}`;
}

function drawLegend(width: number, stream: NodeJS.WriteStream): SafeText {
  const parts = [
    ["green", "█ spent"],
    ["yellow", "▒ reserved"],
    ["gray", "░ available"],
  ] as const;
  const length = parts.reduce((sum, [, text]) => sum + text.length + 1, -1);
  return length > width
    ? trusted("")
    : joined(
        parts.map(([color, text]) => styled(color, text, stream)),
        " ",
      );
}

function drawFunds(wallet: SampledWallet, width: number, stream: NodeJS.WriteStream): SafeText {
  const { available, reserved, spent } = wallet;
  return drawBar(fundsBar(BigInt(spent), BigInt(reserved), BigInt(available)), width, stream);
}
