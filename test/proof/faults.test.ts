// The parts of proof/faults in a small size, and that they can fail; `npm run proof` runs them longer.

import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import type { Json } from "../../src/json/index.ts";
import { createNetwork } from "../client/network.ts";
import { templateServer } from "../support/server.ts";
import { copyTemplate } from "../support/template.ts";
import { until } from "../support/until.ts";
import { check } from "./faults/check.ts";
import { histories } from "./faults/histories.ts";
import { type Answer, createHistory, type Sent } from "./faults/history.ts";
import { type Entry, readJournal } from "./faults/journal.ts";
import { connectSql, sendSql } from "./faults/send.ts";
import { createStage } from "./faults/stage.ts";
import { faults } from "./faults/under-faults.ts";
import { playWave } from "./faults/wave.ts";
import type { Budget } from "./part.ts";

const PATIENCE_MS = 180_000;

const createDatabase = () => copyTemplate(templateServer());

function budget(runs: number): Budget {
  const until = performance.now() + PATIENCE_MS;
  return { seed: randomInt(1_000_000), runs, until, log: () => undefined, createDatabase };
}

test("what many clients are answered is in the journal", { timeout: PATIENCE_MS }, async () => {
  const { ran, failure } = await histories.run(budget(3));
  expect(failure).toBeUndefined();
  expect(ran.granted).toBeGreaterThan(300);
  expect(ran.placed).toBeGreaterThan(300);
  expect(ran.reads).toBeGreaterThan(30);
  expect(ran.ofTheseByPostMany).toBeGreaterThan(20);
  expect(ran.busyCommands).toBeGreaterThan(0);
});

test("also while the server, clients and connections are killed", {
  timeout: PATIENCE_MS,
}, async () => {
  const { ran, failure } = await faults.run(budget(2));
  expect(failure).toBeUndefined();
  expect(ran.serverKills).toBe(2);
  expect(ran.granted).toBeGreaterThan(10);
});

test("a wrong journal or answer is found", { timeout: PATIENCE_MS }, async () => {
  await using stage = await createStage();
  const crowd = { name: "w", seed: 1, bySql: 4, callers: 4, sweepers: 1 };
  const { checked } = await playWave(stage, crowd, (wave) => wave.answers(400));
  const [wallets, sent, entries] = checked;
  const found = (calls: readonly Sent[], journal: readonly Entry[]) =>
    check(wallets, calls, journal).wrong[0] ?? "nothing";
  expect(found(sent, entries)).toBe("nothing");
  // Most kinds of events and refusals have occurred.
  expect(new Set(entries.map(({ event }) => event)).size).toBeGreaterThan(8);
  const refusals = sent.flatMap(({ answer }) =>
    answer && "refused" in answer ? answer.refused : [],
  );
  expect(new Set(refusals).size).toBeGreaterThan(3);

  // A charge or a credit by SQL, sent once and granted: the last of a wallet.
  const isOnce = ({ call, args, via, answer }: Sent) =>
    via === "sql" &&
    /^(charge|credit)$/.test(call) &&
    answer !== undefined &&
    "receipts" in answer &&
    sent.filter((other) => other.args.idempotency_key === args.idempotency_key).length === 1;
  const last = sent.findLast(isOnce) as Sent;
  const its = entries.find((each) => each.idempotency_key === last.args.idempotency_key) as Entry;
  const otherwise = (change: Partial<Sent>) =>
    sent.map((each) => (each === last ? { ...each, ...change } : each));

  expect(
    found(
      sent,
      entries.filter((each) => each !== its),
    ),
  ).toMatch(/^lost/);
  expect(found(sent, [...entries, its])).toMatch(/is there 2 times/);
  const changed = entries.map((each) =>
    each === its ? { ...its, amount: (its.amount ?? 0n) + 1n } : each,
  );
  expect(found(sent, changed)).toMatch(/was answered .* but is/);
  expect(
    found(
      sent.filter((each) => each !== last),
      entries,
    ),
  ).toMatch(/^never sent/);
  const refusal = { refused: "LGNSF", detail: {} };
  expect(found(otherwise({ answer: refusal }), entries)).toMatch(
    /was never granted, but is in the journal/,
  );
  const early = { clock: 0n, wall: 0n };
  expect(found(otherwise({ sent: early, answered: early }), entries)).toMatch(
    /^sent after a later/,
  );
  const refused = sent.find(({ answer }) => answer && "refused" in answer) as Sent;
  const dated = sent.map((each) => (each === refused ? { ...each, answer: refusal } : each));
  expect(found(dated, entries)).toMatch(/^no point of the journal of w-\w+ has this answer/);
});

