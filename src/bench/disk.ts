import { countEvents } from "./load.ts";
import type { BenchDatabase } from "./server.ts";

/** The size of the tables on disk. */
export interface DiskResult {
  /** Idempotency keys and reservation ids: some 12 characters, or the client's own of 22. */
  readonly keys: "short" | "client";
  readonly events: number;
  /** Of the journal with its indexes, divided by its events. */
  readonly bytesAnEvent: number;
  /** Of the wallets and the open reservations, with their indexes. */
  readonly otherBytes: number;
}

/** Reads the size of a ledger's tables as they are now, gaps in pages and dead rows included. */
export async function measureDisk(
  keys: DiskResult["keys"],
  database: BenchDatabase,
): Promise<DiskResult> {
  const events = await countEvents(database);
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
