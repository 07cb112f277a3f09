import { styleText } from "node:util";
import { formatAmount } from "../client/amounts.ts";
import type { Sample, SampledUnit, SampledWallet } from "./views.ts";

/** What a frame has to fit into. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Where it goes to: colours if that is a terminal. */
  readonly stream: NodeJS.WriteStream;
}

/** Lines that are not wallets: two of the head, the legend, the titles, and the foot. */
const LINES_BESIDES = 6;
const MOST_UNITS = 4;
const DECIMALS = 4;
const NAME = { least: 12, most: 36 };
const LEAST_BAR = 10;
const MOST_BAR = 40;

/** How many wallets a screen has room for. */
export function roomFor({ rows }: Pick<Screen, "rows">): number {
  return Math.max(rows - LINES_BESIDES - MOST_UNITS, 3);
}

/** Draws a sample as the lines of a frame. */
export function drawFrame(sample: Sample, screen: Screen): string[] {
  return [
    ...drawHead(sample, screen),
    "",
    ...drawWallets(sample.top, sample.windowSeconds, screen),
  ];
}

function drawHead(sample: Sample, { stream }: Screen): string[] {
  const { at, events, open, units, wallets, windowSeconds } = sample;
  const recent = units.reduce((sum, unit) => sum + unit.events, 0);
  const speed = (recent / windowSeconds).toFixed(1);
  const strong = (text: string): string => styleText("bold", text, { stream });
  const rest = units.length - MOST_UNITS;
  return [
    `${strong("baseledger")} ${new Date(at).toISOString().slice(11, 19)} UTC   ` +
      `${some(wallets, "wallet")}   ${some(events, "event")}   ` +
      `${strong(`${speed} events/s`)} in the last ${windowSeconds} s`,
    `${some(open, "open reservation")}   ${tellDue(units)}   ${tellLag(sample)}`,
    ...units.slice(0, MOST_UNITS).map((unit) => drawUnit(unit, windowSeconds)),
    ...(rest > 0 ? [`and ${rest} more units`] : []),
  ];
}

function tellDue(units: readonly SampledUnit[]): string {
  if (units.some(({ dueWallets }) => dueWallets === null)) return "due: see the wallets";
  const due = units.filter(({ dueWallets }) => dueWallets !== null && dueWallets > 0);
  if (due.length === 0) return "nothing due";
  const wallets = due.reduce((sum, { dueWallets }) => sum + (dueWallets ?? 0), 0);
  const amounts = due.map((unit) => `${show(unit.due, unit)} ${unit.unit}`);
  return `due: ${amounts.join(", ")} in ${some(wallets, "wallet")}`;
}

function tellLag({ sweepLagSeconds }: Sample): string {
  if (sweepLagSeconds === null) return "no expiry booked lately";
  return `expiries booked up to ${sweepLagSeconds.toFixed(2)} s late`;
}

function drawUnit(unit: SampledUnit, windowSeconds: number): string {
  return (
    `${unit.unit}: ${show(unit.available, unit)} available, ${show(unit.reserved, unit)} reserved, ` +
    `${show(unit.spent, unit)} spent, ${perMinute(unit, windowSeconds)} a minute`
  );
}

type Row = readonly string[];
const TITLES: Row = ["SPENT/MIN", "EVENTS/S", "OPEN", "AVAILABLE", "RESERVED", "SPENT", "DUE"];

function drawWallets(
  wallets: readonly SampledWallet[],
  windowSeconds: number,
  { columns, stream }: Screen,
): string[] {
  const rows = wallets.map((wallet) => cellsOf(wallet, windowSeconds));
  const widths = TITLES.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const numbers = widths.reduce((sum, width) => sum + width + 2, 0);
  const longest = Math.max(NAME.least, ...wallets.map((wallet) => nameOf(wallet).length));
  const name = Math.min(longest, NAME.most, Math.max(columns - numbers - 2, NAME.least));
  const bar = Math.min(columns - numbers - name - 2, MOST_BAR);
  const line = (first: string, cells: Row): string =>
    `${padded(first, name)}${cells.map((cell, i) => `  ${cell.padStart(widths[i] ?? 0)}`).join("")}`;
  const legend = bar >= LEAST_BAR ? `  ${drawLegend(bar, stream)}` : "";
  return [
    styleText("bold", line("WALLET", TITLES), { stream }) + legend,
    ...wallets.map((wallet, i) => {
      const text = line(nameOf(wallet), rows[i] ?? []).slice(0, columns);
      return bar >= LEAST_BAR ? `${text}  ${drawBar(wallet, bar, stream)}` : text;
    }),
  ];
}

function cellsOf(wallet: SampledWallet, windowSeconds: number): Row {
  return [
    perMinute(wallet, windowSeconds),
    (wallet.events / windowSeconds).toFixed(1),
    count(wallet.open),
    show(wallet.available, wallet),
    show(wallet.reserved, wallet),
    show(wallet.spent, wallet),
    wallet.due === "0" ? "" : show(wallet.due, wallet),
  ];
}

function nameOf({ frozen, unit, walletId }: SampledWallet): string {
  const kind = unit === "USD" ? "" : ` (${unit})`;
  // A name is the caller's: no control character may reach the terminal.
  const safe = walletId.replace(/\p{C}/gu, "�");
  return `${frozen ? "frozen: " : ""}${safe}${kind}`;
}

function padded(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}

function drawLegend(width: number, stream: NodeJS.WriteStream): string {
  const parts = [
    ["green", "█ spent"],
    ["yellow", "▒ reserved"],
    ["gray", "░ available"],
  ] as const;
  const length = parts.reduce((sum, [, text]) => sum + text.length + 1, -1);
  return length > width
    ? ""
    : parts.map(([color, text]) => styleText(color, text, { stream })).join(" ");
}

function drawBar(wallet: SampledWallet, width: number, stream: NodeJS.WriteStream): string {
  const part = (text: string): bigint => (BigInt(text) > 0n ? BigInt(text) : 0n);
  const [spent, reserved, available] = [wallet.spent, wallet.reserved, wallet.available].map(part);
  const total = (spent ?? 0n) + (reserved ?? 0n) + (available ?? 0n);
  const cells = (amount: bigint): number =>
    total > 0n ? Number((amount * BigInt(width) + total / 2n) / total) : 0;
  const used = cells(spent ?? 0n);
  const held = Math.min(cells(reserved ?? 0n), width - used);
  return (
    styleText("green", "█".repeat(used), { stream }) +
    styleText("yellow", "▒".repeat(held), { stream }) +
    styleText("gray", "░".repeat(width - used - held), { stream })
  );
}

function perMinute(
  { scale, spending }: Pick<SampledWallet, "scale" | "spending">,
  windowSeconds: number,
): string {
  // In whole milliseconds: a bigint knows no fractions.
  const perMinute = (BigInt(spending) * 60_000n) / BigInt(Math.round(windowSeconds * 1000));
  return show(perMinute.toString(), { scale });
}

function show(amount: string | null, { scale }: Pick<SampledWallet, "scale">): string {
  const decimals = Math.min(scale, DECIMALS);
  return formatAmount(BigInt(amount ?? 0), scale, { grouping: true, decimals });
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function some(value: number, thing: string): string {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}
