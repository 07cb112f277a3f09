import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  type Arguments,
  call,
  command,
  createLedger,
  openWallet,
  postMany,
  type Receipt,
  type TestLedger,
  untilWaiting,
} from "../support/ledger.ts";

// 50 callers spend a small budget by usage, while an operator changes the price: they never get
// beyond it, and every event costs what the row that it names says.

const CALLERS = 50;
const FUNDS = 3_000n;
const MODEL = "test/model";

let ledger: TestLedger;
let wallet = "";
let tests = 0;

beforeAll(async () => {
  ledger = await createLedger();
});
afterEach(() => checkInvariants(ledger));
afterAll(() => ledger[Symbol.asyncDispose]());

beforeEach(async () => {
  tests += 1;
  wallet = await openWallet(ledger, `wallet ${tests}`, FUNDS);
  await setPrice(1);
});

/** Sets the price of a token of input, in nano-dollars; output costs three times as much. */
async function setPrice(nanos: number): Promise<void> {
  const rates = { input: nanos * 1_000_000, output: nanos * 3_000_000 };
  await call(ledger.operator, "set_price", { model: MODEL, rates });
}

/** The code of a refusal, or the event. */
async function send(sql: TestLedger["agent"], op: string, args: object): Promise<string> {
  try {
    const its = { wallet_id: wallet, amount: null, ...args };
    return (await command(sql, op, its)).event ?? "";
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
}

/** A caller's calls, one after the other: held by what it may use, settled by what it used. */
async function spend(name: number): Promise<string[]> {
  await using session = await ledger.session("agent");
  const { sql } = session;
  const answers: string[] = [];
  for (let i = 0; i < 4; i++) {
    const id = `${name} ${i}`;
    // The charges are small, so that they leave something to reserve.
    const counts = i === 0 ? { input: 1, output: 1 } : { input: 20 + name, output: 10 };
    const held = { idempotency_key: id, usage: { model: MODEL, ...counts } };
    const answer = await send(sql, i === 0 ? "charge" : "reserve", held);
    answers.push(answer);
    if (answer !== "reserved") continue;
    const part = { reservation_id: id, final: false, idempotency_key: `${id} part` };
    if (i % 2 === 0) answers.push(await send(sql, "settle", { ...part, usage: { input: 20 } }));
    const rest = { reservation_id: id, idempotency_key: `${id} rest` };
    answers.push(await send(sql, "settle", { ...rest, usage: { input: name, output: 9 } }));
  }
  return answers;
}

/** The events whose cost is not what their row says, worked out from what they have on record. */
const findWrong = () => ledger.admin`
  select e.seq from baseledger.events e
    left join baseledger.price_rows p on p.price_id = (e.details ->> 'price')::bigint
    where e.wallet_id = ${wallet}
      and e.event in ('reserved', 'settled', 'charged')
      and (
        coalesce((e.details -> 'usage' ->> 'input')::bigint, 0) * (p.rates ->> 'input')::bigint
          + coalesce((e.details -> 'usage' ->> 'output')::bigint, 0)
            * (p.rates ->> 'output')::bigint
      ) / 1000000 is distinct from e.amount`;

/** The settlements that have another price than their reservation. */
const findRepriced = () => ledger.admin`
  select s.seq from baseledger.events s
    join baseledger.events o
      on o.wallet_id = s.wallet_id and o.reservation_id = s.reservation_id and o.event = 'reserved'
    where s.wallet_id = ${wallet}
      and s.event = 'settled'
      and s.details -> 'price' is distinct from o.details -> 'price'`;

test("callers by usage never spend more than there is, while prices change", async () => {
  const callers = Array.from({ length: CALLERS }, (_, name) => spend(name));
  let running = true;
  const pricing = (async () => {
    for (let nanos = 2; running; nanos = (nanos % 5) + 1) await setPrice(nanos);
  })();
  const answers = (await Promise.all(callers)).flat();
  running = false;
  await pricing;
  expect([...new Set(answers)].sort()).toEqual(["LGNSF", "charged", "reserved", "settled"]);
  const [row] = await ledger.admin<{ available: bigint; spent: bigint; lowest: bigint }[]>`
    select w.available, w.spent, (select min(e.available) from baseledger.events e
        where e.wallet_id = w.wallet_id) as lowest
      from baseledger.wallets w where w.wallet_id = ${wallet}`;
  expect(row?.lowest).toBeGreaterThanOrEqual(0n);
  expect(row?.spent).toBeGreaterThan(FUNDS / 3n);
  expect(row?.spent).toBeLessThanOrEqual(FUNDS);
  expect(await findWrong()).toEqual([]);
  expect(await findRepriced()).toEqual([]);
});

/** Sends commands to several wallets again while somebody else has the wallet. */
async function sendAll(
  sql: TestLedger["agent"],
  commands: readonly Arguments[],
): Promise<Receipt[]> {
  const receipts = await postMany(sql, commands);
  const busy = commands.filter((_, i) => receipts[i]?.refused === "LGBSY");
  const answered = receipts.filter(({ refused }) => refused !== "LGBSY");
  return busy.length === 0 ? answered : [...answered, ...(await sendAll(sql, busy))];
}

test("batches over wallets never spend more than there is, nor more tokens", async () => {
  const other = await openWallet(ledger, `other ${tests}`, FUNDS);
  const tokens = { wallet_id: wallet, limit_id: "tokens", of: "tokens", per: "ever", amount: 900n };
  await command(ledger.operator, "set_limit", tokens);
  const answers = await Promise.all(
    Array.from({ length: CALLERS }, async (_, name) => {
      await using session = await ledger.session("agent");
      const commands = Array.from({ length: 6 }, (__, i) => ({
        ...{ op: i < 3 ? "charge" : "reserve", wallet_id: i % 2 === 0 ? wallet : other },
        idempotency_key: `${name} ${i}`,
        usage: { model: MODEL, input: 20 + name, output: 10 },
      }));
      return await sendAll(session.sql, commands);
    }),
  );
  const refused = new Set(answers.flat().map((receipt) => receipt.refused));
  expect(refused.has(null)).toBe(true);
  expect(refused.has("LGLIM")).toBe(true);
  const [row] = await ledger.admin<{ tokens: bigint }[]>`
    select sum((details -> 'usage' ->> 'input')::bigint + 10)::bigint as tokens
      from baseledger.events where wallet_id = ${wallet} and details ? 'usage'`;
  expect(row?.tokens).toBeLessThanOrEqual(900n);
  expect(row?.tokens).toBeGreaterThan(800n);
  const [used] = await call<{ used: bigint }>(ledger.operator, "limits", { wallet_id: wallet });
  expect(used?.used).toBe(row?.tokens);
  expect(await findWrong()).toEqual([]);
});

test("several prices wait for those before them to be committed", async () => {
  await using first = await ledger.session("operator");
  await using second = await ledger.session("operator");
  const rates = { input: 1 };
  await first.sql.unsafe("begin");
  await call(first.sql, "set_prices", { prices: [{ model: `first/${tests}`, rates }] });
  const waiting = call<{ price_id: bigint }>(second.sql, "set_prices", {
    prices: [{ model: `second/${tests}`, rates }],
  });
  await untilWaiting(ledger, second);
  await first.sql.unsafe("commit");
  const [later] = await waiting;
  const [last] = await ledger.auditor<{ last: bigint }[]>`
    select max(price_id) as last from baseledger.prices where model = ${`first/${tests}`}`;
  expect(later?.price_id).toBe((last?.last ?? 0n) + 1n);
});
