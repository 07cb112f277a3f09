import { expect } from "vitest";
import type { EventType } from "../../src/generated/index.ts";
import { type Accounts, addMoves, movesOf, NO_MONEY } from "../../src/trace/index.ts";
import { type TestLedger, verify } from "./ledger.ts";

interface Balances {
  readonly seq: bigint;
  readonly available: bigint;
  readonly reserved: bigint;
  readonly spent: bigint;
}

interface Event extends Balances {
  readonly wallet_id: string;
  readonly event: EventType;
  readonly reservation_id: string | null;
  readonly amount: bigint | null;
  readonly idempotency_key: string | null;
  readonly details: {
    readonly final?: boolean;
    readonly late?: boolean;
    readonly already_spent?: boolean;
  } | null;
  /** Microseconds. */
  readonly at: bigint;
  /** By the server's clock, by which deadlines count: `at`, unless that lies ahead of it. */
  readonly clock: bigint;
  readonly deadline: bigint | null;
}

type Require = (invariant: number, holds: boolean, why: string) => void;

/** What the journal has about a reservation. */
interface History {
  granted: bigint;
  /** Spent out of the hold. */
  used: bigint;
  released: bigint;
  settled: bigint;
  refunded: bigint;
  deadline: bigint;
  /** How it ended; `late`: with a part that was settled late, after which more may be settled. */
  end?: "settled" | "cancelled" | "expired" | "late";
}

/**
 * Checks the ledger twice: by `verify`, and by a replay of the journal here. What does not hold is
 * reported with the number of its invariant.
 */
export async function checkInvariants(ledger: TestLedger): Promise<void> {
  expect(await verify(ledger.auditor)).toEqual([]);
  expect(await replayAll(ledger)).toEqual([]);
}

/** Compares `balance_at` at the time of every event with the replay. */
export async function checkPast(ledger: TestLedger): Promise<void> {
  const found = await ledger.auditor<Balances[]>`
    select b.seq, b.available, b.reserved, b.spent
      from baseledger.journal j
      cross join lateral baseledger.balance_at(j.wallet_id, j.occurred_at) b
      order by j.wallet_id, j.seq`;
  const { events } = await readEvents(ledger);
  const wallets = [...Map.groupBy(events, ({ wallet_id }) => wallet_id).values()];
  expect(found.map(formatBalances)).toEqual(
    wallets.flatMap((each) => replay(each).past.map(formatBalances)),
  );
}

/** What does not hold by the replay below. */
async function replayAll(ledger: TestLedger): Promise<string[]> {
  const { events, postings, ...stated } = await readEvents(ledger);
  const wallets = await ledger.admin<(Balances & { wallet_id: string })[]>`
    select wallet_id, seq, available, reserved, spent from baseledger.wallets`;
  const stored = await ledger.admin<{ wallet_id: string; text: string }[]>`
    select wallet_id, concat_ws(' ', reservation_id, 'granted', amount, 'settled', settled,
        'holds', held, 'until', (extract(epoch from expires_at) * 1000000)::bigint) as text
      from baseledger.reservations`;
  const postingsOf = new Map(postings.map(({ wallet_id, text }) => [wallet_id, text]));
  const historiesOf = Map.groupBy(stated.histories, ({ wallet_id }) => wallet_id);
  const eventsOf = Map.groupBy(events, ({ wallet_id }) => wallet_id);
  const storedOf = Map.groupBy(stored, ({ wallet_id }) => wallet_id);

  return wallets.flatMap(({ wallet_id, ...row }) => {
    const { wrong, balances, open, histories, funding } = replay(eventsOf.get(wallet_id) ?? []);
    if (formatBalances(row) !== formatBalances(balances))
      wrong.push(`12: the row has ${formatBalances(row)}, not ${formatBalances(balances)}`);
    const rows = (storedOf.get(wallet_id) ?? []).map(({ text }) => text);
    const differing = [...rows, ...open].filter((r) => rows.includes(r) !== open.includes(r));
    for (const text of differing) {
      wrong.push(`12: ${rows.includes(text) ? "stored" : "not stored"}: ${text}`);
    }
    const { available, reserved, spent } = balances;
    const accounts = `${funding} ${available} ${reserved} ${spent}`;
    const posted = postingsOf.get(wallet_id) ?? "0 0 0 0";
    if (posted !== accounts) wrong.push(`1: postings come to ${posted}, not ${accounts}`);
    const history = (historiesOf.get(wallet_id) ?? []).map(({ text }) => text).sort();
    for (const [i, text] of histories.sort().entries()) {
      if (text !== history[i]) wrong.push(`4: the history has ${history[i]}, not ${text}`);
    }
    return wrong.map((text) => `${wallet_id}: ${text}`);
  });
}

async function readEvents(ledger: TestLedger) {
  const events = await ledger.auditor<Event[]>`
    select wallet_id, seq, event, reservation_id, amount, available, reserved, spent,
        idempotency_key, details,
        (extract(epoch from occurred_at) * 1000000)::bigint as at,
        (extract(epoch from occurred_at) * 1000000)::bigint
          - coalesce((details ->> 'ahead_us')::bigint, 0) as clock,
        (extract(epoch from expires_at) * 1000000)::bigint as deadline
      from baseledger.journal
      order by wallet_id, seq`;
  const postings = await ledger.auditor<{ wallet_id: string; text: string }[]>`
    select wallet_id, concat_ws(' ',
        coalesce(sum(amount) filter (where account = 'funding'), 0),
        coalesce(sum(amount) filter (where account = 'available'), 0),
        coalesce(sum(amount) filter (where account = 'reserved'), 0),
        coalesce(sum(amount) filter (where account = 'spent'), 0)) as text
      from baseledger.postings
      group by wallet_id`;
  const histories = await ledger.auditor<{ wallet_id: string; text: string }[]>`
    select wallet_id, concat_ws(' ', reservation_id, 'granted', amount, 'used', used, 'released',
        released, 'settled', settled, 'refunded', refunded) as text
      from baseledger.reservation_history`;
  return { events, postings, histories };
}

