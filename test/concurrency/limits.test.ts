import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  type Arguments,
  call,
  command,
  createLedger,
  openWallet,
  post,
  postMany,
  type Receipt,
  type Session,
  type TestLedger,
  untilPast,
} from "../support/ledger.ts";

// Many callers at once in wallets with a hard limit by user. What each of them had used when it was
// granted something is computed from the journal afterwards, and so is what counters must have.

const USERS = ["ann", "bob", "carl"];
const AMOUNT = 200n;
const CALLERS = 6;

let ledger: TestLedger;
let wallets: string[] = [];
let tests = 0;
let callers = 0;

beforeAll(async () => {
  ledger = await createLedger();
});
afterEach(() => checkInvariants(ledger));
afterAll(() => ledger[Symbol.asyncDispose]());

beforeEach(async () => {
  tests += 1;
  wallets = [`${tests} a`, `${tests} b`];
  for (const id of wallets) await openWallet(ledger, id, 1_000_000n);
});

const limitAll = (sql = ledger.operator, terms: Arguments = {}) =>
  Promise.all(
    wallets.map((id) =>
      command(sql, "set_limit", {
        ...{ wallet_id: id, limit_id: "user", per: "ever", by: "{user}", amount: AMOUNT },
        ...terms,
      }),
    ),
  );

/** Numbers from 0 up to below a bound, the same ones for each seed. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

interface Opened {
  readonly walletId: string;
  readonly id: string;
}

/** A caller who reserves, charges, extends, settles and cancels, alone and in batches. */
class Caller {
  readonly answers: Receipt[] = [];
  readonly #session: Session;
  readonly #name: string;
  readonly #random: (below: number) => number;
  readonly #open: Opened[] = [];
  #keys = 0;

  constructor(session: Session, seed: number) {
    this.#session = session;
    this.#name = `${seed}`;
    this.#random = makeRandom(seed);
  }

