/** What the programs of BaseLedger exit with. */
export const EXIT = {
  fine: 0,
  /** The ledger or the server refused it, and nothing was done; or the ledger is not sound. */
  refused: 1,
  /** Called in a wrong way. */
  usage: 2,
  /** The database cannot be reached. */
  unreachable: 3,
  /** The check came to no verdict, or nobody knows whether the command was executed. */
  unchecked: 4,
  /** Ctrl-C, as shells report it. */
  interrupted: 130,
} as const;

/** An exit code of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Exits at Ctrl-C after `cleanUp`, until the result is called. */
export function exitOnInterrupt(cleanUp: () => void): () => void {
  const interrupt = (): void => {
    cleanUp();
    process.exit(EXIT.interrupted);
  };
  process.once("SIGINT", interrupt);
  return () => process.off("SIGINT", interrupt);
}
