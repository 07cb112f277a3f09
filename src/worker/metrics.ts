import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { DatabaseStatus } from "./database-status.ts";
import { type Condition, judge, lagOf } from "./health.ts";
import { createMoneyMetrics } from "./money-metrics.ts";
import type { MoneyStatus } from "./money-status.ts";
import type { Swept } from "./sweep.ts";

/** The metrics of a worker, for Prometheus. */
export interface Metrics {
  readonly contentType: string;
  noteSweep(swept: Swept): void;
  /** Formats them, with the current state and what the database has just answered. */
  render(
    condition: Condition,
    database: DatabaseStatus | null,
    money: MoneyStatus | null,
  ): Promise<string>;
}

/** Creates the metrics of one worker. */
export function createMetrics(): Metrics {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const ofSweeps = createSweepMetrics(register);
  const setHealth = createHealthMetrics(register);
  const setDatabase = createDatabaseMetrics(register);
  const setMoney = createMoneyMetrics(register);
  return {
    contentType: register.contentType,
    noteSweep: ofSweeps.note,
    render: async (condition, database, money) => {
      setHealth(condition);
      setDatabase(database);
      setMoney(money);
      return register.metrics();
    },
  };
}

function createSweepMetrics(register: Registry): { note(swept: Swept): void } {
  const registers = [register];
  const sweeps = new Counter({
    name: "baseledger_sweeps_total",
    help: "Sweeps of this worker.",
    labelNames: ["outcome"],
    registers,
  });
  const expired = new Counter({
    name: "baseledger_expired_total",
    help: "Reservations that this worker expired.",
    registers,
  });
  const due = new Gauge({
    name: "baseledger_due_reservations",
    help: "Reservations past their deadline that the last sweep of this worker found.",
    registers,
  });
  const last = new Gauge({
    name: "baseledger_last_sweep_timestamp_seconds",
    help: "When this worker last swept, by the database's clock. Others may have swept since.",
    registers,
  });
  const seconds = new Histogram({
    name: "baseledger_sweep_duration_seconds",
    help: "The duration of a sweep.",
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  });
  sweeps.inc({ outcome: "done" }, 0);
  sweeps.inc({ outcome: "failed" }, 0);
  return {
    note: (swept) => {
      sweeps.inc({ outcome: swept.expired === null ? "failed" : "done" });
      if (swept.expired === null) return;
      expired.inc(swept.expired);
      due.set(swept.expired);
      last.set(swept.at.getTime() / 1000);
      seconds.observe(swept.seconds);
    },
  };
}

function createHealthMetrics(register: Registry): (condition: Condition) => void {
  const registers = [register];
  const ready = new Gauge({
    name: "baseledger_ready",
    help: "1 if due reservations are swept, as /health/ready says.",
    registers,
  });
  const failing = new Gauge({
    name: "baseledger_sweep_failures_in_a_row",
    help: "Sweeps of this worker that failed since the last one that succeeded.",
    registers,
  });
  return (condition) => {
    ready.set(judge(condition).status === "ready" ? 1 : 0);
    failing.set(condition.failures);
  };
}

function createDatabaseMetrics(register: Registry): (database: DatabaseStatus | null) => void {
  const registers = [register];
  const up = new Gauge({
    name: "baseledger_database_up",
    help: "1 if the database has answered just now.",
    registers,
  });
  const lag = new Gauge({
    name: "baseledger_sweep_lag_seconds",
    help:
      "The time since the earliest deadline of all open reservations: 0 if none is due, NaN if " +
      "not known. Funds count as returned at the deadline in any case.",
    registers,
  });
  const last = new Gauge({
    name: "baseledger_last_sweep_of_any_timestamp_seconds",
    help: "When any worker last swept, by the database's clock, to 5 seconds; NaN if not known.",
    registers,
  });
  const ahead = new Gauge({
    name: "baseledger_wallets_ahead",
    help:
      "Wallets whose last event is dated ahead of the server's clock, because that was wrong for " +
      "a while; counted once a minute, NaN if not known.",
    registers,
  });
  const events = new Gauge({
    name: "baseledger_events",
    help:
      "Events written to the journal by all sessions, by PostgreSQL's statistics: counts up, and " +
      "starts again at 0 when they are reset; NaN if not known.",
    registers,
  });
  return (database) => {
    up.set(database === null ? 0 : 1);
    lag.set(database === null ? Number.NaN : lagOf(database.sweep));
    last.set((database?.sweep.lastSweep?.getTime() ?? Number.NaN) / 1000);
    ahead.set(database?.walletsAhead ?? Number.NaN);
    events.set(database?.events ?? Number.NaN);
  };
}
