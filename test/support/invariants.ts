import { expect } from "vitest";
import { type TestLedger, verify } from "./ledger.ts";

interface Balances {
  readonly seq: bigint;
  readonly available: bigint;
  readonly reserved: bigint;
  readonly spent: bigint;
}

interface Event extends Balances {
  readonly wallet_id: string;
  readonly event: string;
  readonly reservation_id: string | null;
  readonly amount: bigint | null;
  readonly idempotency_key: string | null;
  readonly details: { readonly final?: boolean; readonly late?: boolean } | null;
  /** Microseconds. */
  readonly at: bigint;
  /** By the server's clock, by which deadlines count: `at`, unless that lies ahead of it. */
  readonly clock: bigint;
  readonly deadline: bigint | null;
}

/** What the journal says of a reservation. */
interface Life {
  granted: bigint;
  /** Spent out of the hold. */
  used: bigint;
  released: bigint;
  settled: bigint;
  refunded: bigint;
  deadline: bigint;
  /** How it ended; `late` is an end that more may follow. */
  end?: "settled" | "cancelled" | "expired" | "late";
}

/**
 * Proves the whole ledger twice: by `verify`, and by replaying the journal here, by the table of
 * docs/architecture.md. What does not hold is reported with the number of its invariant.
 */
export async function checkInvariants(ledger: TestLedger): Promise<void> {
  expect(await verify(ledger.auditor)).toEqual([]);
  expect(await refold(ledger)).toEqual([]);
}

/** Asks for the balances at the time of every event there is, and compares with the fold. */
export async function checkPast(ledger: TestLedger): Promise<void> {
  const told = await ledger.auditor<Balances[]>`
    select b.seq, b.available, b.reserved, b.spent
      from baseledger.journal j
      cross join lateral baseledger.balance_at(j.wallet_id, j.occurred_at) b
      order by j.wallet_id, j.seq`;
  const { events } = await readEvents(ledger);
  const wallets = [...Map.groupBy(events, ({ wallet_id }) => wallet_id).values()];
  expect(told.map(say)).toEqual(wallets.flatMap((each) => fold(each).past.map(say)));
}

