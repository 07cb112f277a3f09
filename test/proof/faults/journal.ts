// Reads the journal as a superuser, with the transaction that wrote each event.
import type postgres from "postgres";
import { parseJson } from "../../../src/json/index.ts";
import type { Event } from "../model.ts";
import { plain } from "../plain.ts";

/** An event, in plain form. */
export interface Entry extends Omit<Event, "instant" | "metadata" | "command" | "frozen" | "open"> {
  readonly wallet_id: string;
  readonly metadata: Readonly<Record<string, never>>;
  readonly details: { readonly from?: string; readonly from_seq?: bigint } | null;
  /** A wallet's events of one transaction are those of one execution. */
  readonly transaction: string;
}

/** The events of wallets, in order. */
export async function readJournal(
  admin: postgres.Sql,
  wallets: readonly string[],
): Promise<Entry[]> {
  const rows = await admin.unsafe<{ entry: string }[]>(
    `select (to_jsonb(e) - 'hash'
        || jsonb_build_object('transaction', 'x' || e.xmin::text))::text as entry
      from baseledger.events e
      where e.wallet_id = any ($1::text::text[])
      order by e.wallet_id, e.seq`,
    [`{${wallets.join(",")}}`],
  );
  return rows.map(({ entry }) => plain(parseJson(entry)) as unknown as Entry);
}

/** The last event of each wallet: its number and hash. */
export async function readHeads(
  admin: postgres.Sql,
  wallets: readonly string[],
): Promise<Map<string, string>> {
  const rows = await admin.unsafe<{ wallet_id: string; head: string }[]>(
    `select wallet_id, seq || ' ' || encode(hash, 'hex') as head
      from baseledger.wallets where wallet_id = any ($1::text::text[])`,
    [`{${wallets.join(",")}}`],
  );
  return new Map(rows.map(({ wallet_id, head }) => [wallet_id, head]));
}
