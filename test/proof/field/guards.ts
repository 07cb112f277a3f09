// Guarded calls: how each has ended, and what the journal must have of it.

import type { Ledger } from "../../../src/client/ledger.ts";
import { LedgerError, NotSettledError } from "../../../src/errors/index.ts";
import type { Random } from "../../../src/trace/index.ts";
import { type Moment, now, type Sent } from "../faults/history.ts";
import type { Entry } from "../faults/journal.ts";
import { format } from "../faults/replay.ts";
import type { Completion } from "../faults/wave.ts";
import type { Group, Measure } from "./measure.ts";

/** How a guarded call has ended for its caller; undefined if the caller cannot know. */
type End = { readonly spent: bigint } | "thrown" | "refused" | undefined;

interface Guarded {
  readonly wallet_id: string;
  readonly reservation_id: string;
  readonly amount: number;
  readonly ttl: number;
  readonly sent: Moment;
  end: End;
}

export interface Guards {
  /** Guards one call that takes a while. */
  run(ledger: Ledger, options: GuardOptions): Promise<void>;
  /** Derives from the journal what the client has sent for them, and what is wrong. */
  complete(entries: readonly Entry[]): Completion;
  readonly count: number;
}

export interface GuardOptions {
  readonly wallet: string;
  readonly random: Random;
  readonly group: Group;
  /** Resolves when the call is over. */
  readonly lasts: () => Promise<unknown>;
  /** Seconds. */
  readonly ttl: number;
  /** The caller's name in the report. */
  readonly by: string;
}

/** The share of calls that throw. */
const THROWN = 0.15;

/** `mayExpire`: whether reservations of a wallet may expire because the clock jumps ahead. */
export function createGuards(
  name: string,
  measure: Measure,
  mayExpire: (wallet: string) => boolean,
): Guards {
  const all: Guarded[] = [];

  async function run(ledger: Ledger, options: GuardOptions): Promise<void> {
    const { wallet, random, group, lasts, ttl, by } = options;
    const amount = random.integer(1, 60);
    const spent = BigInt(random.integer(1, amount));
    const isThrown = random.chance(THROWN);
    const reservationId = `${name}-guard${all.length}`;
    const guarded: Guarded = {
      ...{ wallet_id: wallet, reservation_id: reservationId, amount, ttl, sent: now() },
      end: undefined,
    };
    all.push(guarded);
    let answered = measure.wait(group, `${by} guards: reserve`);
    const thrown = new Error("thrown on purpose");
    const request = { walletId: wallet, amount: BigInt(amount), ttl, reservationId };
    try {
      await ledger.guard({ ...request, idempotencyKey: reservationId }, async (reservation) => {
        answered();
        await lasts();
        const { aborted, reason } = reservation.signal;
        if (aborted) measure.find(`${by} has lost its hold on ${wallet}: ${reason}`);
        answered = measure.wait(group, `${by} guards: ${isThrown ? "cancel" : "settle"}`);
        if (isThrown) throw thrown;
        reservation.spend(spent);
      });
      guarded.end = { spent };
    } catch (error) {
      if (error === thrown) guarded.end = "thrown";
      else if (error instanceof LedgerError) guarded.end = "refused";
      else if (!isLate(error)) measure.error(`${by} guards`, error);
    }
    answered();
  }

  /** Whether a settlement came after a deadline that the clock has passed by jumping ahead. */
  function isLate(error: unknown): boolean {
    const { cause } = error as Error;
    return (
      error instanceof NotSettledError && cause instanceof LedgerError && mayExpire(error.walletId)
    );
  }

  return {
    run,
    get count() {
      return all.length;
    },
    complete(entries) {
      const of = Map.groupBy(entries, ({ reservation_id }) => reservation_id);
      const both = all.map((each) => ({ each, found: of.get(each.reservation_id) ?? [] }));
      return {
        sent: both.flatMap(({ each, found }) => found.flatMap((entry) => sentOf(each, entry))),
        wrong: both.flatMap(({ each, found }) => check(each, found, mayExpire(each.wallet_id))),
      };
    },
  };
}

/** Checks what the journal has of a guarded call. */
function check(guarded: Guarded, found: readonly Entry[], mayExpire: boolean): string[] {
  const { end } = guarded;
  const count = (event: string) => found.filter((entry) => entry.event === event).length;
  const booked = found.filter(({ event }) => event === "settled").map(({ amount }) => amount);
  const wrong = (what: string) => [`${what}: ${format(guarded)}; the journal has ${format(found)}`];
  if (end === "refused" && found.length > 0) return wrong("a guard was refused, and is there");
  if (count("reserved") > 1 || booked.length > 1) return wrong("a guard is there twice");
  if (end === undefined || end === "refused") return [];
  if (count("expired") > 0 && !mayExpire) return wrong("a guard expired while it ran");
  if (count("reserved") === 0) return wrong("a guard was lost");
  if (end === "thrown") return booked.length > 0 ? wrong("a guard spent nothing") : [];
  return booked[0] === end.spent ? [] : wrong("a guard spent something else");
}

/** The call that the client must have sent for an event. */
function sentOf({ wallet_id, reservation_id, amount, ttl, sent }: Guarded, entry: Entry): Sent[] {
  const { event, idempotency_key, metadata } = entry;
  const common = { wallet_id, reservation_id, idempotency_key, metadata };
  const calls: Readonly<Record<string, Sent["args"]>> = {
    reserve: { ...common, amount: BigInt(amount), ttl: BigInt(ttl) },
    settle: { ...common, amount: entry.amount },
    cancel: common,
    extend: { ...common, ttl: BigInt(ttl) },
  };
  const call = CALL_OF[event] ?? "";
  const args = calls[call];
  return args ? [{ call, args, via: "client", sent }] : [];
}

const CALL_OF: Readonly<Record<string, string>> = {
  reserved: "reserve",
  settled: "settle",
  cancelled: "cancel",
  extended: "extend",
};
