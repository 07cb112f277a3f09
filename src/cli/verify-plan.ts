import pRetry from "p-retry";
import type postgres from "postgres";
import { classifyError } from "../errors/classify.ts";
import { type Discrepancy, verify, verifyRights } from "../generated/index.ts";
import { type KnownWallet, knownWallets, type LedgerSize, ledgerSize } from "./views.ts";

/** Told how far a verification is. */
export interface Watcher {
  /** What there is to verify; `steps` is false if nothing can be told before the end. */
  start(size: LedgerSize, steps: boolean): void;
  found(discrepancies: readonly Discrepancy[]): void;
  done(size: LedgerSize): void;
  /** A part is going to be verified again, as the server has given up on it. */
  again(error: Error): void;
}

/*
 * verify() of everything answers once, at its end. Wallet by wallet there is something to tell,
 * but each call costs some 3 ms to plan, whatever the wallet (10,000 wallets of 10 events each:
 * 1 s in one call, 32 s in as many). So wallet by wallet where they are few or large enough.
 */
const FEW_WALLETS = 200;
const EVENTS_WORTH_A_CALL = 1_000;

/**
 * Verifies the whole ledger, or one wallet. Each call sees one snapshot, in which a transfer is in
 * both wallets or in none; so a call that a standby has cancelled is sent again by itself.
 */
export async function verifyAll(
  sql: postgres.Sql,
  walletId: string | undefined,
  watcher: Watcher,
): Promise<void> {
  const ask = <T>(question: () => Promise<T>): Promise<T> => persist(question, watcher);
  if (walletId !== undefined) {
    watcher.found(await ask(() => verify(sql, { walletId })));
    return;
  }
  const size = await ask(() => ledgerSize(sql));
  const { wallets, events } = size;
  const steps = wallets <= FEW_WALLETS || events / wallets >= EVENTS_WORTH_A_CALL;
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

/** What has run into statement_timeout will do so again. */
const CANCELLED = "57014";
const PATIENCE = { retries: 15, minTimeout: 100, factor: 1.5, maxTimeout: 2_000 };

/**
 * Asks again where that may help: a standby cancels what stands in the way of its recovery, and a
 * connection breaks. Nothing is changed by asking.
 */
function persist<T>(question: () => Promise<T>, watcher: Watcher): Promise<T> {
  return pRetry(question, {
    ...PATIENCE,
    shouldRetry: ({ error }) => mayHelp(error),
    onFailedAttempt: ({ error, retriesLeft }) => {
      if (retriesLeft > 0 && mayHelp(error)) watcher.again(error);
    },
  });
}

function mayHelp(error: Error): boolean {
  return classifyError(error) !== "final" && (error as { code?: unknown }).code !== CANCELLED;
}
