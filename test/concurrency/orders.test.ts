import type postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants, checkPast } from "../support/invariants.ts";
import {
  type Arguments,
  command,
  createLedger,
  history,
  openWallet,
  outcome,
  queueUp,
  type Receipt,
  type Role,
  type TestLedger,
  untilWaiting,
} from "../support/ledger.ts";

/** A command of a race. */
interface Contender {
  readonly role: Role;
  readonly name: string;
  readonly args: Arguments;
}

type Outcomes = readonly [string, string];

const agent = (name: string, args: Arguments): Contender => ({ role: "agent", name, args });
const operator = (name: string, args: Arguments): Contender => ({ role: "operator", name, args });

const settle = agent("settle", { reservation_id: "r", amount: 60n });
const part = agent("settle", { reservation_id: "r", amount: 60n, final: false });
const cancel = agent("cancel", { reservation_id: "r" });
const extend = agent("extend", { reservation_id: "r", ttl: "1 hour" });
const enlarge = agent("extend", { reservation_id: "r", ttl: "1 hour", amount: 1000n });
const reserveRest = agent("reserve", { amount: 900n });
const reserveOne = agent("reserve", { amount: 1n });
const chargeRest = agent("charge", { amount: 900n });
const withdrawRest = operator("withdraw", { amount: 900n });
const reserveSameId = agent("reserve", { amount: 5n, reservation_id: "same" });
const chargeSameId = agent("charge", { amount: 5n, reservation_id: "same" });
const freeze = operator("freeze_wallet", { reason: "stop" });
const credit = operator("credit", { amount: 10n });
const refund = operator("refund", { reservation_id: "c", amount: 60n });
const batch: Contender = {
  role: "agent",
  name: "post",
  args: {
    commands: [
      { op: "settle", reservation_id: "r", amount: 60, idempotency_key: "batch settle" },
      { op: "reserve", amount: 900, idempotency_key: "batch reserve" },
    ],
  },
};

// Each wallet has 900 available, 100 reserved as `r`, and 60 charged as `c`.
// The outcomes of both if the first command goes first, and if the second does.
const races: [string, Contender, Contender, Outcomes, Outcomes][] = [
  ["cancel and settle", cancel, settle, ["cancelled", "LGEND"], ["LGEND", "settled"]],
  ["settle and settle", settle, settle, ["settled", "LGEND"], ["LGEND", "settled"]],
  ["cancel and cancel", cancel, cancel, ["cancelled", "LGEND"], ["LGEND", "cancelled"]],
  ["extend and settle", extend, settle, ["extended", "settled"], ["LGEND", "settled"]],
  ["extend and cancel", extend, cancel, ["extended", "cancelled"], ["LGEND", "cancelled"]],
  ["a part and the rest", part, settle, ["settled", "settled"], ["LGEND", "settled"]],
  ["a part and cancel", part, cancel, ["settled", "cancelled"], ["LGEND", "cancelled"]],
  ["reserve and reserve", reserveRest, reserveOne, ["reserved", "LGNSF"], ["LGNSF", "reserved"]],
  ["reserve and charge", reserveRest, chargeRest, ["reserved", "LGNSF"], ["LGNSF", "charged"]],
  ["reserve and enlarge", reserveRest, enlarge, ["reserved", "LGNSF"], ["LGNSF", "extended"]],
  ["withdraw and reserve", withdrawRest, reserveOne, ["withdrawn", "LGNSF"], ["LGNSF", "reserved"]],
  [
    "one id, two commands",
    reserveSameId,
    chargeSameId,
    ["reserved", "LGRID"],
    ["LGRID", "charged"],
  ],
  ["freeze and reserve", freeze, reserveOne, ["frozen", "LGFRZ"], ["frozen", "reserved"]],
  ["freeze and charge", freeze, chargeRest, ["frozen", "LGFRZ"], ["frozen", "charged"]],
  ["freeze and withdraw", freeze, withdrawRest, ["frozen", "LGFRZ"], ["frozen", "withdrawn"]],
  ["freeze and enlarge", freeze, enlarge, ["frozen", "LGFRZ"], ["frozen", "extended"]],
  ["freeze and extend", freeze, extend, ["frozen", "extended"], ["frozen", "extended"]],
  ["freeze and settle", freeze, settle, ["frozen", "settled"], ["frozen", "settled"]],
  ["freeze and credit", freeze, credit, ["frozen", "credited"], ["frozen", "credited"]],
  ["refund and refund", refund, refund, ["refunded", "LGRFD"], ["LGRFD", "refunded"]],
  [
    "a batch and cancel",
    batch,
    cancel,
    ["settled reserved", "LGEND"],
    ["LGEND reserved", "cancelled"],
  ],
];

