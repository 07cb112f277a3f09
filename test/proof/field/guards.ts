// Guarded calls: what became of each, and what the journal must have of it.

import type { Ledger } from "../../../src/client/ledger.ts";
import { NotSettledError } from "../../../src/errors/client.ts";
import { LedgerError } from "../../../src/errors/index.ts";
import type { Random } from "../../../src/trace/index.ts";
import { type Moment, now, type Sent } from "../faults/history.ts";
import type { Entry } from "../faults/journal.ts";
import { say } from "../faults/replay.ts";
import type { Completion } from "../faults/wave.ts";
import type { Group, Measure } from "./measure.ts";

/** How a guarded call has ended for its caller; undefined if that was told nothing certain. */
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
  /** Guards one call of something that takes a while. */
  run(ledger: Ledger, options: GuardOptions): Promise<void>;
  /** What the client has sent for them, by the journal, and what is wrong there. */
  complete(entries: readonly Entry[]): Completion;
  readonly count: number;
}

export interface GuardOptions {
  readonly wallet: string;
  readonly random: Random;
  readonly group: Group;
  /** Until the call is over. */
  readonly lasts: () => Promise<unknown>;
  /** Seconds. */
  readonly ttl: number;
  /** Who calls, for the report. */
  readonly by: string;
}

/** One call in so many throws. */
const THROWN = 0.15;

/** `mayExpire` says of which wallets a clock that jumps ahead may end the holds. */
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
    const asked = { walletId: wallet, amount: BigInt(amount), ttl, reservationId };
    try {
      await ledger.guard({ ...asked, idempotencyKey: reservationId }, async (reservation) => {
        answered();
        await lasts();
        const { aborted, reason } = reservation.signal;
        if (aborted) measure.find(`${by} was told that its hold on ${wallet} is lost: ${reason}`);
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

  /** What came after the deadline, as the clock had it, may be more than the overdraft allows. */
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
      const told = all.map((each) => ({ each, found: of.get(each.reservation_id) ?? [] }));
      return {
        sent: told.flatMap(({ each, found }) => found.flatMap((entry) => sentOf(each, entry))),
        wrong: told.flatMap(({ each, found }) => check(each, found, mayExpire(each.wallet_id))),
      };
    },
  };
}

/** What the journal must have of a guarded call. */
function check(guarded: Guarded, found: readonly Entry[], mayExpire: boolean): string[] {
  const { end } = guarded;
  const count = (event: string) => found.filter((entry) => entry.event === event).length;
  const booked = found.filter(({ event }) => event === "settled").map(({ amount }) => amount);
  const tell = (what: string) => [`${what}: ${say(guarded)}; the journal has ${say(found)}`];
  if (end === "refused" && found.length > 0) return tell("a guard was refused, and is there");
  if (count("reserved") > 1 || booked.length > 1) return tell("a guard is there twice");
  if (end === undefined || end === "refused") return [];
  if (count("expired") > 0 && !mayExpire) return tell("a guard expired while it lived");
  if (count("reserved") === 0) return tell("a guard was lost");
  if (end === "thrown") return booked.length > 0 ? tell("a guard spent nothing") : [];
  return booked[0] === end.spent ? [] : tell("a guard spent something else");
}

/** What the client has sent to have an event. */
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
