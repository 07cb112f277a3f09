import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type Condition, judge, lagOf } from "./health.ts";
import type { Answer } from "./question.ts";
import type { Swept } from "./sweep.ts";

/** What a worker tells Prometheus. */
export interface Metrics {
  readonly contentType: string;
  noteSweep(swept: Swept): void;
  /** With what the database has answered just now. */
  render(condition: Condition, answer: Answer | null): Promise<string>;
}

/** Makes the metrics of one worker. */
export function createMetrics(): Metrics {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const ofSweeps = createSweepMetrics(register);
  const noteHealth = createHealthMetrics(register);
  const noteAnswer = createDatabaseMetrics(register);
  return {
    contentType: register.contentType,
    noteSweep: ofSweeps.note,
    render: async (condition, answer) => {
      noteHealth(condition);
      noteAnswer(answer);
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
    help: "How long a sweep took.",
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
    help: "Sweeps of this worker that have failed since the last one that worked.",
    registers,
  });
  return (condition) => {
    ready.set(judge(condition).status === "ready" ? 1 : 0);
    failing.set(condition.failures);
  };
}

function createDatabaseMetrics(register: Registry): (answer: Answer | null) => void {
  const registers = [register];
  const up = new Gauge({
    name: "baseledger_database_up",
    help: "1 if the database has answered just now.",
    registers,
  });
  const lag = new Gauge({
    name: "baseledger_sweep_lag_seconds",
    help:
      "How long the earliest deadline of all open reservations has passed: 0 if none is due, " +
      "NaN if not known. Funds count as returned at the deadline all the same.",
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
      "Wallets whose last event lies ahead of the server's clock, as it was wrong for a while; " +
      "counted once a minute, NaN if not known.",
    registers,
  });
  const events = new Gauge({
    name: "baseledger_events",
    help:
      "Events written to the journal by all sessions, by PostgreSQL's statistics: counts up, and " +
      "starts anew when they are reset; NaN if not known.",
    registers,
  });
  return (answer) => {
    up.set(answer === null ? 0 : 1);
    lag.set(answer === null ? Number.NaN : lagOf(answer.status));
    last.set((answer?.status.lastSweep?.getTime() ?? Number.NaN) / 1000);
    ahead.set(answer?.walletsAhead ?? Number.NaN);
    events.set(answer?.events ?? Number.NaN);
  };
}