  async round(): Promise<void> {
    const { sql } = this.#session;
    const commands = Array.from({ length: 1 + this.#random(6) }, () => this.#choose());
    const [first] = commands;
    const how = this.#random(3);
    if (how === 0) {
      this.#note(await postMany(sql, commands));
    } else {
      // Those of one wallet; alone if it is the only one.
      const walletId = first?.wallet_id as string;
      const own = commands
        .filter((each) => each.wallet_id === walletId)
        .slice(0, how === 1 ? 1 : 6)
        .map(({ wallet_id: _, ...each }) => each);
      this.#note(await post(sql, walletId, own));
    }
    await this.#single();
  }

  /** A reservation by its own function, with an amount of which less is enough. */
  async #single(): Promise<void> {
    const key = this.#key();
    const args = {
      ...{ wallet_id: this.#pick(wallets), amount: 20n + BigInt(this.#random(30)) },
      ...{ at_least: 10n, ttl: "1 hour", idempotency_key: key },
      metadata: { user: this.#pick(USERS) },
    };
    try {
      this.#note([await command(this.#session.sql, "reserve", args)]);
    } catch (error) {
      expect(error).toMatchObject({ code: "LGLIM" });
    }
  }

  #choose(): Arguments {
    const idempotency_key = this.#key();
    const amount = 10n + BigInt(this.#random(30));
    const [opened] = this.#random(3) > 0 ? this.#open.splice(this.#random(8), 1) : [];
    if (opened) {
      const of = { wallet_id: opened.walletId, reservation_id: opened.id, idempotency_key };
      // Little is spent, so that there is something left to the end.
      return (
        [
          { op: "settle", ...of, amount: 1n },
          { op: "settle", ...of, amount: 0n },
          { op: "settle", ...of, amount: 1n, final: false },
          { op: "cancel", ...of },
          { op: "extend", ...of, ttl: 3600, amount: amount + 30n },
        ] as Arguments[]
      )[this.#random(5)] as Arguments;
    }
    const opening = {
      wallet_id: this.#pick(wallets),
      ...{ idempotency_key, metadata: { user: this.#pick(USERS) } },
    };
    if (this.#random(8) === 0) return { op: "charge", ...opening, amount: 2n };
    // Some expire while the others go on.
    return { op: "reserve", ...opening, amount, ttl: this.#random(3) === 0 ? 1 : 3600 };
  }

  #note(receipts: readonly Receipt[]): void {
    this.answers.push(...receipts);
    for (const receipt of receipts) {
      const { event, refused, wallet_id, reservation_id, idempotency_key } = receipt;
      // What may still be open is tried again.
      const busy = refused === "LGBSY" && reservation_id !== idempotency_key;
      if (["reserved", "extended", "settled"].includes(event ?? "") || busy) {
        this.#open.push({ walletId: wallet_id, id: reservation_id ?? "" });
      }
    }
  }

  #key(): string {
    this.#keys += 1;
    return `${this.#name}-${this.#keys}`;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random(items.length)] as T;
  }
}

/** Lets callers go on as long as asked for, and returns how often each answer was given. */
async function load(goesOn: (rounds: number) => boolean): Promise<Map<string, number>> {
  const answers = await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      callers += 1;
      const seed = callers;
      await using session = await ledger.session("agent");
      const caller = new Caller(session, seed);
      for (let rounds = 0; goesOn(rounds); rounds += 1) await caller.round();
      return caller.answers.map(({ event, refused }) => refused ?? `${event}`);
    }),
  );
  const groups = Map.groupBy(answers.flat(), (answer) => answer);
  const counts = new Map([...groups].map(([answer, { length }]) => [answer, length]));
  const expected = ["reserved", "settled", "cancelled", "extended", "charged"];
  expect(counts.get("reserved")).toBeGreaterThan(0);
  const refusals = ["LGLIM", "LGBSY", "LGEND", "LGEXP", "LGRNF"];
  expect([...counts.keys()].filter((key) => ![...expected, ...refusals].includes(key))).toEqual([]);
  return counts;
}

interface Event {
  readonly seq: bigint;
  readonly event: string;
  readonly reservation_id: string | null;
  readonly reserved: bigint;
  readonly spent: bigint;
  readonly user: string | null;
  readonly details: { amount?: bigint | null; values?: string[] } | null;
  /** Minutes of the clock. */
  readonly minute: bigint;
}

/**
 * Replays the journal of a wallet: whatever was granted was within the limit by then. Returns what is
 * used, by user, in the window of the last event.
 */
async function replay(walletId: string, per: "ever" | "minute"): Promise<Map<string, bigint>> {
  const events = await ledger.auditor<Event[]>`
    select seq, event, reservation_id, reserved, spent, metadata ->> 'user' as user, details,
        floor(extract(epoch from occurred_at) / 60)::bigint as minute
      from baseledger.journal where wallet_id = ${walletId} order by seq`;
  const users = new Map<string, string>();
  const held = new Map<string, bigint>();
  let spent = new Map<string, bigint>();
  let own = new Map<string, bigint>();
  let amount: bigint | undefined;
  let last = { reserved: 0n, spent: 0n, minute: 0n };
  const add = (to: Map<string, bigint>, user: string, by: bigint) =>
    to.set(user, (to.get(user) ?? 0n) + by);
  const wrong: string[] = [];

  for (const event of events) {
    const { seq, event: kind, reservation_id: id, details } = event;
    if (per === "minute" && event.minute !== last.minute) spent = new Map();
    if (kind === "limit_removed") amount = undefined;
    if (kind === "limit_set") {
      if (amount === undefined) [spent, own] = [new Map(), new Map()];
      amount = BigInt(details?.amount ?? 0n);
    }
    const [user] = kind === "limit_set_for" ? (details?.values ?? []) : [];
    if (user && details?.amount === null) own.delete(user);
    else if (user) own.set(user, BigInt(details?.amount ?? 0n));
    if (id !== null) {
      if (kind === "reserved" || kind === "charged") users.set(id, event.user ?? "");
      const whose = users.get(id) ?? "";
      add(held, whose, event.reserved - last.reserved);
      add(spent, whose, event.spent - last.spent);
      const grants = kind === "charged" || event.reserved > last.reserved;
      const used = (held.get(whose) ?? 0n) + (spent.get(whose) ?? 0n);
      const most = amount === undefined ? undefined : (own.get(whose) ?? amount);
      if (grants && most !== undefined && used > most) {
        wrong.push(`event ${seq}, ${kind}: ${whose} has used ${used} of ${most}`);
      }
    }
    last = event;
  }
  expect(wrong).toEqual([]);
  return new Map(USERS.map((user) => [user, (held.get(user) ?? 0n) + (spent.get(user) ?? 0n)]));
}

/** Nothing was granted above limits, and counters have what the journal says. */
async function check(per: "ever" | "minute" = "ever"): Promise<void> {
  // What is due expires, so that the journal is as the counters are read.
  await call(ledger.worker, "expire_due", {});
  for (const id of wallets) {
    const used = await replay(id, per);
    const rows = await ledger.admin<{ user: string; used: bigint }[]>`
      select c.label_values[1] as user, (c.spent + c.held)::bigint as used
        from baseledger.counters c
        join baseledger.limits l on l.wallet_id = c.wallet_id and l.limit_id = c.limit_id
        where c.wallet_id = ${id} and c.starts_at = l.starts_at`;
    for (const row of rows) expect(row.used, `${id} ${row.user}`).toBe(used.get(row.user));
  }
}

test("callers at once in two wallets never get more than the limit by user", async () => {
  await limitAll();
  const counts = await load((rounds) => rounds < 60);
  for (const answer of ["settled", "cancelled", "extended", "charged", "LGLIM", "LGBSY"]) {
    expect(counts.get(answer), answer).toBeGreaterThan(0);
  }
  await check();
  const [row] = await ledger.auditor<{ expired: bigint }[]>`
    select count(*) as expired from baseledger.journal
      where wallet_id in (${wallets[0] ?? ""}, ${wallets[1] ?? ""}) and event = 'expired'`;
  expect(row?.expired).toBeGreaterThan(0n);
});

test("while limits are set, changed and removed", async () => {
  await using operator = await ledger.session("operator");
  let changing = true;
  const changes = (async () => {
    const limit = { limit_id: "user" };
    for (let turn = 0; turn < 8; turn += 1) {
      await limitAll(operator.sql);
      for (const wallet_id of wallets) {
        const set = { wallet_id, ...limit, values: "{ann}" };
        await command(operator.sql, "set_limit_for", { ...set, amount: 60n });
        await command(operator.sql, "set_limit_for", { ...set, amount: 900n });
      }
      await limitAll(operator.sql, { amount: 40n });
      await limitAll(operator.sql, { amount: 500n });
      for (const wallet_id of wallets) {
        await command(operator.sql, "set_limit_for", {
          ...{ wallet_id, ...limit, values: "{ann}", amount: null },
        });
        await command(operator.sql, "remove_limit", { wallet_id, ...limit });
      }
    }
    await limitAll(operator.sql);
    changing = false;
  })();
  const counts = await load((rounds) => changing || rounds < 20);
  await changes;
  expect(counts.get("LGLIM")).toBeGreaterThan(0);
  await check();
});

test("while a window ends", async () => {
  await limitAll(ledger.operator, { per: "minute", amount: 120n });
  await load((rounds) => rounds < 5);
  // The windows end in a second, if the minute does not end before: the next event finds the present
  // one, and counts it again.
  const [border] = await ledger.admin<{ ends_at: string }[]>`
    update baseledger.limits l
      set ends_at = m.ends_at, counted_until = m.ends_at
      from (select clock_timestamp() + interval '1 second' as ends_at offset 0) as m
      where l.wallet_id in (${wallets[0] ?? ""}, ${wallets[1] ?? ""})
      returning l.ends_at`;
  let past = false;
  const [, counts] = await Promise.all([
    untilPast(ledger, border?.ends_at ?? null).finally(() => {
      past = true;
    }),
    load((rounds) => !past || rounds < 20),
  ]);
  expect(counts.get("LGLIM")).toBeGreaterThan(0);
  await limitAll(ledger.operator, { per: "minute", amount: 10_000n });
  for (const wallet_id of wallets) {
    const metadata = { user: "ann" };
    await command(ledger.agent, "charge", {
      ...{ wallet_id, amount: 1n, idempotency_key: "last", metadata },
    });
  }
  await check("minute");
  const [row] = await ledger.admin<{ moved: boolean }[]>`
    select bool_and(ends_at > ${border?.ends_at ?? null}::text::timestamptz) as moved
      from baseledger.limits
      where wallet_id in (${wallets[0] ?? ""}, ${wallets[1] ?? ""})`;
  expect(row?.moved).toBe(true);
});

interface TokenEvent {
  readonly seq: bigint;
  readonly event: string;
  readonly reservation_id: string;
  readonly tokens: number;
  readonly is_part: boolean;
}

/** Replays the tokens of a wallet; each grant must leave them within the limit. */
function replayTokens(events: readonly TokenEvent[], most: number): number {
  const held = new Map<string, number>();
  let spent = 0;
  for (const { seq, event, reservation_id: id, tokens, is_part } of events) {
    const left = Math.max((held.get(id) ?? 0) - tokens, 0);
    if (event === "reserved") held.set(id, tokens);
    else held.set(id, event === "settled" && is_part ? left : 0);
    if (event !== "reserved") spent += tokens;
    if (event !== "reserved" && event !== "charged") continue;
    const used = [...held.values()].reduce((sum, each) => sum + each, spent);
    expect(used, `event ${seq}, ${event}`).toBeLessThanOrEqual(most);
  }
  return [...held.values()].reduce((sum, each) => sum + each, spent);
}

test("50 callers at once never get more than a small limit of tokens", async () => {
  // Tokens cost nothing here, so that only the limit refuses.
  const price = { model: "test/free", rates: { input: 0, output: 0 } };
  await call(ledger.operator, "set_price", price);
  const most = 200;
  await limitAll(ledger.operator, { of: "tokens", amount: BigInt(most) });
  const agents = ledger.connect("agent", 50);
  const [wallet_id = ""] = wallets;

  const opening = { amount: null, metadata: { user: "ann" } };
  const uses = (output: number) => ({ model: "test/free", output });
  const callSome = async (n: number): Promise<string[]> => {
    const random = makeRandom(n);
    const answers: string[] = [];
    const send = async (name: string, key: string, terms: Arguments): Promise<boolean> => {
      const args = { wallet_id, idempotency_key: key, ...terms };
      const answer = await command(agents, name, args).then(
        ({ event }) => event,
        ({ code }) => code,
      );
      answers.push(answer ?? "");
      return answer !== "LGLIM";
    };
    for (const id of [`${n} a`, `${n} b`, `${n} c`]) {
      const usage = uses(10 + random(20));
      const isOpen = await send("reserve", id, { ...opening, usage, ttl: "1 hour" });
      await send("charge", `${id} charge`, { ...opening, usage: uses(1) });
      if (!isOpen) continue;
      const of = { reservation_id: id, amount: null, usage: { output: random(3) } };
      await send("settle", `${id} part`, { ...of, final: false });
      if (random(2) === 0) await send("cancel", `${id} end`, { reservation_id: id });
      else await send("settle", `${id} end`, of);
    }
    return answers;
  };
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => callSome(n)));
  const kinds = new Set(answers.flat());
  expect(kinds).toEqual(new Set(["reserved", "charged", "settled", "cancelled", "LGLIM"]));

  const events = await ledger.auditor<TokenEvent[]>`
    select seq, event, reservation_id, coalesce(details ->> 'final' = 'false', false) as is_part,
        coalesce((details -> 'usage' ->> 'output')::integer, 0) as tokens
      from baseledger.journal
      where wallet_id = ${wallet_id} and reservation_id is not null
      order by seq`;
  const used = replayTokens(events, most);
  const [row] = await call<{ used: bigint }>(ledger.auditor, "limits", { wallet_id });
  expect(row?.used).toBe(BigInt(used));
  expect(used).toBeGreaterThan(most / 2);
});
