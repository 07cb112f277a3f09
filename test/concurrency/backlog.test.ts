import { afterAll, beforeAll, expect, test } from "vitest";
import {
  balance,
  call,
  command,
  createLedger,
  digest,
  expectRefusal,
  openWallet,
  post,
  type TestLedger,
  travelBack,
  verify,
} from "../support/ledger.ts";

// More reservations come due at once than a command can expire in its time. A command expires a
// bounded number, the rest counts as returned all the same, and every try makes progress. These tests
// measure no time: they count what each command writes.

/** How many a command expires before it, and at most when it needs the funds of the rest. */
const CHUNK = 1000;
const MOST = 10 * CHUNK;

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await createLedger();
  const [row] = await ledger.admin`select baseledger._due_chunk_size() as chunk`;
  expect(row).toEqual({ chunk: CHUNK });
});
afterAll(async () => {
  expect(await verify(ledger.auditor)).toEqual([]);
  await ledger[Symbol.asyncDispose]();
});

/** A wallet with all its funds in so many reservations of 1, all due, `r1` the earliest. */
async function makeBacklog(walletId: string, count: number, terms = {}): Promise<string> {
  await openWallet(ledger, walletId, BigInt(count), terms);
  for (let from = 1; from <= count; from += 5000) {
    const commands = Array.from({ length: Math.min(5000, count - from + 1) }, (_, i) => ({
      op: "reserve",
      amount: 1,
      ttl: 3600,
      idempotency_key: `r${from + i}`,
    }));
    await post(ledger.agent, walletId, commands);
  }
  await travelBack(ledger, walletId, "2 hours");
  return walletId;
}

async function expiries(walletId: string): Promise<number> {
  const [row] = await ledger.auditor<{ count: bigint }[]>`
    select count(*) as count from baseledger.journal
      where wallet_id = ${walletId} and event = 'expired'`;
  return Number(row?.count);
}

/** The balances that balance_at returns right after each event of a command, in order. */
async function past(walletId: string): Promise<string[]> {
  const rows = await ledger.auditor<{ balances: string }[]>`
    select format('%s: %s/%s/%s', j.idempotency_key, b.available, b.reserved, b.spent) as balances
      from baseledger.journal j
      cross join lateral baseledger.balance_at(j.wallet_id, j.occurred_at) b
      where j.wallet_id = ${walletId} and j.event <> 'expired' and coalesce(j.idempotency_key, '') !~ '^r[0-9]'
        and j.seq > 1
      order by j.seq`;
  return rows.map(({ balances }) => balances);
}

/** The balances by deadline, which balance, balance_at and the view agree on. */
async function now(walletId: string): Promise<string> {
  const { available, reserved, spent } = await balance(ledger.agent, walletId);
  const [viewed] = await ledger.auditor`
    select available, reserved, spent from baseledger.wallet_balances
      where wallet_id = ${walletId}`;
  expect(viewed).toEqual({ available, reserved, spent });
  const [past] = await call<{ available: bigint; reserved: bigint; spent: bigint }>(
    ledger.auditor,
    "balance_at",
    { wallet_id: walletId, at: "infinity" },
  );
  expect(past).toMatchObject({ available, reserved, spent });
  return `${available}/${reserved}/${spent}`;
}

test("up to a chunk, all that is due expires first", async () => {
  const id = await makeBacklog("chunk", CHUNK);
  const w = { wallet_id: id };
  const all = { ...w, amount: BigInt(CHUNK), idempotency_key: "all" };
  expect(await command(ledger.agent, "reserve", all)).toMatchObject({ available: 0n });
  expect(await expiries(id)).toBe(CHUNK);
  const [row] = await ledger.auditor`
    select count(*) from baseledger.journal where wallet_id = ${id} and details ? 'backlog'`;
  expect(row).toEqual({ count: 0n });
});

