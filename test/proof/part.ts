import type { TestDatabase } from "../support/template.ts";

/** What a part of the proof may use. */
export interface Budget {
  /** Makes a migrated database on the server of the run. */
  readonly createDatabase: () => Promise<TestDatabase>;
  /** The whole run is made from it: the same seed does the same again. */
  readonly seed: number;
  /** As many of whatever the part counts; it ends earlier when the time is up. */
  readonly runs: number;
  /**
   * When to stop, by `performance.now()`. Read it anew each time: it comes earlier, once the person
   * who watches asks for it.
   */
  readonly until: number;
  /** A line for the person who watches. */
  readonly log: (line: string) => void;
  /** Keeps a failure that is still looked into, should the run end before that is done. */
  readonly keep?: (failure: string) => void;
}

/** Texts that may explain a failure, by their names: too long for a terminal. */
export type Evidence = Readonly<Record<string, string>>;

/** What came of a part. */
export interface Outcome {
  /** How often what was done, e.g. `{ sequences: 1000, steps: 12_345 }`. */
  readonly ran: Readonly<Record<string, number>>;
  /** What was found, told for a person, with what repeats it; absent if nothing was. */
  readonly failure?: string;
  readonly evidence?: Evidence;
}

/** An error of a part, with what may explain it. */
export class EvidentError extends Error {
  readonly evidence: Evidence;

  constructor(cause: unknown, evidence: Evidence) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.evidence = evidence;
  }
}

/** A part of the proof: a way of looking for what does not hold. */
export interface Part {
  readonly name: string;
  /** One line on what it does. */
  readonly about: string;
  run(budget: Budget): Promise<Outcome>;
}
