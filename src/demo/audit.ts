import type { EventType, LimitUse, StatementLine, WalletBalance } from "../generated/index.ts";
import { addMoves, movesOf, NO_MONEY } from "../trace/index.ts";
import { auditLimits } from "./audit-limits.ts";
import {
  type Counters,
  type Customer,
  differingCounters,
  mergeCounters,
  sumCounters,
} from "./counters.ts";

/** The numbers of one customer. */
export interface CustomerResult extends Counters {
  readonly walletId: string;
  readonly name: string;
}

/** What the audit of a customer has found. */
export interface CustomerAudit {
  readonly result: CustomerResult;
  /** In words; empty if the ledger is sound. */
  readonly problems: readonly string[];
}

type Balance = Pick<WalletBalance, "available" | "reserved" | "spent">;

/** Compares the balance, the journal and the limits of a customer with what the agents know they sent. */
export function auditCustomer(
  { walletId, name, limits, sent, surprises }: Customer,
  { available, reserved, spent }: Balance,
  lines: readonly StatementLine[],
  uses: readonly LimitUse[],
  expiryJob: string | undefined,
): CustomerAudit {
  const { counted, flaws } = readJournal(lines, expiryJob);
  const found = { ...counted, available, reserved, spent };
  const problems = [
    ...surprises,
    ...compare({ limits, sent }, found),
    ...flaws,
    ...auditLimits(limits, lines, uses),
  ];
  return {
    result: { walletId, name, ...mergeCounters(sent, found) },
    problems: problems.map((problem) => `${name}: ${problem}`),
  };
}

/** Events that the journal must have of a customer once everything has ended. */
export function expectedEvents({ limits, sent }: Pick<Customer, "limits" | "sent">): bigint {
  const { granted, settled, cancelled, expired } = sent;
  const limitsSet = Object.values(limits).reduce((sum, { own }) => sum + (own ? 2 : 1), 0);
  const openedAndCredited = 2;
  return BigInt(openedAndCredited + limitsSet + granted + settled + cancelled + expired);
}

function compare(customer: Pick<Customer, "limits" | "sent">, found: Counters): string[] {
  const { sent } = customer;
  const expected: Counters = {
    ...sent,
    available: sent.credited - sent.spent,
    events: expectedEvents(customer),
    // The agents cannot know this one.
    expiredByJob: found.expiredByJob,
  };
  const problems = differingCounters(expected, found).map(
    (name) => `${name}: the demo knows of ${expected[name]}, the ledger says ${found[name]}`,
  );
  if (found.spent > sent.credited + sent.overage) {
    const overspent = found.spent - sent.credited;
    problems.push(
      `spent ${overspent} more than it had, of which ${sent.overage} is booked overage`,
    );
  }
  return problems;
}

/**
 * Replays a wallet's journal from nothing, and counts its events. Each event's balances must come
 * out as they are recorded there.
 */
function readJournal(
  lines: readonly StatementLine[],
  expiryJob: string | undefined,
): { readonly counted: Counters; readonly flaws: readonly string[] } {
  const counted = sumCounters([]);
  counted.events = BigInt(lines.length);
  if (expiryJob === undefined) counted.expiredByJob = null;
  let replayed = NO_MONEY;
  const holds = new Map<string, bigint>();
  const flaws: string[] = [];
  for (const [index, line] of lines.entries()) {
    const reservation = line.reservationId ?? "";
    const hold = holds.get(reservation);
    replayed = addMoves(replayed, movesOf(line, hold ?? 0n));
    countEvent(counted, line, hold, expiryJob);
    // The demo settles once and extends nothing: the next event of a reservation ends it.
    if (line.event === "reserved") holds.set(reservation, line.amount ?? 0n);
    else holds.delete(reservation);
    // What follows the first flaw differs only because of it.
    if (flaws.length > 0) continue;
    flaws.push(...flawsOf(line, BigInt(index + 1), replayed));
  }
  const held = [...holds.values()].reduce((sum, hold) => sum + hold, 0n);
  if (held !== replayed.reserved) {
    flaws.push(`open reservations hold ${held}, but ${replayed.reserved} is reserved`);
  }
  return { counted, flaws };
}

/** All events of the demo's commands, and what counts them. */
const EVENTS: Partial<Record<EventType, "granted" | "settled" | "cancelled" | "expired" | null>> = {
  opened: null,
  credited: null,
  limit_set: null,
  limit_set_for: null,
  reserved: "granted",
  settled: "settled",
  cancelled: "cancelled",
  expired: "expired",
};

function countEvent(
  counted: Counters,
  { event, amount, actor }: StatementLine,
  hold: bigint | undefined,
  expiryJob: string | undefined,
): void {
  const counter = EVENTS[event];
  if (counter) counted[counter] += 1;
  if (event === "credited") counted.credited += amount ?? 0n;
  if (event === "expired" && counted.expiredByJob !== null && actor === expiryJob) {
    counted.expiredByJob += 1;
  }
  if (event === "settled") {
    const overage = (amount ?? 0n) - (hold ?? 0n);
    counted.overage += overage > 0n ? overage : 0n;
    // The demo settles a reservation once: if it is not open by then, it had expired.
    if (hold === undefined) counted.late += 1;
    else if (overage > 0n) counted.over += 1;
  }
}

function flawsOf(line: StatementLine, seq: bigint, replayed: Balance): string[] {
  const flaws: string[] = [];
  if (!(line.event in EVENTS)) {
    flaws.push(`event ${line.seq} (${line.event}): nobody has sent that`);
  }
  if (line.seq !== seq) {
    flaws.push(`event ${line.seq} (${line.event}) stands where ${seq} belongs`);
  }
  for (const name of ["available", "reserved", "spent"] as const) {
    if (line[name] !== replayed[name]) {
      const difference = `${name} is ${line[name]}, replay gives ${replayed[name]}`;
      flaws.push(`event ${seq} (${line.event}): ${difference}`);
    }
  }
  if (line.event === "reserved" && replayed.available < 0n) {
    flaws.push(`event ${seq} (reserved): granted beyond the funds, ${replayed.available} left`);
  }
  return flaws;
}
