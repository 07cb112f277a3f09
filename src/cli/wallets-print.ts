import { Readable } from "node:stream";
import { stringify } from "csv-stringify";
import { formatAmount } from "../amounts/index.ts";
import { csvText } from "./csv.ts";
import { decimalsFor, printAll } from "./output.ts";
import { type Shown, terminalText, text } from "./shown.ts";
import { type Column, pagedTable, type Row } from "./table.ts";
import type { ListedWallet } from "./wallet-views.ts";
import { shortened } from "./width.ts";

type Pages = AsyncIterable<readonly ListedWallet[]>;

const NUMBERS = ["available", "reserved", "spent", "due"] as const;
const COLUMNS: readonly Column[] = ["wallet", "unit", ...NUMBERS, "state"].map((name) => ({
  name,
  alignment: (NUMBERS as readonly string[]).includes(name) ? "right" : "left",
}));
const WIDEST_ID = 60;

/** Prints wallets for a person, `limit` of them at most; one more means that there are more. */
export async function printWallets(pages: Pages, limit: number): Promise<void> {
  await printAll(lines(partsOf(pages, limit)));
}

async function* lines(parts: AsyncIterable<Shown>): AsyncGenerator<string> {
  for await (const part of parts) yield `${terminalText(part)}\n`;
}

async function* partsOf(pages: Pages, limit: number): AsyncGenerator<Shown> {
  const table = pagedTable(COLUMNS);
  let shown = 0;
  let last: ListedWallet | undefined;
  let more = false;
  for await (const page of pages) {
    const wallets = page.slice(0, limit - shown);
    more = page.length > wallets.length;
    if (wallets.length > 0) yield table.page(rowsOf(wallets));
    shown += wallets.length;
    last = wallets.at(-1) ?? last;
  }
  if (shown === 0) yield text`no wallets`;
  else yield table.end();
  if (more && last) yield text`There are more; go on with: --after ${last.walletId}`;
}

/** All amounts of a unit with as many decimals, so that they stand one below the other. */
function rowsOf(wallets: readonly ListedWallet[]): Row[] {
  const decimals = new Map<string, number>();
  const kindOf = ({ scale, unit }: ListedWallet): string => `${scale} ${unit}`;
  for (const wallet of wallets) {
    const needed = decimalsFor(
      NUMBERS.map((name) => wallet[name]),
      wallet.scale,
    );
    decimals.set(kindOf(wallet), Math.max(needed, decimals.get(kindOf(wallet)) ?? 0));
  }
  return wallets.map((wallet) => {
    const format = { grouping: true, decimals: decimals.get(kindOf(wallet)) };
    const show = (amount: bigint): string => formatAmount(amount, wallet.scale, format);
    return {
      wallet: shortened(wallet.walletId, WIDEST_ID),
      unit: wallet.unit,
      available: show(wallet.available),
      reserved: show(wallet.reserved),
      spent: show(wallet.spent),
      due: wallet.due === 0n ? "" : show(wallet.due),
      state: wallet.frozen ? "frozen" : "open",
    };
  });
}

const HEADER = [
  "wallet_id",
  "unit",
  "available",
  "reserved",
  "spent",
  "due",
  "overdraft_limit",
  "frozen",
  "events",
  "last_event_at",
];

/** Prints wallets as CSV. */
export async function printWalletsAsCsv(pages: Pages): Promise<void> {
  await printAll(Readable.from(csvRows(pages)).compose(stringify()));
}

async function* csvRows(pages: Pages): AsyncGenerator<readonly string[]> {
  yield HEADER;
  for await (const page of pages) {
    for (const wallet of page) {
      const show = (amount: bigint): string => formatAmount(amount, wallet.scale);
      yield [
        csvText(wallet.walletId),
        csvText(wallet.unit),
        ...NUMBERS.map((name) => show(wallet[name])),
        wallet.overdraftLimit === null ? "" : show(wallet.overdraftLimit),
        String(wallet.frozen),
        wallet.events.toString(),
        wallet.lastEventAt.toISOString(),
      ];
    }
  }
}
