import { type LimitUse, limits } from "../generated/index.ts";
import {
  formatSpan,
  printJson,
  printLine,
  printTable,
  shortened,
  text,
} from "../terminal/index.ts";
import { type Denomination, denominationOf } from "./amounts.ts";
import { type DatabaseOptions, withConnection } from "./database.ts";
import { combinationOf, limitNumber, limitWriter, windowOf } from "./limit-words.ts";

interface Options extends DatabaseOptions {
  readonly after?: readonly string[];
  readonly limit?: number;
  readonly json?: true;
}

const ROWS_FOR_A_PERSON = 100;
const ROWS_IN_JSON = 100_000;
const WIDEST_NAME = 30;

/** Prints the limits of a wallet with their use. */
export async function showLimits(
  walletId: string,
  limitId: string | undefined,
  options: Options,
): Promise<void> {
  const { after, json } = options;
  const most = options.limit ?? (json ? ROWS_IN_JSON : ROWS_FOR_A_PERSON);
  await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const limit = json ? most : Math.min(most + 1, ROWS_IN_JSON);
    const found = await limits(sql, { walletId, limitId, after, limit });
    if (json) printJson(found);
    else print(found, most, denomination);
  });
}

function print(found: readonly LimitUse[], most: number, denomination: Denomination): void {
  if (found.length === 0) {
    printLine(text`no limits`);
    return;
  }
  const shown = found.slice(0, most);
  const hasSoft = shown.some(({ hard }) => !hard);
  const rows = shown.map((use) => {
    const row = toRow(use, denomination);
    return hasSoft ? { ...row, kind: use.hard ? "" : "soft" } : row;
  });
  printTable(rows, ["used", "held", "of", "left"]);
  const last = shown.at(-1);
  if (found.length <= most || !last) return;
  const values = (last.labelValues ?? []).map((value) => JSON.stringify(value)).join(" ");
  printLine(text`There are more; those of ${last.limitId} with: ${last.limitId} --after ${values}`);
}

function toRow(use: LimitUse, denomination: Denomination) {
  const { amount, by, endsAt, held, labelValues, limitId, of, ownAmount, per, remaining } = use;
  const number = limitNumber(of, denomination.scale);
  const total = ownAmount ?? amount;
  const combination = labelValues ? combinationOf(labelValues, by) : `each ${by.join(", ")}`;
  return {
    limit: shortened(limitId, WIDEST_NAME),
    for: shortened(combination, WIDEST_NAME),
    used: number(use.used),
    held: held === 0n ? "" : number(held),
    of: total === null ? "" : limitWriter(of, denomination)(total),
    left: remaining === null || labelValues === null ? "" : number(remaining),
    window: of === "open" ? "at once" : windowOf(per),
    resets: endsAt ? `in ${formatSpan((endsAt.getTime() - Date.now()) / 1000)}` : "",
  };
}