test("a batch over wallets that is answered or committed in part is found", {
  timeout: PATIENCE_MS,
}, async () => {
  await using database = await createDatabase();
  await using sql = connectUntilEnd(database.url);
  const history = createHistory();
  const wallets = ["a", "b"];
  const commands = [
    { wallet_id: "a", op: "reserve", amount: 2, idempotency_key: "k" },
    { wallet_id: "b", op: "charge", amount: 3, idempotency_key: "k" },
    { wallet_id: "b", op: "charge", amount: 30, idempotency_key: "too much" },
  ];
  const funds = { amount: 9, idempotency_key: "funds" };
  const calls = [
    ...wallets.map((wallet_id) => ({ call: "open_wallet", args: { wallet_id } })),
    ...wallets.map((wallet_id) => ({ call: "credit", args: { wallet_id, ...funds } })),
    { call: "post_many", args: { commands } },
  ];
  for (const call of calls) {
    const answered = history.note(call, "sql");
    answered((await sendSql(sql.sql, call)) as Answer);
  }
  const entries = await readJournal(sql.sql, wallets);
  const found = (sent: readonly Sent[], journal = entries) =>
    check(wallets, sent, journal).wrong[0] ?? "nothing";
  expect(found(history.calls)).toBe("nothing");

  const alone = entries.map((each) => {
    return each.event === "charged" ? { ...each, transaction: "another" } : each;
  });
  expect(found(history.calls, alone)).toMatch(/^not committed together/);
  const refuse = (place: number, wallet_id: string) => {
    const [last, ...before] = history.calls.toReversed() as [Sent, ...Sent[]];
    const { receipts } = last.answer as { readonly receipts: readonly Json[] };
    const busy = { refused: "LGBSY", detail: { wallet_id } };
    return [...before, { ...last, answer: { receipts: receipts.with(place, busy) } }];
  };
  expect(found(refuse(0, "a"))).toMatch(/never granted, but is in the journal/);
  expect(found(refuse(2, "b"))).toMatch(/^b is busy only in part/);
});

test("an error left by a broken connection is no answer to the next call", {
  timeout: PATIENCE_MS,
}, async () => {
  await using database = await createDatabase();
  await using network = await createNetwork(database.url);
  await using sql = connectUntilEnd(network.through(database.url));
  await using other = connectUntilEnd(database.url);
  const call = { call: "withdraw", args: { wallet_id: "w", amount: 5, idempotency_key: "k" } };
  await sendSql(other.sql, { call: "open_wallet", args: { wallet_id: "w" } });
  expect(await sendSql(sql.sql, call)).toMatchObject({ refused: "LGNSF" });

  network.hold("answers");
  const refused = sendSql(sql.sql, call);
  await until("the refusal is on its way", () => network.held > READY_BYTES);
  await network.deliver(network.held - READY_BYTES);
  network.cut();
  network.release();
  expect(await refused).toBeUndefined();
  const funds = { wallet_id: "w", amount: 9, idempotency_key: "funds" };
  await sendSql(other.sql, { call: "credit", args: funds });
  await until("the call is answered", async () => {
    const answer = await sendSql(sql.sql, call);
    if (answer) expect(answer).toMatchObject({ receipts: [{ amount: 5n }] });
    return answer;
  });
});

/** The length of the message that ends an answer. */
const READY_BYTES = 6;

function connectUntilEnd(url: string) {
  const sql = connectSql(url);
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 0 }) };
}
