/** A rule of the ledger, and the mistakes that break it. */
export interface Rule {
  readonly rule: string;
  /** Tests for those of its mutants that name none: see {@link Mutant.tests}. */
  readonly tests?: readonly string[];
  readonly mutants: readonly Mistake[];
}

/** A mistake in the SQL, which a test must notice. */
export type Mutant = Mistake & { readonly rule: string };

/** A mistake that {@link Rule} puts below its rule. */
export type Mistake = {
  /** What goes wrong, in a few words; also its name. */
  readonly about: string;
  /** The function, view or table with the mistake: its file has this name, in whichever room. */
  readonly of: string;
  /** Where `search` begins to look: text that is in the file once. */
  readonly after?: string;
  /**
   * The text to change, as short as it can be: it is in the file once, or the first behind `after`.
   * Any white space matches any other.
   */
  readonly search: string;
  /** The tests that should notice, which run first: pgTAP files by name, or files of vitest. */
  readonly tests?: readonly string[];
} & (
  | { /** The text instead. */ readonly replace: string }
  /** Where the file cannot be run again, as it makes a table: what makes the mistake in a database. */
  | { readonly sql: string }
);
