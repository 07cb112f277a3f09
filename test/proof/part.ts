import type { TestDatabase } from "../support/template.ts";

/** The limits of a part, and what it runs with. */
export interface Budget {
  /** Creates a migrated database on the server of the run. */
  readonly createDatabase: () => Promise<TestDatabase>;
  /** Determines the run: the same seed does the same again. */
  readonly seed: number;
  /** How many of whatever the part counts; fewer when the time is up. */
  readonly runs: number;
  /** When to stop, by `performance.now()`. Read it each time: Ctrl-C makes it earlier. */
  readonly until: number;
  /** Prints a line for the person who watches. */
  readonly log: (line: string) => void;
  /** Saves a failure that is still being examined, in case the run ends before that is done. */
  readonly keep?: (failure: string) => void;
}

/** Texts that may explain a failure and are too long for a terminal, by their names. */
export type Evidence = Readonly<Record<string, string>>;

/** The result of a part. */
export interface Outcome {
  /** What was done, and how often, e.g. `{ sequences: 1000, steps: 12_345 }`. */
  readonly ran: Readonly<Record<string, number>>;
  /** What was found, for a person, and how to repeat it; absent if nothing was. */
  readonly failure?: string;
  readonly evidence?: Evidence;
}

/** An error in a part, with evidence. */
export class EvidentError extends Error {
  readonly evidence: Evidence;

  constructor(cause: unknown, evidence: Evidence) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.evidence = evidence;
  }
}

/** A part of the proof: one way to look for mistakes. */
export interface Part {
  readonly name: string;
  /** One line on what it does. */
  readonly about: string;
  run(budget: Budget): Promise<Outcome>;
}