test("each command expires a chunk, and balances are exact all the time", async () => {
  const count = 5 * CHUNK;
  const id = await makeBacklog("steps", count);
  const w = { wallet_id: id };
  expect(await now(id)).toBe("5000/0/0");
  let written = 0;
  const expired = async () => {
    const before = written;
    written = await expiries(id);
    return written - before;
  };

  await command(ledger.agent, "reserve", { ...w, amount: 10n, idempotency_key: "a" });
  expect(await expired()).toBe(CHUNK);
  expect(await now(id)).toBe("4990/10/0");

  // The reservation that a command names expires before it, wherever it is in the queue.
  const late = { ...w, reservation_id: `r${count}`, amount: 3n, idempotency_key: "late" };
  expect(await command(ledger.agent, "settle", late)).toMatchObject({ event: "settled" });
  expect(await expired()).toBe(CHUNK + 1);
  expect(await now(id)).toBe("4987/10/3");
  const other = { ...w, reservation_id: `r${count - 1}`, idempotency_key: "other" };
  await expectRefusal("LGEXP", command(ledger.agent, "cancel", other));
  await expectRefusal("LGEXP", command(ledger.agent, "extend", { ...other, ttl: "1 hour" }));
  const taken = { ...w, amount: 1n, reservation_id: `r${count - 2}`, idempotency_key: "taken" };
  await expectRefusal("LGRID", command(ledger.agent, "reserve", taken));
  expect(await expired()).toBe(0);

  // Commands that add funds, or move none, expire a chunk as well.
  await command(ledger.operator, "credit", { ...w, amount: 1n, idempotency_key: "more" });
  expect(await expired()).toBe(CHUNK);
  expect(await now(id)).toBe("4988/10/3");
  await openWallet(ledger, "giver", 5n);
  const given = { from: "giver", to: id, amount: 2n, idempotency_key: "gift" };
  await command(ledger.operator, "transfer", given);
  expect(await expired()).toBe(CHUNK);
  expect(await now(id)).toBe("4990/10/3");
  await command(ledger.agent, "cancel", { ...w, reservation_id: "a", idempotency_key: "back" });
  expect(await expired()).toBe(count - 4 * CHUNK - 1);
  expect(await now(id)).toBe("5000/0/3");
  expect(await past(id)).toEqual([
    // Nothing was due yet when it was credited.
    "funds: 5000/0/0",
    "a: 4990/10/0",
    "late: 4987/10/3",
    "more: 4988/10/3",
    ": 4990/10/3",
    "back: 5000/0/3",
  ]);
  expect(await verify(ledger.auditor)).toEqual([]);
  const [history] = await ledger.auditor`
    select count(*) filter (where status = 'expired') as expired,
        count(*) filter (where status = 'settled late') as late
      from baseledger.reservation_history where wallet_id = ${id}`;
  expect(history).toEqual({ expired: BigInt(count - 1), late: 1n });
});

test("a command that needs funds gets them from the backlog, chunk by chunk", async () => {
  const id = await makeBacklog("funds", 6 * CHUNK);
  const w = { wallet_id: id };
  const some = { ...w, amount: 3500n, idempotency_key: "some" };
  expect(await command(ledger.agent, "reserve", some)).toMatchObject({ available: 500n });
  expect(await expiries(id)).toBe(4 * CHUNK);
  expect(await now(id)).toBe("2500/3500/0");
  const wider = { ...w, reservation_id: "some", ttl: "1 hour", amount: 4100n };
  await command(ledger.agent, "extend", { ...wider, idempotency_key: "wider" });
  expect(await expiries(id)).toBe(5 * CHUNK);
  expect(await now(id)).toBe("1900/4100/0");

  // More than that is refused at once, with the balances by deadline.
  const detail = await expectRefusal(
    "LGNSF",
    command(ledger.agent, "reserve", { ...w, amount: 6001n, idempotency_key: "much" }),
  );
  expect(detail).toMatchObject({ available: 1900, reserved: 4100, shortfall: 4101 });
  expect(detail).toMatchObject({ reason: "exhausted", retry_at: null });
  const held = await expectRefusal(
    "LGNSF",
    command(ledger.agent, "charge", { ...w, amount: 1901n, idempotency_key: "more" }),
  );
  const [open] = await ledger.auditor<{ expires_at: string }[]>`
    select to_jsonb(expires_at) #>> '{}' as expires_at from baseledger.open_reservations
      where wallet_id = ${id}`;
  expect(held).toMatchObject({ shortfall: 1, reason: "held", retry_at: open?.expires_at });
  const least = { ...w, amount: 9000n, at_least: 1n, idempotency_key: "rest" };
  expect(await command(ledger.agent, "reserve", least)).toMatchObject({ amount: 1900n });
  expect(await now(id)).toBe("0/6000/0");
});

test("p_at_least is granted from the backlog", async () => {
  const id = await makeBacklog("least", 3 * CHUNK);
  const least = { wallet_id: id, amount: 9000n, at_least: 2500n, idempotency_key: "least" };
  expect(await command(ledger.agent, "reserve", least)).toMatchObject({ amount: 3000n });
  expect(await expiries(id)).toBe(3 * CHUNK);
  expect(await now(id)).toBe("0/3000/0");
});

test("where a wallet's events lie ahead of the clock, the backlog counts by the clock", async () => {
  const id = "ahead";
  await openWallet(ledger, id, BigInt(2 * CHUNK + 10));
  await travelBack(ledger, id, "-26 hours");
  const w = { wallet_id: id };
  await command(ledger.agent, "reserve", {
    ...w,
    amount: 10n,
    ttl: "1 hour",
    idempotency_key: "a",
  });
  const commands = Array.from({ length: 2 * CHUNK }, (_, i) => ({
    op: "reserve",
    amount: 1,
    ttl: 60,
    idempotency_key: `r${i}`,
  }));
  await post(ledger.agent, id, commands);
  await travelBack(ledger, id, "2 minutes");
  expect(await now(id)).toBe("2000/10/0");
  const much = command(ledger.agent, "reserve", { ...w, amount: 2005n, idempotency_key: "much" });
  expect(await expectRefusal("LGNSF", much)).toMatchObject({ available: 2000, reserved: 10 });
});

