import type { StatementLine } from "../generated/index.ts";
import type { NanoDollars } from "../trace/index.ts";

/** The events of one wallet, counted, and its balances worked out from them alone. */
export interface Journal {
  readonly events: bigint;
  readonly granted: number;
  readonly settled: number;
  readonly cancelled: number;
  readonly expired: number;
  /**
   * Of the expired: those that the expiry job swept, and not the next command in the wallet; null
   * where the two connect as one login.
   */
  readonly expiredByJob: number | null;
  readonly over: number;
  readonly late: number;
  readonly credited: NanoDollars;
  readonly available: NanoDollars;
  readonly reserved: NanoDollars;
  readonly spent: NanoDollars;
  readonly overage: NanoDollars;
  /** What does not hold, in words. */
  readonly flaws: readonly string[];
}

type Count = "granted" | "settled" | "cancelled" | "expired" | "expiredByJob" | "over" | "late";
type Sum = "credited" | "available" | "reserved" | "spent" | "overage";
type Fold = Record<Count, number> & Record<Sum, NanoDollars>;

/**
 * Reads a wallet's journal the way an outsider would: from nothing, event by event, with
 * arithmetic of its own. Each event's balances must come out as they are written there.
 */
export function readJournal(
  lines: readonly StatementLine[],
  expiryJob: string | undefined,
): Journal {
  const fold = emptyFold();
  const held = new Map<string, NanoDollars>();
  const flaws: string[] = [];
  for (const [index, line] of lines.entries()) {
    apply(fold, held, line, expiryJob);
    // What follows the first flaw differs only because of it.
    if (flaws.length === 0) {
      flaws.push(...flawsOf(fold, line, BigInt(index + 1)));
    }
  }
  const open = [...held.values()].reduce((sum, hold) => sum + hold, 0n);
  if (open !== fold.reserved) {
    flaws.push(`open reservations hold ${open}, but ${fold.reserved} is reserved`);
  }
  const expiredByJob = expiryJob === undefined ? null : fold.expiredByJob;
  return { events: BigInt(lines.length), ...fold, expiredByJob, flaws };
}

function emptyFold(): Fold {
  return {
    granted: 0,
    settled: 0,
    cancelled: 0,
    expired: 0,
    expiredByJob: 0,
    over: 0,
    late: 0,
    credited: 0n,
    available: 0n,
    reserved: 0n,
    spent: 0n,
    overage: 0n,
  };
}

function apply(
  fold: Fold,
  held: Map<string, NanoDollars>,
  line: StatementLine,
  expiryJob: string | undefined,
): void {
  const amount = line.amount ?? 0n;
  const reservation = line.reservationId ?? "";
  switch (line.event) {
    case "credited":
      fold.credited += amount;
      fold.available += amount;
      return;
    case "reserved":
      fold.granted += 1;
      held.set(reservation, amount);
      fold.available -= amount;
      fold.reserved += amount;
      return;
    case "settled":
      settle(fold, release(fold, held, reservation), amount);
      return;
    case "cancelled":
      fold.cancelled += 1;
      release(fold, held, reservation);
      return;
    case "expired":
      fold.expired += 1;
      fold.expiredByJob += line.actor === expiryJob ? 1 : 0;
      release(fold, held, reservation);
  }
}

function release(
  fold: Fold,
  held: Map<string, NanoDollars>,
  reservation: string,
): NanoDollars | undefined {
  const hold = held.get(reservation);
  held.delete(reservation);
  fold.reserved -= hold ?? 0n;
  fold.available += hold ?? 0n;
  return hold;
}

function settle(fold: Fold, hold: NanoDollars | undefined, amount: NanoDollars): void {
  const excess = amount - (hold ?? 0n);
  fold.settled += 1;
  fold.available -= amount;
  fold.spent += amount;
  fold.overage += excess > 0n ? excess : 0n;
  // What held nothing any more had expired before.
  fold.late += hold === undefined ? 1 : 0;
  fold.over += hold !== undefined && excess > 0n ? 1 : 0;
}

function flawsOf(fold: Fold, line: StatementLine, seq: bigint): string[] {
  const flaws: string[] = [];
  if (line.seq !== seq) {
    flaws.push(`event ${line.seq} (${line.event}) stands where ${seq} belongs`);
  }
  for (const balance of ["available", "reserved", "spent"] as const) {
    if (line[balance] !== fold[balance]) {
      flaws.push(
        `event ${seq} (${line.event}): ${balance} is ${line[balance]}, ` +
          `replay gives ${fold[balance]}`,
      );
    }
  }
  if (line.event === "reserved" && fold.available < 0n) {
    flaws.push(`event ${seq} (reserved): granted beyond the funds, ${fold.available} left`);
  }
  return flaws;
}
