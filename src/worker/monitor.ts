import { createHealthRecord, type Health, judge, type Trouble } from "./health.ts";
import { messageOf } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import { createQuestion, type Sources } from "./question.ts";
import type { Swept } from "./sweep.ts";

/** Watches a worker for those who look after it. */
export interface Monitor {
  readonly contentType: string;
  /** For `onSweep` of the worker. */
  noteSweep(swept: Swept): void;
  /** For `onTrouble` of the worker. */
  noteTrouble(trouble: Trouble): void;
  /** Whether it has started, and was not asked to end. */
  noteRunning(running: boolean): void;
  /** For `/health/ready`. */
  health(): Promise<Health>;
  /** The metrics. */
  render(): Promise<string>;
}

/** Makes the monitor of one worker. */
export function createMonitor(sources: Sources): Monitor {
  const record = createHealthRecord();
  const metrics = createMetrics();
  const ask = createQuestion(sources, (error) =>
    record.noteTrouble({ at: new Date(), reason: messageOf(error) }),
  );
  return {
    contentType: metrics.contentType,
    noteSweep: (swept) => {
      record.noteSweep(swept);
      metrics.noteSweep(swept);
    },
    noteTrouble: record.noteTrouble,
    noteRunning: record.noteRunning,
    health: async () => judge(record.condition((await ask())?.status ?? null)),
    render: async () => {
      const answer = await ask();
      return metrics.render(record.condition(answer?.status ?? null), answer);
    },
  };
}