test("beyond what one command may expire, a batch makes progress even if it is refused", async () => {
  const count = MOST + 2 * CHUNK;
  const id = await makeBacklog("beyond", count);
  const all = { amount: BigInt(count - CHUNK), idempotency_key: "all" };
  const before = await digest(ledger);
  const detail = await expectRefusal(
    "LGNSF",
    command(ledger.operator, "withdraw", { wallet_id: id, ...all }),
  );
  expect(await digest(ledger)).toBe(before);
  const [clock] = await ledger.admin<{ past: boolean }[]>`
    select clock_timestamp() >= ${detail.retry_at as string}::text::timestamptz as past`;
  expect(clock).toEqual({ past: true });
  const balances = { requested: count - CHUNK, available: count, reserved: 0, shortfall: 0 };
  expect(detail).toMatchObject({ ...balances, reason: "held" });

  const commands = [{ op: "withdraw", ...all }];
  const first = await call(ledger.operator, "post_funds", { wallet_id: id, commands });
  expect(first).toMatchObject([{ refused: "LGNSF", detail: balances }]);
  expect(await expiries(id)).toBe(MOST);
  expect(await now(id)).toBe(`${count}/0/0`);
  const second = await call(ledger.operator, "post_funds", { wallet_id: id, commands });
  expect(second).toMatchObject([{ event: "withdrawn", refused: null }]);
  expect(await now(id)).toBe(`${CHUNK}/0/0`);
});

test("a refusal names the next deadline to come, not one of the backlog", async () => {
  const id = await makeBacklog("to come", 4 * CHUNK);
  const w = { wallet_id: id };
  await command(ledger.operator, "credit", { ...w, amount: 1000n, idempotency_key: "more" });
  await command(ledger.agent, "reserve", { ...w, amount: 1000n, idempotency_key: "open" });
  const all = { ...w, amount: BigInt(4 * CHUNK + 1), idempotency_key: "all" };
  const detail = await expectRefusal("LGNSF", command(ledger.agent, "reserve", all));
  expect(detail).toMatchObject({ reason: "held", available: 4 * CHUNK, reserved: 1000 });
  const [row] = await ledger.admin`
    select expires_at = ${detail.retry_at as string}::text::timestamptz as named
      from baseledger.reservations where wallet_id = ${id} and reservation_id = 'open'`;
  expect(row).toEqual({ named: true });
  expect(await expiries(id)).toBe(2 * CHUNK);
});

test("a settlement is booked in full, however much is due", async () => {
  const count = MOST + 2 * CHUNK;
  const id = await makeBacklog("strict", count, { overdraft_limit: 0n });
  const w = { wallet_id: id };
  const spent = { ...w, reservation_id: "r7", amount: BigInt(count), idempotency_key: "spent" };
  const over = { ...spent, amount: BigInt(count + 1) };
  expect(await expectRefusal("LGOVD", command(ledger.agent, "settle", over))).toMatchObject({
    available: count,
    would_be: -1,
  });
  expect(await command(ledger.agent, "settle", spent)).toMatchObject({ event: "settled" });
  expect(await now(id)).toBe(`0/0/${count}`);
  expect(await expiries(id)).toBe(MOST);
  // On record the balance is below the limit until the rest has expired.
  await command(ledger.operator, "credit", { ...w, amount: 1n, idempotency_key: "more" });
  expect(await now(id)).toBe(`1/0/${count}`);
  expect(await expiries(id)).toBe(count - CHUNK);
  await call(ledger.worker, "expire_due", { limit: 100000n });
  expect(await expiries(id)).toBe(count);
  expect(await now(id)).toBe(`1/0/${count}`);
});

test("a batch settles all reservations of a backlog", async () => {
  const count = 2 * CHUNK;
  const id = await makeBacklog("batch", count);
  // From the end of the queue, so that none is in the first chunk when its turn comes.
  const settle = (n: number) => ({ op: "settle", amount: 1, reservation_id: `r${n}` });
  const commands = Array.from({ length: count }, (_, i) => ({
    ...settle(count - i),
    idempotency_key: `s${i}`,
  }));
  const receipts = await post(ledger.agent, id, commands);
  expect(receipts.filter(({ event }) => event === "settled")).toHaveLength(count);
  expect(await expiries(id)).toBe(count);
  expect(await now(id)).toBe(`0/0/${count}`);
  const again = await post(ledger.agent, id, commands);
  expect(again.filter(({ replayed }) => replayed)).toHaveLength(count);
});
