import type { WalletBalance } from "../generated/index.ts";
import type { Journal } from "./journal.ts";
import { expectedEvents, type Tally } from "./tally.ts";

/**
 * Holds what the ledger says of a customer against what the demo knows it did; returns what is
 * off, in words, and nothing if all is well.
 */
export function checkCustomer(
  tally: Tally,
  balance: Pick<WalletBalance, "available" | "reserved" | "spent">,
  journal: Journal,
): string[] {
  return [
    ...tally.surprises,
    ...checkBalances(tally, balance),
    ...checkCounts(tally, journal),
    ...journal.flaws,
  ].map((problem) => `${tally.name}: ${problem}`);
}

function checkBalances(
  tally: Tally,
  balance: Pick<WalletBalance, "available" | "reserved" | "spent">,
): string[] {
  const problems = [
    ...differs("spent", tally.spent, balance.spent),
    ...differs("available", tally.credited - tally.spent, balance.available),
    ...differs("still reserved", 0n, balance.reserved),
  ];
  if (balance.spent > tally.credited + tally.overage) {
    const beyond = balance.spent - tally.credited;
    problems.push(`spent ${beyond} more than it had, of which ${tally.overage} is booked overage`);
  }
  return problems;
}

function checkCounts(tally: Tally, journal: Journal): string[] {
  return [
    ...differs("events", expectedEvents(tally), journal.events),
    ...differs("granted", tally.granted, journal.granted),
    ...differs("settled", tally.settled, journal.settled),
    ...differs("cancelled", tally.cancelled, journal.cancelled),
    ...differs("expired", tally.died + tally.late, journal.expired),
    ...differs("over", tally.over, journal.over),
    ...differs("late", tally.late, journal.late),
    ...differs("credited", tally.credited, journal.credited),
    ...differs("overage", tally.overage, journal.overage),
  ];
}

function differs<T extends bigint | number>(what: string, sent: T, found: T): string[] {
  return sent === found ? [] : [`${what}: the demo knows of ${sent}, the ledger says ${found}`];
}