function replay(events: readonly Event[]) {
  const wrong: string[] = [];
  const reservations = new Map<string, History>();
  const open = new Map<string, History>();
  const keys = new Set<string>();
  let seq = 0n;
  let now = NO_MONEY;
  let at = -(2n ** 63n);
  const past: Balances[] = [];

  for (const event of events) {
    const require: Require = (invariant, holds, why) => {
      if (!holds) wrong.push(`${invariant}: event ${event.seq}, ${event.event}: ${why}`);
    };
    require(9, event.seq === seq + 1n, `comes after ${seq}`);
    require(9, event.at > at, "is not later than the one before");
    seq = event.seq;
    at = event.at;
    if (event.idempotency_key !== null) {
      require(5, !keys.has(event.idempotency_key), "its key has another event");
      keys.add(event.idempotency_key);
    }

    const id = event.reservation_id ?? "";
    const history = reservations.get(id) ?? newHistory(event);
    const fits = reservations.has(id) !== OPENING.has(event.event) || id === "";
    require(4, fits, "does not fit its history");
    if (id) reservations.set(id, history);
    if (WHILE_OPEN.has(event.event) && !event.details?.late) {
      require(4, !history.end, "has ended before");
    }
    const moves = apply(event, history, require);
    now = addMoves(now, moves);
    const balances = { seq, ...now };

    require(1, formatBalances(event) ===
      formatBalances(balances), `has ${formatBalances(event)}, not ${formatBalances(balances)}`);
    const inAll = now.funding + event.available + event.reserved + event.spent;
    require(1, inAll === 0n, "is not balanced");
    const wasSpent = event.event === "settled" || event.details?.already_spent === true;
    const takes = moves.available < 0n && !wasSpent;
    require(2, !takes || now.available >= 0n, "takes more than there was");
    if (id && history.end) open.delete(id);
    else if (id) open.set(id, history);
    const held = [...open.values()].reduce((sum, each) => sum + heldBy(each), 0n);
    require(3, now.reserved === held && held >= 0n, `holds ${held} in all`);
    // What is due counts as returned, even if a sweep has just not got to it.
    const due = [...open.values()].filter(({ deadline }) => deadline <= event.clock);
    const back = due.reduce((sum, each) => sum + heldBy(each), 0n);
    past.push({ ...balances, available: now.available + back, reserved: now.reserved - back });
    require(4, !history.end || heldBy(history) === 0n, "settled and released is not the amount");
  }

  const texts = [...open].map(
    ([id, history]) =>
      `${id} granted ${history.granted} settled ${history.settled} holds ${heldBy(history)} ` +
      `until ${history.deadline}`,
  );
  const histories = [...reservations].map(
    ([id, { granted, used, released, settled, refunded }]) =>
      `${id} granted ${granted} used ${used} released ${released} ` +
      `settled ${settled} refunded ${refunded}`,
  );
  const { funding, ...balances } = now;
  return { wrong, balances: { seq, ...balances }, open: texts, histories, funding, past };
}

const OPENING = new Set(["reserved", "charged"]);
/** Events of an open reservation; a late settlement follows its end. */
const WHILE_OPEN = new Set(["settled", "cancelled", "expired", "extended"]);

function newHistory({ amount, deadline }: Event): History {
  return {
    granted: amount ?? 0n,
    used: 0n,
    released: 0n,
    settled: 0n,
    refunded: 0n,
    deadline: deadline ?? 0n,
  };
}

function heldBy({ granted, used, released }: History): bigint {
  return granted - used - released;
}

/** What an event moves (docs/architecture.md); notes in `history` what it does to its reservation. */
function apply(event: Event, history: History, require: Require): Accounts {
  const a = event.amount ?? 0n;
  const held = heldBy(history);
  const inTime = history.deadline > event.clock;
  const final = event.details?.final !== false;
  const moves = movesOf({ ...event, final }, held);
  switch (event.event) {
    case "charged":
      history.used = a;
      history.settled = a;
      history.end = "settled";
      break;
    case "refunded":
      history.refunded += a;
      require(4, history.refunded <= history.settled, "is more than was settled");
      break;
    case "extended":
      require(8, inTime, "comes after the deadline");
      history.granted += a;
      history.deadline = event.deadline ?? 0n;
      break;
    case "cancelled":
    case "expired":
      require(8, inTime === (event.event === "cancelled"), "is on the wrong side of the deadline");
      require(4, a === held, `gives back ${a}, not ${held}`);
      history.released += held;
      history.end = event.event;
      break;
    case "settled": {
      history.settled += a;
      if (event.details?.late) {
        const after = history.end === "expired" || history.end === "late";
        require(4, after, "is late, and nothing expired");
        history.end = final ? "settled" : "late";
        break;
      }
      require(8, inTime, "comes after the deadline, and is not late");
      const used = a < held ? a : held;
      history.used += used;
      history.released += -moves.reserved - used;
      if (final) history.end = "settled";
    }
  }
  return moves;
}

function formatBalances({ seq, available, reserved, spent }: Balances): string {
  return `seq ${seq}, available ${available}, reserved ${reserved}, spent ${spent}`;
}
