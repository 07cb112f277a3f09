import type postgres from "postgres";
import { type NextCall, nextKey } from "./calls.ts";
import type { Past } from "./journal.ts";
import { load } from "./load.ts";
import { type BenchDatabase, clientOf } from "./server.ts";
import { postBatch } from "./statements.ts";
import { HOT, walletId } from "./wallets.ts";

/** Fills a ledger with so many events: half of them the hot wallet's, half over the others. */
export async function fillWithPast(
  { admin }: BenchDatabase,
  wallets: number,
  events: number,
  nextCall: NextCall,
): Promise<void> {
  const hot = Math.ceil(events / 4);
  const each = Math.ceil(events / 4 / wallets);
  await load(admin, pasts(wallets, { hot, each }), nextCall);
  await settleDown(admin);
}

function pasts(
  wallets: number,
  calls: { readonly hot: number; readonly each: number },
): readonly Past[] {
  const others = Array.from({ length: wallets }, (_, index) => ({
    walletId: walletId(index),
    calls: calls.each,
    due: 0,
  }));
  return [{ walletId: HOT, calls: calls.hot, due: 0 }, ...others];
}

/** Lets the server write now what it would else write while something is measured. */
export async function settleDown(admin: postgres.Sql): Promise<void> {
  await admin.unsafe("vacuum (analyze)");
  await admin.unsafe("checkpoint");
}

/**
 * A page that is changed for the first time after a checkpoint goes into the log whole, once. In a
 * minute that is over for the pages where a wallet's next event goes, whatever the size of the
 * ledger; so it is over before anything is measured: a call in each wallet.
 */
export async function touchAll(
  database: BenchDatabase,
  { wallets, nextCall }: { readonly wallets: number; readonly nextCall: NextCall },
): Promise<void> {
  const touch = async (client: number): Promise<void> => {
    // One transaction, as only the pages count.
    await clientOf(database, client).begin(async (tx) => {
      const touched: Promise<unknown>[] = [];
      for (let index = client; index < wallets; index += database.clients.length) {
        const [key, hold] = [nextKey(), `${nextCall().hold}`];
        touched.push(
          postBatch(tx, walletId(index), [
            { op: "reserve", idempotency_key: key, amount: hold, ttl: 3600 },
            { op: "settle", idempotency_key: `${key}-cost`, reservation_id: key, amount: hold },
          ]),
        );
      }
      await Promise.all(touched);
    });
  };
  await Promise.all(database.clients.map((_, client) => touch(client)));
}

/** How many events a ledger has. */
export async function eventsOf({ admin }: BenchDatabase): Promise<number> {
  const [row] = await admin<{ events: string }[]>`
    select coalesce(sum(seq), 0) as events from baseledger.wallets`;
  return Number(row?.events);
}
