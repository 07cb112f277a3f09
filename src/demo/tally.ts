import type { NanoDollars } from "../trace/index.ts";

/**
 * What the demo itself knows of one customer, from the commands it sent and the answers it got.
 *
 * Plain sums in memory, which know nothing of the ledger's rules: the ledger is checked against
 * them at the end.
 */
export interface Tally {
  readonly walletId: string;
  readonly name: string;
  calls: number;
  granted: number;
  refused: number;
  /** Of the refused: those that open reservations alone stood in the way of. */
  refusedHeld: number;
  settled: number;
  cancelled: number;
  /** Agents that died between reserve and settle: each leaves a reservation to expire. */
  died: number;
  over: number;
  late: number;
  /** Commands that were sent on two connections at the same time. */
  sentTwice: number;
  /** Of those: both were answered, by the same receipt. */
  duplicatesAbsorbed: number;
  /** Of those: both were refused. */
  duplicatesRefused: number;
  lostAnswers: number;
  /** Of those: the connection was cut, so that nobody knew whether the command had arrived. */
  lostByCut: number;
  /** Of those: the retry found that it had been carried out, and did nothing. */
  lostButDone: number;
  credited: NanoDollars;
  spent: NanoDollars;
  /** What was spent beyond a reservation: the excess of the over, and all of the late. */
  overage: NanoDollars;
  /** What should not have happened at all, in words. */
  readonly surprises: string[];
}

/** A tally with nothing in it yet. */
export function emptyTally(walletId: string, name: string): Tally {
  return {
    walletId,
    name,
    calls: 0,
    granted: 0,
    refused: 0,
    refusedHeld: 0,
    settled: 0,
    cancelled: 0,
    died: 0,
    over: 0,
    late: 0,
    sentTwice: 0,
    duplicatesAbsorbed: 0,
    duplicatesRefused: 0,
    lostAnswers: 0,
    lostByCut: 0,
    lostButDone: 0,
    credited: 0n,
    spent: 0n,
    overage: 0n,
    surprises: [],
  };
}

/** Events that the journal must have of this customer once everything has ended. */
export function expectedEvents(tally: Tally): bigint {
  const openedAndCredited = 2;
  // Who settles late has seen the reservation expire first.
  const expired = tally.died + tally.late;
  return BigInt(openedAndCredited + tally.granted + tally.settled + tally.cancelled + expired);
}
