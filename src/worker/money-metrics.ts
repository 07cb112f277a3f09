import { Gauge, type Registry } from "prom-client";
import type { AlertCount, LimitMetric, WalletMetric } from "../generated/index.ts";
import { MOST_SERIES, type MoneyStatus } from "./money-status.ts";

const MOST = MOST_SERIES.toLocaleString("en-US");

/** Registers the metrics of funds, limits and alerts; what is returned sets them. */
export function createMoneyMetrics(register: Registry): (money: MoneyStatus | null) => void {
  const setWallets = createWalletMetrics(register);
  const setLimits = createLimitMetrics(register);
  const setAlerts = createAlertMetrics(register);
  return (money) => {
    setWallets(money?.wallets ?? []);
    setLimits(money?.limits ?? []);
    setAlerts(money?.alerts ?? []);
  };
}

type Set<T> = (rows: readonly T[]) => void;

function createWalletMetrics(register: Registry): Set<WalletMetric> {
  const gauge = (name: string, what: string) =>
    new Gauge({
      name: `baseledger_wallet_${name}`,
      help:
        `${what} of a wallet, in its unit. Only of the first ${MOST} wallets in the order of ` +
        "their ids, and of none that is closed.",
      labelNames: ["wallet", "unit"],
      registers: [register],
    });
  const gauges = {
    available: gauge("available", "What can be reserved"),
    reserved: gauge("reserved", "What open reservations hold"),
    spent: gauge("spent", "What was spent"),
  };
  return (rows) => {
    for (const each of Object.values(gauges)) each.reset();
    for (const row of rows) {
      const labels = { wallet: row.walletId, unit: row.unit };
      gauges.available.set(labels, inUnit(row.available, row.scale));
      gauges.reserved.set(labels, inUnit(row.reserved, row.scale));
      gauges.spent.set(labels, inUnit(row.spent, row.scale));
    }
  };
}

function createLimitMetrics(register: Registry): Set<LimitMetric> {
  const gauge = (name: string, what: string) =>
    new Gauge({
      name: `baseledger_limit_${name}`,
      help:
        `${what}, in the wallet's unit, or as a number of tokens, of calls or of open ` +
        `reservations. Only of limits that count a wallet as a whole, and of the first ${MOST} in ` +
        "the order of their wallets and ids.",
      labelNames: ["wallet", "limit", "per", "of", "unit"],
      registers: [register],
    });
  const used = gauge("used", "What of a limit is used in the present window");
  const amount = gauge("amount", "The most that may be used of a limit in a window");
  return (rows) => {
    used.reset();
    amount.reset();
    for (const row of rows) {
      const labels = {
        ...{ wallet: row.walletId, limit: row.limitId, per: row.per, of: row.of },
        unit: row.unit ?? "",
      };
      used.set(labels, inUnit(row.used, row.scale));
      if (row.amount !== null) amount.set(labels, inUnit(row.amount, row.scale));
    }
  };
}

function createAlertMetrics(register: Registry): Set<AlertCount> {
  const gauge = new Gauge({
    name: "baseledger_alerts",
    help:
      "Alerts by kind and by the state of their delivery, once for each webhook: none (no " +
      "webhook), pending, sent, failed (given up), suppressed (too many of one limit); counted " +
      "once a minute.",
    labelNames: ["kind", "state"],
    registers: [register],
  });
  return (rows) => {
    gauge.reset();
    for (const { kind, state, alerts } of rows) gauge.set({ kind, state }, Number(alerts));
  };
}

function inUnit(steps: bigint | string, scale: number | null): number {
  return Number(steps) / 10 ** (scale ?? 0);
}
