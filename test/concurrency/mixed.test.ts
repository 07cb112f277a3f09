import { afterAll, beforeAll, expect, test } from "vitest";
import { checkInvariants, checkPast } from "../support/invariants.ts";
import {
  type Arguments,
  balance,
  call,
  command,
  createLedger,
  openWallet,
  outcome,
  type Receipt,
  type TestLedger,
} from "../support/ledger.ts";

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await createLedger();
});
afterAll(async () => {
  await ledger[Symbol.asyncDispose]();
});

/** Random numbers that come again for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5) | 0;
    state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
    return ((state ^ (state >>> 14)) >>> 0) % below;
  };
}

test("everything at once, over and over: whatever is acknowledged is so, and once", async () => {
  const seed = Date.now() % 1_000_000;
  const wallets = await Promise.all(
    ["a", "b", "c"].map((id) => openWallet(ledger, id, 2000n, { overdraft_limit: 300n })),
  );
  const sent: [string, Arguments][] = [];
  const seqOf = new Map<string, string>();
  const said = new Map<string, number>();

  /** A command, made up or sent before. */
  function next(random: (below: number) => number): [string, Arguments] {
    const before = sent[random(sent.length + 1)];
    if (before && random(5) === 0) return before;
    const wallet_id = wallets[random(3)] ?? "";
    const key = { wallet_id, idempotency_key: `k${sent.length}` };
    const reservation_id = `r${random(150)}`;
    const amount = BigInt(1 + random(120));
    const ttl = random(2) ? "1 second" : "1 hour";
    const batch = Array.from({ length: 1 + random(8) }, (_, i): Arguments => {
      const kinds: Arguments[] = [
        { op: "reserve", amount, ttl, reservation_id: `r${random(150)}` },
        { op: "settle", amount: BigInt(random(150)), reservation_id: `r${random(150)}` },
        { op: "cancel", reservation_id: `r${random(150)}` },
        { op: "charge", amount: 1n },
        { op: "refund", amount: 1n, reservation_id: `r${random(150)}` },
      ];
      return { ...kinds[random(5)], idempotency_key: `k${sent.length} ${i}` };
    });
    const to = wallets[random(3)] ?? "";
    const made: [string, Arguments][] = [
      ["reserve", { ...key, amount, ttl, reservation_id }],
      ["reserve", { ...key, amount, ttl, reservation_id, at_least: 1n }],
      ["settle", { ...key, amount, reservation_id, final: random(2) === 0 }],
      ["cancel", { ...key, reservation_id }],
      ["extend", { ...key, ttl, reservation_id, amount: random(2) ? amount : null }],
      ["charge", { ...key, amount, reservation_id }],
      ["refund", { ...key, amount, reservation_id }],
      ["credit", { ...key, amount }],
      ["withdraw", { ...key, amount }],
      ["transfer", { from: wallet_id, to, amount, idempotency_key: key.idempotency_key }],
      ["post_funds", { wallet_id, commands: batch }],
      ["post_funds", { wallet_id, commands: batch }],
      [random(4) ? "unfreeze_wallet" : "freeze_wallet", { ...key, reason: "because" }],
    ];
    const chosen = made[random(made.length)] ?? ["credit", key];
    sent.push(chosen);
    return chosen;
  }

  /** What was granted for a key stays what it was. */
  function note({ wallet_id, idempotency_key, seq, event, refused }: Receipt): void {
    const how = refused ?? `${event}`;
    said.set(how, (said.get(how) ?? 0) + 1);
    if (refused !== null || idempotency_key === null) return;
    const key = `${wallet_id} ${idempotency_key}`;
    const receipt = `${seq} ${event}`;
    expect([seed, key, seqOf.get(key) ?? receipt]).toEqual([seed, key, receipt]);
    seqOf.set(key, receipt);
  }

  let sending = true;
  const caller = async (index: number): Promise<void> => {
    const random = randomOf(seed + index);
    await using session = await ledger.session("operator");
    for (let i = 0; i < 300; i++) {
      const [name, args] = next(random);
      const result = await outcome(
        name === "post_funds"
          ? call<Receipt>(session.sql, name, args)
          : command(session.sql, name, args).then((receipt) => [receipt]),
      );
      if ("code" in result) {
        expect([seed, name, args, result.code.slice(0, 2)]).toEqual([seed, name, args, "LG"]);
        said.set(result.code, (said.get(result.code) ?? 0) + 1);
      } else for (const receipt of result) note(receipt);
    }
  };
  const sweeper = async (): Promise<void> => {
    while (sending) await call(ledger.worker, "expire_due", { limit: 3n });
  };
  const reader = async (): Promise<void> => {
    for (let i = 0; sending; i++) {
      const now = await balance(ledger.agent, wallets[i % 3] ?? "");
      expect(now.reserved >= 0n && now.spent >= 0n && now.available >= -300n).toBe(true);
    }
  };
  const watching = [sweeper(), sweeper(), reader()];
  await Promise.all(Array.from({ length: 12 }, (_, index) => caller(index)));
  sending = false;
  await Promise.all(watching);

  await checkInvariants(ledger);
  await checkPast(ledger);
  // What was acknowledged is in the journal, under its number, and nothing else is.
  const rows = await ledger.auditor<{ key: string; receipt: string }[]>`
    select wallet_id || ' ' || idempotency_key as key, seq || ' ' || event as receipt
      from baseledger.journal
      where idempotency_key is not null and idempotency_key <> 'funds'`;
  expect(new Map(rows.map(({ key, receipt }) => [key, receipt]))).toEqual(seqOf);
  // All of it has been in play.
  const events = await ledger.auditor<{ event: string }[]>`
    select distinct case when details @> '{"late": true}' then 'settled late' else event::text end
        as event
      from baseledger.journal`;
  expect(events.map(({ event }) => event)).toEqual(
    expect.arrayContaining(["expired", "settled late", "cancelled", "extended", "refunded"]),
  );
  expect([...said.keys()]).toEqual(expect.arrayContaining(["LGNSF", "LGRID", "LGEND", "LGFRZ"]));
}, 120_000);