/** What does not hold by the fold below. */
export async function refold(ledger: TestLedger): Promise<string[]> {
  const { events, postings, histories } = await readEvents(ledger);
  const wallets = await ledger.admin<(Balances & { wallet_id: string })[]>`
    select wallet_id, seq, available, reserved, spent from baseledger.wallets`;
  const stored = await ledger.admin<{ wallet_id: string; text: string }[]>`
    select wallet_id, concat_ws(' ', reservation_id, 'granted', amount, 'settled', settled,
        'holds', held, 'until', (extract(epoch from expires_at) * 1000000)::bigint) as text
      from baseledger.reservations`;
  const postingsOf = new Map(postings.map(({ wallet_id, text }) => [wallet_id, text]));
  const historiesOf = Map.groupBy(histories, ({ wallet_id }) => wallet_id);
  const eventsOf = Map.groupBy(events, ({ wallet_id }) => wallet_id);
  const storedOf = Map.groupBy(stored, ({ wallet_id }) => wallet_id);

  return wallets.flatMap(({ wallet_id, ...row }) => {
    const { wrong, balances, open, lives, funding } = fold(eventsOf.get(wallet_id) ?? []);
    if (say(row) !== say(balances)) wrong.push(`12: the row has ${say(row)}, not ${say(balances)}`);
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
    for (const [i, text] of lives.sort().entries()) {
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

function fold(events: readonly Event[]) {
  const wrong: string[] = [];
  const lives = new Map<string, Life>();
  const open = new Map<string, Life>();
  const keys = new Set<string>();
  const now = { seq: 0n, available: 0n, reserved: 0n, spent: 0n };
  let funding = 0n;
  let at = -(2n ** 63n);
  const past: Balances[] = [];

  for (const event of events) {
    const require = (invariant: number, holds: boolean, why: string): void => {
      if (!holds) wrong.push(`${invariant}: event ${event.seq}, ${event.event}: ${why}`);
    };
    require(9, event.seq === now.seq + 1n, `comes after ${now.seq}`);
    require(9, event.at > at, "is not later than the one before");
    now.seq = event.seq;
    at = event.at;
    if (event.idempotency_key !== null) {
      require(5, !keys.has(event.idempotency_key), "its key has another event");
      keys.add(event.idempotency_key);
    }

    const id = event.reservation_id ?? "";
    const life: Life = lives.get(id) ?? newLife(event);
    require(4, lives.has(id) !== OPENING.has(event.event) || id === "", "does not fit its history");
    if (id) lives.set(id, life);
    if (ENDING.has(event.event) && !event.details?.late) require(4, !life.end, "has ended before");
    const moved = move(event, life, require);
    funding += moved.funds;
    now.available += moved.available;
    now.reserved += moved.reserved;
    now.spent += moved.spent;

    require(1, say(event) === say(now), `has ${say(event)}, not ${say(now)}`);
    const inAll = funding + event.available + event.reserved + event.spent;
    require(1, inAll === 0n, "is not balanced");
    const takes = moved.available < 0n && event.event !== "settled";
    require(2, !takes || now.available >= 0n, "takes more than there was");
    if (id && life.end) open.delete(id);
    else if (id) open.set(id, life);
    const held = [...open.values()].reduce((sum, each) => sum + heldBy(each), 0n);
    require(3, now.reserved === held && held >= 0n, `holds ${held} in all`);
    // What is due counts as returned, even if a sweep has just not got to it.
    const due = [...open.values()].filter(({ deadline }) => deadline <= event.clock);
    const back = due.reduce((sum, each) => sum + heldBy(each), 0n);
    past.push({ ...now, available: now.available + back, reserved: now.reserved - back });
    require(4, !life.end || heldBy(life) === 0n, "settled and released is not the amount");
  }

  const texts = [...open].map(
    ([id, life]) =>
      `${id} granted ${life.granted} settled ${life.settled} holds ${heldBy(life)} ` +
      `until ${life.deadline}`,
  );
  const told = [...lives].map(
    ([id, life]) =>
      `${id} granted ${life.granted} used ${life.used} released ${life.released} ` +
      `settled ${life.settled} refunded ${life.refunded}`,
  );
  return { wrong, balances: now, open: texts, lives: told, funding, past };
}

const OPENING = new Set(["reserved", "charged"]);
const ENDING = new Set(["settled", "cancelled", "expired", "extended"]);

function newLife({ amount, deadline }: Event): Life {
  return {
    granted: amount ?? 0n,
    used: 0n,
    released: 0n,
    settled: 0n,
    refunded: 0n,
    deadline: deadline ?? 0n,
  };
}

function heldBy({ granted, used, released }: Life): bigint {
  return granted - used - released;
}

/** What an event moves, by the table of docs/architecture.md; notes in `life` what it does to it. */
function move(
  event: Event,
  life: Life,
  require: (invariant: number, holds: boolean, why: string) => void,
): { funds: bigint; available: bigint; reserved: bigint; spent: bigint } {
  const nothing = { funds: 0n, available: 0n, reserved: 0n, spent: 0n };
  const a = event.amount ?? 0n;
  const h = heldBy(life);
  const inTime = life.deadline > event.clock;
  switch (event.event) {
    case "opened":
    case "frozen":
    case "unfrozen":
      return nothing;
    case "credited":
    case "transferred_in":
      return { ...nothing, funds: -a, available: a };
    case "withdrawn":
    case "transferred_out":
      return { ...nothing, funds: a, available: -a };
    case "reserved":
      return { ...nothing, available: -a, reserved: a };
    case "charged":
      life.used = a;
      life.settled = a;
      life.end = "settled";
      return { ...nothing, available: -a, spent: a };
    case "refunded":
      life.refunded += a;
      require(4, life.refunded <= life.settled, "is more than was settled");
      return { ...nothing, available: a, spent: -a };
    case "extended":
      require(8, inTime, "comes after the deadline");
      life.granted += a;
      life.deadline = event.deadline ?? 0n;
      return { ...nothing, available: -a, reserved: a };
    case "cancelled":
    case "expired":
      require(8, inTime === (event.event === "cancelled"), "is on the wrong side of the deadline");
      require(4, a === h, `gives back ${a}, not ${h}`);
      life.released += h;
      life.end = event.event;
      return { ...nothing, available: h, reserved: -h };
    case "settled": {
      const final = event.details?.final !== false;
      life.settled += a;
      if (event.details?.late) {
        require(4, life.end === "expired" || life.end === "late", "is late, and nothing expired");
        life.end = final ? "settled" : "late";
        return { ...nothing, available: -a, spent: a };
      }
      require(8, inTime, "comes after the deadline, and is not late");
      const used = a < h ? a : h;
      const released = final ? h - used : 0n;
      life.used += used;
      life.released += released;
      if (final) life.end = "settled";
      return { ...nothing, available: released + used - a, reserved: -used - released, spent: a };
    }
    default:
      require(1, false, "is no event of the design");
      return nothing;
  }
}

function say({ seq, available, reserved, spent }: Balances): string {
  return `seq ${seq}, available ${available}, reserved ${reserved}, spent ${spent}`;
}
