import {
  fitted,
  joined,
  type SafeText,
  styled,
  trusted,
  visible,
  widthOf,
} from "../terminal/index.ts";
import { flow, part } from "./top-flow.ts";
import {
  type AmountWriter,
  count,
  inFull,
  perMinute,
  rounded,
  type Screen,
  short,
} from "./top-screen.ts";
import type { SampledWallet } from "./views.ts";

const NAME = { least: 12, fair: 20, most: 36 };
const LEAST_BAR = 10;
const MOST_BAR = 40;

/** A column of numbers, with its title where there is room and where there is less. */
interface Column {
  readonly title: string;
  readonly narrow: string;
  readonly tell: (wallet: SampledWallet, write: AmountWriter, windowSeconds: number) => string;
}

const COLUMNS: readonly Column[] = [
  {
    title: "SPENT/MIN",
    narrow: "/MIN",
    tell: ({ scale, spending }, write, seconds) => write(perMinute(spending, seconds), scale),
  },
  {
    title: "EVENTS/S",
    narrow: "EV/S",
    tell: ({ events }, _, seconds) => (events / seconds).toFixed(1),
  },
  { title: "OPEN", narrow: "OPEN", tell: ({ open }) => count(open) },
  { title: "AVAILABLE", narrow: "AVAIL", tell: (w, write) => write(w.available, w.scale) },
  { title: "RESERVED", narrow: "HELD", tell: (w, write) => write(w.reserved, w.scale) },
  { title: "SPENT", narrow: "SPENT", tell: (w, write) => write(w.spent, w.scale) },
  {
    title: "DUE",
    narrow: "DUE",
    tell: ({ due, scale }, write) => (due === "0" ? "" : write(due, scale)),
  },
];
/** What there is less room for, the first to go first; what is left out is said. */
const DISPENSABLE = ["EVENTS/S", "OPEN", "SPENT/MIN", "RESERVED", "AVAILABLE", "SPENT"];

/** Numbers laid out: the titles, and the cells of each wallet. */
interface Numbers {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly widths: readonly number[];
  readonly width: number;
  readonly missing: readonly string[];
}

/** Draws the wallets one by one, in as much detail as the screen has columns for. */
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
    const whole = [fitted(first, name), ...padded].join("  ");
    return trusted(hasBar ? whole : whole.trimEnd());
  };
  return [
    ...tellMissing(numbers.missing, columns),
    joined(
      [
        styled("bold", line("WALLET", numbers.titles), stream),
        ...(hasBar ? [drawLegend(bar, stream)] : []),
      ],
      "  ",
    ),
    ...wallets.map((wallet, i) => {
      const drawn = line(names[i] ?? "", numbers.rows[i] ?? []);
      return hasBar ? joined([drawn, drawBar(wallet, bar, stream)], "  ") : drawn;
    }),
  ];
}

/** Shortens amounts and titles first, then names; leaves out columns only where nothing else helps. */
function fitNumbers(
  wallets: readonly SampledWallet[],
  windowSeconds: number,
  room: { readonly fair: number; readonly most: number },
): Numbers {
  const layOut = (columns: readonly Column[], narrow: boolean, write: AmountWriter) =>
    layOutNumbers(wallets, windowSeconds, columns, narrow, write);
  const whole = [
    layOut(COLUMNS, false, inFull),
    layOut(COLUMNS, false, rounded),
    layOut(COLUMNS, true, rounded),
    layOut(COLUMNS, true, short),
  ].find(({ width }) => width <= room.fair);
  if (whole) return whole;
  let left = COLUMNS;
  for (const gone of DISPENSABLE) {
    const numbers = layOut(left, true, short);
    if (numbers.width <= room.most) return numbers;
    left = left.filter(({ title }) => title !== gone);
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
    columns.map(({ tell }) => tell(wallet, write, windowSeconds)),
  );
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const width = widths.reduce((sum, each) => sum + each + 2, 0);
  const missing = COLUMNS.filter((column) => !columns.includes(column));
  return { titles, rows, widths, width, missing: missing.map(({ title }) => title) };
}

function tellMissing(missing: readonly string[], columns: number): SafeText[] {
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

function drawBar(wallet: SampledWallet, width: number, stream: NodeJS.WriteStream): SafeText {
  const part = (text: string): bigint => (BigInt(text) > 0n ? BigInt(text) : 0n);
  const [spent, reserved, available] = [wallet.spent, wallet.reserved, wallet.available].map(part);
  const total = (spent ?? 0n) + (reserved ?? 0n) + (available ?? 0n);
  const cells = (amount: bigint): number =>
    total > 0n ? Number((amount * BigInt(width) + total / 2n) / total) : 0;
  const used = cells(spent ?? 0n);
  const held = Math.min(cells(reserved ?? 0n), width - used);
  return joined(
    [
      styled("green", "█".repeat(used), stream),
      styled("yellow", "▒".repeat(held), stream),
      styled("gray", "░".repeat(width - used - held), stream),
    ],
    "",
  );
}
