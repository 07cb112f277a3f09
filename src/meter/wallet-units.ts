import type { Ledger } from "../client/index.ts";
import type { WalletUnit } from "./telemetry.ts";

type Reads = Pick<Ledger, "balance">;

const MOST = 10_000;
const known = new WeakMap<Reads, Map<string, Promise<WalletUnit>>>();

/** Unit and scale of a wallet, which never change. */
export function walletUnit(ledger: Reads, walletId: string): Promise<WalletUnit> {
  const units = known.get(ledger) ?? new Map<string, Promise<WalletUnit>>();
  known.set(ledger, units);
  const found = units.get(walletId);
  if (found) return found;
  const reading = ledger.balance({ walletId }).then(({ unit, scale }) => ({ unit, scale }));
  reading.catch(() => units.delete(walletId));
  if (units.size >= MOST) units.clear();
  units.set(walletId, reading);
  return reading;
}
