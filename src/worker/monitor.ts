import { createStatusReader, type StatusSources } from "./database-status.ts";
import { createHealthRecord, type Health, judge, type Trouble } from "./health.ts";
import { messageOf } from "./logger.ts";
import { createMoneyReader, type MoneySources } from "./money-status.ts";
import type { Swept } from "./sweep.ts";

/** The health and the metrics of a worker. */
export interface Monitor {
  readonly contentType: string;
  /** For `onSweep` of the worker. */
  noteSweep(swept: Swept): void;
  /** For `onTrouble` of the worker. */
  noteTrouble(trouble: Trouble): void;
  /** Whether it has started, and was not asked to stop. */
  noteRunning(running: boolean): void;
  /** For `/health/ready`. */
  health(): Promise<Health>;
  /** The metrics, as text of {@link Monitor.contentType}. */
  render(): Promise<string>;
}

/** Creates the monitor of one worker. */
export async function createMonitor(sources: StatusSources & MoneySources): Promise<Monitor> {
  // Loaded only here: whoever only starts a worker needs no library for metrics.
  const { createMetrics } = await import("./metrics.ts");
  const record = createHealthRecord();
  const metrics = createMetrics();
  const noteError = (error: unknown) =>
    record.noteTrouble({ at: new Date(), reason: messageOf(error) });
  const readStatus = createStatusReader(sources, noteError);
  const readMoney = createMoneyReader(sources, noteError);
  return {
    contentType: metrics.contentType,
    noteSweep: (swept) => {
      record.noteSweep(swept);
      metrics.noteSweep(swept);
    },
    noteTrouble: record.noteTrouble,
    noteRunning: record.noteRunning,
    health: async () => judge(record.condition((await readStatus())?.sweep ?? null)),
    render: async () => {
      const [status, money] = await Promise.all([readStatus(), readMoney()]);
      return metrics.render(record.condition(status?.sweep ?? null), status, money);
    },
  };
}
