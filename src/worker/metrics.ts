import { setTimeout as delay } from "node:timers/promises";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Swept } from "./sweep.ts";

/** What the metrics ask the database for, each time they are read. */
export interface MetricsSources {
  /** See `nextDue` of the wrappers: any member of `baseledger_worker` may ask. */
  nextDue(): Promise<Date | null>;
  /** Events written since the server's statistics were reset; null if not known. */
  eventsWritten(): Promise<number | null>;
}

/** What a worker tells Prometheus. */
export interface Metrics {
  readonly contentType: string;
  /** For `onSweep` of the worker. */
  noteSweep(swept: Swept): void;
  /** Whether the database answers. */
  answers(): Promise<boolean>;
  render(): Promise<string>;
}

// A scrape that waits for a database that is gone would be cut off, and tell nothing.
const ANSWER_WITHIN_MS = 2_000;

/** Makes the metrics of one worker. */
export function createMetrics(sources: MetricsSources): Metrics {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const ofSweeps = createSweepMetrics(register);
  const ofDatabase = createDatabaseMetrics(register);
  const ask = createQuestion(sources);
  let clockAhead = 0;
  return {
    contentType: register.contentType,
    noteSweep: (swept) => {
      clockAhead = swept.at.getTime() - Date.now();
      ofSweeps.note(swept);
    },
    answers: async () => (await ask()) !== null,
    render: async () => {
      ofDatabase.note(await ask(), new Date(Date.now() + clockAhead));
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

interface Answer {
  readonly nextDue: Date | null;
  readonly events: number | null;
}

function createDatabaseMetrics(register: Registry) {
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
  const events = new Gauge({
    name: "baseledger_events",
    help:
      "Events written to the journal by all sessions, by PostgreSQL's statistics: counts up, and " +
      "starts anew when they are reset; NaN if not known.",
    registers,
  });
  return {
    note: (answer: Answer | null, now: Date): void => {
      up.set(answer === null ? 0 : 1);
      lag.set(answer === null ? Number.NaN : lagOf(answer.nextDue, now));
      events.set(answer?.events ?? Number.NaN);
    },
  };
}

function lagOf(nextDue: Date | null, now: Date): number {
  return nextDue === null ? 0 : Math.max(0, now.getTime() - nextDue.getTime()) / 1000;
}

/** Asks one question at a time: probes that come meanwhile share its answer. Null in vain. */
function createQuestion({ nextDue, eventsWritten }: MetricsSources): () => Promise<Answer | null> {
  let asked: Promise<Answer | null> | undefined;
  return () => {
    asked ??= Promise.all([nextDue(), eventsWritten()])
      .then(([due, events]) => ({ nextDue: due, events }))
      .catch(() => null)
      .finally(() => {
        asked = undefined;
      });
    return Promise.race([asked, delay(ANSWER_WITHIN_MS, null, { ref: false })]);
  };
}
