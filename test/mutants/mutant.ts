/** A mistake in the SQL that a test has to notice. */
export interface Mutant {
  /** What goes wrong, in a few words; also its name. */
  readonly about: string;
  /** The function, view or table that has it; its file is found by this name. */
  readonly of: string;
  /** Text that is in the file exactly once. */
  readonly search: string;
  /** What stands there instead. */
  readonly replace: string;
  /**
   * Where the file is not one to run again (a migration makes tables): what makes the difference
   * in a database that has it already.
   */
  readonly sql?: string;
  /** The tests that should notice, to be run first: pgTAP files by name, or files of vitest. */
  readonly tests?: readonly string[];
}
