import pRetry from "p-retry";
import type postgres from "postgres";
import { classifyError } from "../errors/index.ts";
import { type Discrepancy, verify, verifyRights } from "../generated/index.ts";
import { type KnownWallet, knownWallets, type LedgerSize, ledgerSize } from "./views.ts";

/** Receives what a verification finds, and how far it is. */
export interface Watcher {
  /** What there is to verify; without `steps`, there is no progress to report before the end. */
  start(size: LedgerSize, steps: boolean): void;
  found(discrepancies: readonly Discrepancy[]): void;
  done(size: LedgerSize): void;
  /** A part is verified again after an error. */
  retry(error: Error): void;
}

/*
 * verify() of everything reports nothing before its end. Wallet by wallet, there is progress to
 * report, but planning a call takes some 3 ms (10,000 wallets of 10 events each: 1 s in one call,
 * 32 s in 10,000). So it goes wallet by wallet if they are few, or large.
 */
const FEW_WALLETS = 200;
const EVENTS_FOR_A_CALL = 1_000;

/**
 * Verifies all of the ledger, or one wallet. Each call sees one snapshot, in which a transfer is in
 * both wallets or in none; so a call that a standby has cancelled can be sent again alone.
 */
export async function verifyAll(
  sql: postgres.Sql,
  walletId: string | undefined,
  watcher: Watcher,
): Promise<void> {
  const ask = <T>(request: () => Promise<T>): Promise<T> => retry(request, watcher);
  if (walletId !== undefined) {
    watcher.found(await ask(() => verify(sql, { walletId })));
    return;
  }
  const size = await ask(() => ledgerSize(sql));
  const { wallets, events } = size;
  const steps = wallets <= FEW_WALLETS || events / wallets >= EVENTS_FOR_A_CALL;
  watcher.start(size, steps);
  if (!steps) {
    watcher.found(await ask(() => verify(sql)));
    watcher.done(size);
    return;
  }
  watcher.found(await ask(() => verifyRights(sql)));
  for (const wallet of await ask(() => knownWallets(sql))) {
    watcher.found(await ask(() => verifyOne(sql, wallet)));
    if (wallet.events !== null) watcher.done({ wallets: 1, events: wallet.events });
  }
}

async function verifyOne(
  sql: postgres.ISql,
  { walletId, events }: KnownWallet,
): Promise<readonly Discrepancy[]> {
  return events === null
    ? [{ walletId, seq: null, check: "orphan", expected: "a wallet", found: "none" }]
    : verify(sql, { walletId });
}

/** A query that has run into statement_timeout would do so again. */
const CANCELLED = "57014";
const RETRY = { retries: 15, minTimeout: 100, factor: 1.5, maxTimeout: 2_000 };

/**
 * Retries a read after an error that may not come back: a standby cancels queries that block its
 * recovery, and connections break.
 */
function retry<T>(request: () => Promise<T>, watcher: Watcher): Promise<T> {
  return pRetry(request, {
    ...RETRY,
    shouldRetry: ({ error }) => mayHelp(error),
    onFailedAttempt: ({ error, retriesLeft }) => {
      if (retriesLeft > 0 && mayHelp(error)) watcher.retry(error);
    },
  });
}

function mayHelp(error: Error): boolean {
  return classifyError(error) !== "final" && (error as { code?: unknown }).code !== CANCELLED;
}
