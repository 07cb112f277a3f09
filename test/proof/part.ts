import type { TestDatabase } from "../support/template.ts";

/** What a part of the proof may use. */
export interface Budget {
  /** Makes a migrated database on the server of the run. */
  readonly createDatabase: () => Promise<TestDatabase>;
  /** The whole run is made from it: the same seed does the same again. */
  readonly seed: number;
  /** As many of whatever the part counts; it ends earlier when the time is up. */
  readonly runs: number;
  /** When to stop, by `performance.now()`; earlier, once the person who watches asks for it. */
  readonly until: number;
  /** A line for the person who watches. */
  readonly log: (line: string) => void;
}

/** What came of a part. */
export interface Outcome {
  /** How often what was done, e.g. `{ sequences: 1000, steps: 12_345 }`. */
  readonly ran: Readonly<Record<string, number>>;
  /** What was found, told for a person, with what repeats it; absent if nothing was. */
  readonly failure?: string;
}

/** A part of the proof: a way of looking for what does not hold. */
export interface Part {
  readonly name: string;
  /** One line on what it does. */
  readonly about: string;
  run(budget: Budget): Promise<Outcome>;
}