let ledger: TestLedger;
let wallets = 0;

beforeAll(async () => {
  ledger = await createLedger();
});
afterEach(() => checkInvariants(ledger));
afterAll(async () => {
  await checkPast(ledger);
  await ledger[Symbol.asyncDispose]();
});

async function wallet(): Promise<string> {
  wallets += 1;
  const id = await openWallet(ledger, `wallet-${wallets}`, 1060n);
  const reservation = { amount: 100n, idempotency_key: "reserve r", reservation_id: "r" };
  await command(ledger.agent, "reserve", { wallet_id: id, ...reservation });
  await command(ledger.agent, "charge", { wallet_id: id, amount: 60n, idempotency_key: "c" });
  return id;
}

/** Sends a contender's command, with its place as the key. */
async function send(
  sql: postgres.Sql,
  walletId: string,
  { name, args }: Contender,
  place: number,
): Promise<string> {
  const key = name === "post" ? {} : { idempotency_key: `place ${place}` };
  const given = { wallet_id: walletId, ...key, ...args };
  const query = name === "post" ? sendBatch(sql, given) : command(sql, name, given).then(answerOf);
  const result = await outcome(query);
  return typeof result === "string" ? result : result.code;
}

async function sendBatch(sql: postgres.Sql, args: Arguments): Promise<string> {
  const receipts = await sql<Receipt[]>`
    select * from baseledger.post(${args.wallet_id as string},
      ${JSON.stringify(args.commands)}::text::jsonb)`;
  return receipts.map(answerOf).join(" ");
}

function answerOf({ event, refused, replayed }: Receipt): string {
  return refused ?? (replayed ? `${event} before` : `${event}`);
}

describe.each(races)("%s", (_name, a, b, aThenB, bThenA) => {
  const swapped: Outcomes = [bThenA[1], bThenA[0]];
  const orders: [string, Contender, Contender, Outcomes, Outcomes][] = [
    ["in this order", a, b, aThenB, swapped],
    ["in the other order", b, a, swapped, aThenB],
  ];

  test.each(orders)("%s, both waiting for a third", async (_order, first, second, expected) => {
    const id = await wallet();
    const outcomes = await queueUp(ledger, id, [
      [first.role, (sql) => send(sql, id, first, 1)],
      [second.role, (sql) => send(sql, id, second, 2)],
    ]);
    expect(outcomes).toEqual(expected);
  });

  test.each(orders)("%s, the second waiting", async (_order, first, second, expected) => {
    const id = await wallet();
    await using one = await ledger.session(first.role);
    await using two = await ledger.session(second.role);
    await one.sql.unsafe("begin");
    const won = await send(one.sql, id, first, 1);
    const waiting = send(two.sql, id, second, 2);
    await untilWaiting(ledger, two);
    await one.sql.unsafe("commit");
    expect([won, await waiting]).toEqual(expected);
  });

  test.each(orders)(
    "%s, the first rolled back and sent again",
    async (_order, first, second, _expected, other) => {
      const id = await wallet();
      const before = await history(ledger, id);
      await using one = await ledger.session(first.role);
      await using two = await ledger.session(second.role);
      await one.sql.unsafe("begin");
      await send(one.sql, id, first, 1);
      const waiting = send(two.sql, id, second, 2);
      await untilWaiting(ledger, two);
      expect(await history(ledger, id)).toEqual(before);
      await one.sql.unsafe("rollback");
      expect([await waiting, await send(one.sql, id, first, 1)]).toEqual(other);
    },
  );
});
