import type postgres from "postgres";
import { type Discrepancy, verify, verifyRights } from "../generated/baseledger.ts";
import { type KnownWallet, knownWallets, type LedgerSize, ledgerSize } from "./views.ts";

/** Told how far a verification is. */
export interface Watcher {
  /** What there is to verify; `steps` is false if nothing can be told before the end. */
  start(size: LedgerSize, steps: boolean): void;
  found(discrepancies: readonly Discrepancy[]): void;
  done(size: LedgerSize): void;
}

/*
 * verify() of everything answers once, at its end. Wallet by wallet there is something to tell,
 * but each call costs some 3 ms to plan, whatever the wallet (10,000 wallets of 10 events each:
 * 1 s in one call, 32 s in as many). So wallet by wallet where they are few or large enough.
 */
const FEW_WALLETS = 200;
const EVENTS_WORTH_A_CALL = 1_000;

/**
 * Verifies the whole ledger, or one wallet. All in one snapshot: a transfer is in both wallets, or
 * in none.
 */
export async function verifyAll(
  sql: postgres.Sql,
  walletId: string | undefined,
  watcher: Watcher,
): Promise<void> {
  if (walletId !== undefined) {
    watcher.found(await verify(sql, { walletId }));
    return;
  }
  await sql.begin("isolation level repeatable read read only", async (tx) => {
    const size = await ledgerSize(tx);
    const { wallets, events } = size;
    const steps = wallets <= FEW_WALLETS || events / wallets >= EVENTS_WORTH_A_CALL;
    watcher.start(size, steps);
    if (!steps) {
      watcher.found(await verify(tx));
      watcher.done(size);
      return;
    }
    watcher.found(await verifyRights(tx));
    for (const wallet of await knownWallets(tx)) {
      watcher.found(await verifyOne(tx, wallet));
      if (wallet.events !== null) watcher.done({ wallets: 1, events: wallet.events });
    }
  });
}

async function verifyOne(
  sql: postgres.ISql,
  { walletId, events }: KnownWallet,
): Promise<readonly Discrepancy[]> {
  return events === null
    ? [{ walletId, seq: null, check: "orphan", expected: "a wallet", found: "none" }]
    : verify(sql, { walletId });
}
