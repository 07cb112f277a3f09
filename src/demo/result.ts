import type { Discrepancy, WalletBalance } from "../generated/index.ts";
import type { NanoDollars } from "../trace/index.ts";
import type { Journal } from "./journal.ts";
import type { Tally } from "./tally.ts";

/** What happened, in counts and nano-dollars; of one customer or of all. */
export interface Outcome {
  readonly calls: number;
  readonly granted: number;
  readonly refused: number;
  /** Of the refused: open reservations alone stood in the way. */
  readonly refusedHeld: number;
  readonly settled: number;
  readonly cancelled: number;
  readonly sentTwice: number;
  readonly duplicatesAbsorbed: number;
  readonly duplicatesRefused: number;
  readonly lostAnswers: number;
  readonly lostByCut: number;
  /** Of the lost answers: the command had been carried out, and the retry did nothing. */
  readonly lostButDone: number;
  readonly expired: number;
  /**
   * Of the expired: swept by the expiry job, the others by the next command in the wallet; null
   * where the journal cannot tell.
   */
  readonly expiredByJob: number | null;
  readonly over: number;
  readonly late: number;
  readonly credited: NanoDollars;
  readonly spent: NanoDollars;
  readonly overage: NanoDollars;
  readonly reserved: NanoDollars;
  readonly available: NanoDollars;
  readonly events: bigint;
}

/** The outcome of one customer. */
export interface CustomerOutcome extends Outcome {
  readonly walletId: string;
  readonly name: string;
}

/** The result of a run. */
export interface DemoResult {
  /** Whether the ledger is sound: nothing in `discrepancies`, and nothing in `problems`. */
  readonly sound: boolean;
  readonly seed: number;
  /** The file, or null when the trace was generated. */
  readonly trace: string | null;
  readonly agents: number;
  /** From the first command to the last, the wait for the last deadline included. */
  readonly seconds: number;
  readonly customers: readonly CustomerOutcome[];
  readonly total: Outcome;
  /** What `verify` found. */
  readonly discrepancies: readonly Discrepancy[];
  /** What the check in TypeScript found. */
  readonly problems: readonly string[];
}

/** Takes each number from whoever can know it: the ledger where it has it, else the sender. */
export function outcomeOf(
  { walletId, name, ...tally }: Tally,
  balance: Pick<WalletBalance, "available" | "reserved" | "spent">,
  journal: Journal,
): CustomerOutcome {
  return {
    walletId,
    name,
    calls: tally.calls,
    granted: journal.granted,
    refused: tally.refused,
    refusedHeld: tally.refusedHeld,
    settled: journal.settled,
    cancelled: journal.cancelled,
    sentTwice: tally.sentTwice,
    duplicatesAbsorbed: tally.duplicatesAbsorbed,
    duplicatesRefused: tally.duplicatesRefused,
    lostAnswers: tally.lostAnswers,
    lostByCut: tally.lostByCut,
    lostButDone: tally.lostButDone,
    expired: journal.expired,
    expiredByJob: journal.expiredByJob,
    over: journal.over,
    late: journal.late,
    credited: journal.credited,
    spent: balance.spent,
    overage: journal.overage,
    reserved: balance.reserved,
    available: balance.available,
    events: journal.events,
  };
}

/** The sum of all customers. */
export function totalOf(customers: readonly Outcome[]): Outcome {
  const count = (of: (outcome: Outcome) => number): number =>
    customers.reduce((sum, customer) => sum + of(customer), 0);
  const amount = (of: (outcome: Outcome) => bigint): bigint =>
    customers.reduce((sum, customer) => sum + of(customer), 0n);
  return {
    calls: count((c) => c.calls),
    granted: count((c) => c.granted),
    refused: count((c) => c.refused),
    refusedHeld: count((c) => c.refusedHeld),
    settled: count((c) => c.settled),
    cancelled: count((c) => c.cancelled),
    sentTwice: count((c) => c.sentTwice),
    duplicatesAbsorbed: count((c) => c.duplicatesAbsorbed),
    duplicatesRefused: count((c) => c.duplicatesRefused),
    lostAnswers: count((c) => c.lostAnswers),
    lostByCut: count((c) => c.lostByCut),
    lostButDone: count((c) => c.lostButDone),
    expired: count((c) => c.expired),
    expiredByJob: customers.some((c) => c.expiredByJob === null)
      ? null
      : count((c) => c.expiredByJob ?? 0),
    over: count((c) => c.over),
    late: count((c) => c.late),
    credited: amount((c) => c.credited),
    spent: amount((c) => c.spent),
    overage: amount((c) => c.overage),
    reserved: amount((c) => c.reserved),
    available: amount((c) => c.available),
    events: amount((c) => c.events),
  };
}
