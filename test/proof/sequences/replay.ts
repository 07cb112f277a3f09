// Executes in the model what the database has played: see proof.play and proof.explore.
import type { Json } from "../../../src/json/index.ts";
import { createLedger, type Ledger } from "../ledger.ts";
import {
  type Constants,
  compareJournals,
  compareStep,
  type Difference,
  type Journals,
  type Step,
  type StepResult,
} from "./compare.ts";
import type { Batch } from "./generator.ts";

/** After the start, every sequence that takes one step of each level. */
export interface Tree {
  readonly start: readonly Step[];
  readonly levels: readonly (readonly Step[])[];
}

/** The result of a tree. */
export interface Explored {
  readonly sequences: number;
  readonly steps: number;
  readonly difference?: Difference;
}

/** What the database returned, in order. */
export type Results = Iterator<Json>;

/** The state of the model, and the steps that led to it. */
export interface State {
  readonly ledger: Ledger;
  readonly done: readonly Step[];
  /** What the database returned for each of them. */
  readonly results: readonly StepResult[];
}

/** Before any step. */
export const NOTHING: State = { ledger: createLedger(), done: [], results: [] };

/** Finds the first difference in a batch. */
export function compareBatch(
  { start, sequences }: Batch,
  results: Results,
): Difference | undefined {
  const replay = createReplay(results);
  const started = replay.execute(NOTHING, start);
  if ("what" in started) return started;
  for (const sequence of sequences) {
    const state = replay.execute(started, sequence);
    const difference = "what" in state ? state : replay.end(state);
    if (difference) return difference;
  }
  return undefined;
}

/** Finds the first difference in a tree. */
export function compareTree({ start, levels }: Tree, results: Results): Explored {
  const replay = createReplay(results);
  const started = replay.execute(NOTHING, start);
  if ("what" in started) return { sequences: 0, steps: 0, difference: started };
  let sequences = 0;
  let steps = 0;
  const branch = (state: State, [level, ...rest]: Tree["levels"]): Difference | undefined => {
    if (!level) {
      sequences += 1;
      return replay.end(state);
    }
    for (const step of level) {
      steps += 1;
      const next = replay.execute(state, [step]);
      const difference = "what" in next ? next : branch(next, rest);
      if (difference) return difference;
    }
    return undefined;
  };
  const difference = branch(started, levels);
  return { sequences, steps, ...(difference && { difference }) };
}

/** Executes in the model what the database returns the results of. */
export function createReplay(results: Results) {
  const next = () => results.next().value as unknown;
  const constants = next() as Constants;
  return {
    /** Executes steps in a copy of the model. */
    execute(state: State, steps: readonly Step[]): State | Difference {
      const ledger = createLedger(state.ledger);
      const done = [...state.done];
      const returned = [...state.results];
      for (const step of steps) {
        const result = next() as StepResult;
        done.push(step);
        returned.push(result);
        const found = compareStep(ledger, step, result, constants);
        if (found) return { steps: done, ...found };
      }
      return { ledger, done, results: returned };
    },
    /** Compares the journals after a sequence. */
    end({ ledger, done }: State): Difference | undefined {
      const found = compareJournals(ledger, next() as Journals);
      return found && { steps: done, ...found };
    },
  };
}
