import { formatNumber } from "../terminal/index.ts";
import { formatDollars } from "../trace/index.ts";
import type { CustomerLimits } from "./limits.ts";

/** How one number of a run is shown, summed and checked. */
interface Counter<T> {
  /** Of its row in the table, indented if it is a part of the one above; undefined: not shown. */
  readonly label: string | undefined;
  readonly zero: T;
  readonly add: (one: T, other: T) => T;
  readonly format: (value: T) => string;
  /** Whether the ledger has it: then the agents' own number is only compared with that. */
  readonly booked?: true;
}

/** All numbers of a run, in the order of the table at its end. */
const ALL = {
  calls: count("calls"),
  granted: booked(count("  granted")),
  refused: count("  refused"),
  refusedByLimit: count("    by a limit"),
  /** Of the refused: only open reservations stood in the way, of funds or of a limit. */
  refusedHeld: count(),
  /** Commands that were sent on two connections at the same time. */
  sentTwice: count("sent twice at once"),
  /** Of those: both got an answer, the same receipt. */
  duplicatesAbsorbed: count("  duplicates absorbed"),
  duplicatesRefused: count("  refused both times"),
  lostAnswers: count("lost answers, retried"),
  /** Of those: the connection was cut, so that nobody knew whether the command had arrived. */
  lostByCut: count(),
  /** Of those: the command had been executed, and the retry did nothing. */
  lostButDone: count("  found done already"),
  settled: booked(count()),
  cancelled: booked(count("cancelled")),
  /** Each agent that dies between reserve and settle, or settles late, leaves one. */
  expired: booked(count("expired and refunded")),
  /**
   * Of those: swept by the expiry job, and not by the next command in the wallet; null where the
   * two connect as one login.
   */
  expiredByJob: booked(countOrNull("  by the expiry job")),
  /** Settlements in time with an overage. */
  over: booked(count("settled with overage")),
  late: booked(count("settled late")),
  credited: booked(dollars("credit")),
  spent: booked(dollars("spent")),
  /** Settled above the holds; a late settlement has no hold any more, so all of it counts. */
  overage: booked(dollars("  overage")),
  reserved: booked(dollars("still reserved")),
  available: booked(dollars("available")),
  events: booked({ ...dollars(), format: formatNumber }),
};

/** The numbers of a run, of one customer or of all. */
export type Counters = { [N in keyof typeof ALL]: (typeof ALL)[N]["zero"] };
type Name = keyof Counters;

const COUNTERS: { readonly [N in Name]: Counter<Counters[N]> } = ALL;
const NAMES = Object.keys(ALL) as Name[];

/** The sum of the numbers of some customers; of none, all are zero. */
export function sumCounters(all: readonly Readonly<Counters>[]): Counters {
  return Object.fromEntries(NAMES.map((name) => [name, sumOf(name, all)])) as Counters;
}

function sumOf<N extends Name>(name: N, all: readonly Readonly<Counters>[]): Counters[N] {
  const { zero, add } = COUNTERS[name];
  return all.reduce((sum, counters) => add(sum, counters[name]), zero);
}

/** Takes each number from the ledger if it has it, else from the agents. */
export function mergeCounters(sent: Counters, found: Counters): Counters {
  const merged = NAMES.map((name) => [name, (COUNTERS[name].booked ? found : sent)[name]]);
  return Object.fromEntries(merged) as Counters;
}

/** The numbers of the ledger that are not what was expected. */
export function differingCounters(expected: Counters, found: Counters): Name[] {
  return NAMES.filter((name) => COUNTERS[name].booked && expected[name] !== found[name]);
}

/** The label of a counter in a table. */
export function labelOf(name: Name): string {
  return COUNTERS[name].label ?? name;
}

/** Formats a counter for the table; empty if its number is not known. */
export function formatCounter<N extends Name>(name: N, counters: Readonly<Counters>): string {
  return COUNTERS[name].format(counters[name]);
}

/** The counters that the table at the end shows. */
export const SHOWN = NAMES.filter((name) => COUNTERS[name].label !== undefined);

function count(label?: string): Counter<number> {
  return { label, zero: 0, add: (one, other) => one + other, format: formatNumber };
}

function countOrNull(label: string): Counter<number | null> {
  return {
    label,
    zero: 0,
    add: (one, other) => (one === null || other === null ? null : one + other),
    format: (value) => (value === null ? "" : formatNumber(value)),
  };
}

function dollars(label?: string): Counter<bigint> {
  return {
    label,
    zero: 0n,
    add: (one, other) => one + other,
    format: (nano) => formatDollars(nano),
  };
}

function booked<T>(counter: Counter<T>): Counter<T> {
  return { ...counter, booked: true };
}

/** One customer, as the agents know it: sums in memory, without the ledger's rules. */
export interface Customer {
  readonly walletId: string;
  readonly name: string;
  readonly limits: CustomerLimits;
  /** From the commands sent and the answers they got; what only the ledger knows is zero. */
  readonly sent: Counters;
  /** What should never have happened, in words. */
  readonly surprises: string[];
}

/** A customer for whom nothing has been sent yet. */
export function createCustomer(walletId: string, name: string, limits: CustomerLimits): Customer {
  return { walletId, name, limits, sent: sumCounters([]), surprises: [] };
}
