import { eventsOf } from "./ledgers.ts";
import type { DiskResult } from "./results.ts";
import type { BenchDatabase } from "./server.ts";

/** Weighs the tables of a ledger as they are now, gaps in pages and dead rows included. */
export async function weigh(
  keys: DiskResult["keys"],
  database: BenchDatabase,
): Promise<DiskResult> {
  const events = await eventsOf(database);
  const [row] = await database.admin<{ journal: string; others: string }[]>`
    select pg_total_relation_size('baseledger.events') as journal,
        pg_total_relation_size('baseledger.wallets')
          + pg_total_relation_size('baseledger.reservations') as others`;
  return {
    keys,
    events,
    bytesAnEvent: Number(row?.journal) / events,
    otherBytes: Number(row?.others),
  };
}
