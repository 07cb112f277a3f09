// Follows in the model what the database has played: see proof.play and proof.explore.
import type { Json } from "../../../src/wire/json.ts";
import type { Ledger } from "../ledger.ts";
import type { Time } from "../requests.ts";
import { compareJournals, compareStep, type Difference, type Step, type Told } from "./compare.ts";
import type { Batch } from "./generator.ts";

/** After the start, every sequence that takes one step of each level. */
export interface Tree {
  readonly start: readonly Step[];
  readonly levels: readonly (readonly Step[])[];
}

/** What came of a tree. */
export interface Explored {
  readonly sequences: number;
  readonly steps: number;
  readonly difference?: Difference;
}

/** What the database has told, in order. */
type Tape = Iterator<Json>;

/** Where the model stands: what was done, and what that has left. */
interface Stand {
  readonly ledger: Ledger;
  readonly done: readonly Step[];
}

/** Finds the first difference in a batch. */
export function compareBatch({ start, sequences }: Batch, tape: Tape): Difference | undefined {
  const replay = createReplay(tape);
  const started = replay.follow({ ledger: new Map(), done: [] }, start);
  if ("what" in started) return started;
  for (const sequence of sequences) {
    const stand = replay.follow(started, sequence);
    const difference = "what" in stand ? stand : replay.end(stand);
    if (difference) return difference;
  }
  return undefined;
}

/** Finds the first difference in a tree. */
export function compareTree({ start, levels }: Tree, tape: Tape): Explored {
  const replay = createReplay(tape);
  const started = replay.follow({ ledger: new Map(), done: [] }, start);
  if ("what" in started) return { sequences: 0, steps: 0, difference: started };
  let sequences = 0;
  let steps = 0;
  const branch = (stand: Stand, [level, ...rest]: Tree["levels"]): Difference | undefined => {
    if (!level) {
      sequences += 1;
      return replay.end(stand);
    }
    for (const step of level) {
      steps += 1;
      const next = replay.follow(stand, [step]);
      const difference = "what" in next ? next : branch(next, rest);
      if (difference) return difference;
    }
    return undefined;
  };
  const difference = branch(started, levels);
  return { sequences, steps, ...(difference && { difference }) };
}

function createReplay(tape: Tape) {
  const next = () => tape.next().value as unknown;
  const { statement } = next() as { readonly statement: Time };
  return {
    /** Does the steps in a copy of the model. */
    follow(stand: Stand, steps: readonly Step[]): Stand | Difference {
      const ledger = new Map(stand.ledger);
      const done = [...stand.done];
      for (const step of steps) {
        done.push(step);
        const found = compareStep(ledger, step, next() as Told, statement);
        if (found) return { steps: done, ...found };
      }
      return { ledger, done };
    },
    /** Compares the journals after a sequence. */
    end({ ledger, done }: Stand): Difference | undefined {
      const found = compareJournals(ledger, next() as { journals: Json; verify: Json });
      return found && { steps: done, ...found };
    },
  };
}
