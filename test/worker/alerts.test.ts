import postgres from "postgres";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  type AddWebhookArgs,
  addWebhook,
  balance,
  charge,
  credit,
  openWallet,
  removeWebhook,
  reserve,
  setLimit,
  setPrice,
} from "../../src/generated/index.ts";
import { startWorker, type Worker, type WorkerOptions } from "../../src/worker/index.ts";
import { type Started, start as startProgram } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";
import { type Receiver, startReceiver } from "./receiver.ts";

let database: TestDatabase;
let sql: postgres.Sql;
/** Of a login that has no more rights than a worker needs. */
let url: string;
let login: string;
let receiver: Receiver;
let workers: Worker[];
let programs: Started[];
let walletId: string;
let run = 0;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 5, onnotice: () => undefined });
  login = `deliverer_of_${database.name}`;
  await sql.unsafe(`
    create role ${login} login password 'secret' in role baseledger_worker;
    grant create on database ${database.name} to ${login}`);
  url = Object.assign(new URL(database.url), { username: login, password: "secret" }).href;
});
afterAll(async () => {
  await sql.unsafe(`drop owned by ${login} cascade; drop role ${login}`);
  await sql.end();
  await database.drop();
});

beforeEach(async () => {
  run += 1;
  walletId = `wallet ${run}/ä`;
  workers = [];
  programs = [];
  receiver = await startReceiver();
  await openWallet(sql, { walletId });
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  for (const { child, ended } of programs) {
    child.kill("SIGKILL");
    await ended;
  }
  await receiver[Symbol.asyncDispose]();
  await sql`delete from baseledger.deliveries`;
});

async function start(options: Partial<WorkerOptions> = {}): Promise<Worker> {
  const worker = await startWorker({ url, ...options });
  workers.push(worker);
  return worker;
}

/** Adds a webhook at the receiver, or at another address, as an operator does. */
async function hook(args: Partial<AddWebhookArgs> = {}) {
  return sql.begin(async (transaction) => {
    await transaction`set local role baseledger_operator`;
    const address = `http://127.0.0.1:${receiver.port}/hook`;
    return addWebhook(transaction, { walletId, url: address, allowPrivate: true, ...args });
  });
}

/** Raises alerts of this wallet, as a command does that uses a limit up to 80 %. */
async function raise(seq: number, limitIds: readonly string[] = ["month"]): Promise<void> {
  await sql`
    select baseledger._write_alerts(${walletId}, ${seq}, array(
      select row('limit', 80, l, '{}', 1000, 850, date_trunc('month', now()),
          date_trunc('month', now()) + interval '1 month', now())::baseledger._alert
        from unnest(${limitIds as string[]}::text[]) as l
    ))`;
}

interface State {
  readonly state: string;
  readonly attempts: number;
  readonly last_error: string | null;
}

/** What has become of the alerts of this wallet, as an auditor sees it. */
async function states(): Promise<State[]> {
  return sql.begin(async (transaction) => {
    await transaction`set local role baseledger_auditor`;
    return transaction<State[]>`
      select state, attempts, last_error from baseledger.alerts
        where wallet_id = ${walletId} order by seq, number, webhook_id`;
  });
}

async function untilState(wanted: Partial<State>): Promise<void> {
  await until(`the delivery is ${JSON.stringify(wanted)}`, async () => {
    const all = await states();
    return (
      all.length > 0 && all.every((each) => expect.objectContaining(wanted).asymmetricMatch(each))
    );
  });
}

async function jobs(): Promise<number> {
  const [row] = await sql<{ count: string }[]>`
    select count(*) from baseledger_worker.jobs where task_identifier = 'baseledger_deliver_alert'`;
  return Number(row?.count);
}

/** Makes all that is pending due now, as if the worker that took it had died a while ago. */
async function letDue(): Promise<void> {
  await sql`update baseledger.deliveries set due_at = now() - interval '1 second'`;
}

test("sends each alert once, signed with the secret of its webhook", async () => {
  const { secret } = await hook();
  await start();
  const began = Date.now();
  await raise(1);
  await until("it is received", () => receiver.received.length > 0);
  // At most a second by design; the rest is for a busy machine.
  expect(Date.now() - began).toBeLessThan(3_000);
  await untilState({ state: "sent", attempts: 1, last_error: null });
  expect(receiver.received).toHaveLength(1);
  const [{ path, headers, body } = { path: "", headers: {}, body: "" }] = receiver.received;
  expect(path).toBe("/hook");
  expect(new Webhook(secret ?? "").verify(body, headers)).toMatchObject({
    type: "baseledger.limit",
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*\+00:00$/),
    data: {
      ...{ wallet_id: walletId, seq: 1, number: 1, kind: "limit", threshold: 80 },
      ...{ limit_id: "month", values: [], amount: "1000", value: "850", unit: "USD", scale: 9 },
      suppressed: 0,
    },
  });
  await until("its job is done", async () => (await jobs()) === 0);
});

test("tells of a limit that is used up to a percentage, and of a low balance", async () => {
  await hook();
  await start();
  await sql`
    select baseledger.set_limit(${walletId}, 'team-day', 100, 'day', '{team}', p_alert_at => '{80}')`;
  await credit(sql, { walletId, amount: 1_000n, idempotencyKey: "c" });
  await sql`select baseledger.set_low_balance(${walletId}, '{950}')`;
  await charge(sql, { walletId, amount: 85n, idempotencyKey: "x", metadata: { team: "blue" } });
  await until("both are received", () => receiver.received.length === 2);
  const sent = receiver.received.map(({ body }) => JSON.parse(body));
  expect(sent.toSorted((a, b) => b.type.localeCompare(a.type))).toMatchObject([
    {
      type: "baseledger.low_balance",
      data: { wallet_id: walletId, threshold: "950", amount: "950", value: "915", limit_id: null },
    },
    {
      type: "baseledger.limit",
      data: {
        ...{ wallet_id: walletId, threshold: 80, amount: "100", value: "85" },
        ...{ limit_id: "team-day", values: ["blue"], per: "day", of: "amount" },
        ends_at: expect.stringMatching(/T00:00:00\+00:00$/),
      },
    },
  ]);
});

test("tells of tokens without the wallet's unit and decimals", async () => {
  await hook();
  await start();
  await setPrice(sql, { model: "test/free", rates: { output: 0 } });
  const limit = { limitId: "tokens", amount: 100n, per: "day", of: "tokens", alertAt: [80] };
  await setLimit(sql, { walletId, ...limit });
  const usage = { model: "test/free", output: 85 };
  await charge(sql, { walletId, usage, idempotencyKey: "x" });
  await until("it is received", () => receiver.received.length === 1);
  expect(JSON.parse(receiver.received[0]?.body ?? "").data).toMatchObject({
    ...{ limit_id: "tokens", of: "tokens", threshold: 80, amount: "100", value: "85" },
    ...{ unit: null, scale: null },
  });
});

test("an alert without a webhook goes nowhere, one of all wallets gets it", async () => {
  await raise(1);
  const { webhookId } = await hook({ walletId: null });
  await raise(2);
  await start();
  await until("one is received", () => receiver.received.length > 0);
  await until("it is sent", async () => (await states())[1]?.state === "sent");
  expect((await states())[0]?.state).toBe("none");
  await removeWebhook(sql, { webhookId });
});

test("tries again when the receiver was down, with the same id", async () => {
  await hook();
  const { port } = receiver;
  await receiver[Symbol.asyncDispose]();
  const warnings: string[] = [];
  await start({ logger: { info: () => undefined, warn: (text) => void warnings.push(text) } });
  await raise(1);
  await until("it could not be sent", async () => {
    return (await states())[0]?.last_error?.includes("ECONNREFUSED");
  });
  receiver = await startReceiver(port);
  await untilState({ state: "sent" });
  expect(warnings).toContainEqual(expect.stringContaining("ECONNREFUSED"));
});

test("tries again after an answer of 500, with the same message id and a new signature", async () => {
  const { secret } = await hook();
  receiver.answer = (response) =>
    response.writeHead(receiver.received.length === 1 ? 500 : 200).end();
  await start();
  await raise(1);
  await untilState({ state: "sent", attempts: 2, last_error: "answered 500" });
  const [first, second] = receiver.received;
  expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
  for (const { body, headers } of receiver.received) {
    expect(() => new Webhook(secret ?? "").verify(body, headers)).not.toThrow();
  }
});

test("gives up after the last attempt, visibly", async () => {
  await hook();
  receiver.answer = (response) => response.writeHead(500).end();
  await raise(1);
  await sql`update baseledger.deliveries set attempts = 13 where wallet_id = ${walletId}`;
  const warnings: string[] = [];
  await start({ logger: { info: () => undefined, warn: (text) => void warnings.push(text) } });
  await untilState({ state: "failed", attempts: 14, last_error: "answered 500" });
  await until("its job is done", async () => (await jobs()) === 0);
  await until("it has said so", () => warnings.some((text) => text.endsWith("given up")));
  expect(receiver.received).toHaveLength(1);
});

test("follows no redirect", async () => {
  await hook();
  receiver.answer = (response) =>
    response.writeHead(307, { location: `http://127.0.0.1:${receiver.port}/private` }).end();
  await start();
  await raise(1);
  await untilState({ state: "pending", last_error: "answered 307" });
  expect(receiver.received.map(({ path }) => path)).not.toContain("/private");
});

test("sends nothing to private addresses, unless the webhook allows them", async () => {
  for (const host of ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"]) {
    await hook({ url: `http://${host}:${receiver.port}/private`, allowPrivate: false });
  }
  await hook();
  await start();
  await raise(1);
  await until("all were tried", async () => {
    const all = await states();
    return all.length === 5 && all.every(({ attempts }) => attempts > 0);
  });
  await until("each has ended", async () => {
    return (await states()).every(({ state, last_error }) => state === "sent" || last_error);
  });
  const refused = (await states()).filter(({ state }) => state === "pending");
  expect(refused.map(({ last_error }) => last_error)).toEqual(
    Array(4).fill(expect.stringContaining("no public address")),
  );
  expect(receiver.received.map(({ path }) => path)).toEqual(["/hook"]);
});

test("receivers that are slow do not keep the sweep waiting", async () => {
  await hook();
  receiver.answer = () => undefined;
  const worker = await start();
  await raise(
    1,
    Array.from({ length: 8 }, (_, index) => `limit ${index}`),
  );
  await until("all places are taken", () => receiver.received.length >= 4);
  await credit(sql, { walletId, amount: 10n, idempotencyKey: "c" });
  await reserve(sql, { walletId, amount: 5n, idempotencyKey: "r", ttl: 1 });
  await until("the reservation is swept", async () => {
    const [row] = await sql`
      select from baseledger.journal where wallet_id = ${walletId} and event = 'expired'`;
    return row !== undefined;
  });
  expect(receiver.received).toHaveLength(4);
  expect((await balance(sql, { walletId })).available).toBe(10n);
  const began = performance.now();
  workers = [];
  await worker.stop();
  // It does not wait for the time-out.
  expect(performance.now() - began).toBeLessThan(5_000);
  expect((await states()).map(({ last_error }) => last_error)).toContain("the worker was stopped");
  expect(await sql`select from baseledger_worker.jobs where locked_at is not null`).toEqual([]);
});

test("two workers send each alert once", async () => {
  await hook();
  await Promise.all([start(), start()]);
  const limitIds = Array.from({ length: 40 }, (_, index) => `limit ${index}`);
  for (const [index, limitId] of limitIds.entries()) await raise(index + 1, [limitId]);
  await untilState({ state: "sent" });
  await until("no job is left", async () => (await jobs()) === 0);
  const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
  expect(ids).toHaveLength(40);
  expect(new Set(ids).size).toBe(40);
});

test("of more than 20 of one limit in an hour, the rest is suppressed and counted", async () => {
  await hook();
  await raise(1, Array(25).fill("often"));
  await start();
  await until("20 are received", () => receiver.received.length === 20);
  await until("none is pending", async () => {
    return (await states()).every(({ state }) => state !== "pending");
  });
  expect((await states()).filter(({ state }) => state === "suppressed")).toHaveLength(5);
  await sql`
    update baseledger.delivery_rates
      set queued_at = array(select q - interval '1 hour' from unnest(queued_at) as q)
      where wallet_id = ${walletId}`;
  await raise(2, ["often"]);
  await until("the next is received", () => receiver.received.length === 21);
  expect(JSON.parse(receiver.received[20]?.body ?? "").data).toMatchObject({
    seq: 2,
    suppressed: 5,
  });
});

test("what a killed worker was sending is sent again by another", async () => {
  await hook();
  receiver.answer = () => undefined;
  const program = startProgram(["worker"], { DATABASE_URL: url });
  programs.push(program);
  await until("it has started", () => program.said().includes("expiry job started"));
  await raise(1);
  await until("it is sending", () => receiver.received.length === 1);
  program.child.kill("SIGKILL");
  await program.ended;
  receiver.answer = (response) => response.writeHead(200).end();
  await start();
  expect(await states()).toMatchObject([{ state: "pending", attempts: 1 }]);
  await letDue();
  await untilState({ state: "sent", attempts: 2 });
  const [first, second] = receiver.received;
  expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
});

test("a job that was lost is queued again", async () => {
  await hook();
  receiver.answer = (response) =>
    response.writeHead(receiver.received.length === 1 ? 500 : 200).end();
  await start();
  await raise(1);
  await untilState({ state: "pending", last_error: "answered 500" });
  await until("its job is gone", async () => {
    await sql`
      delete from baseledger_worker._private_jobs j using baseledger_worker._private_tasks t
        where t.id = j.task_id and t.identifier = 'baseledger_deliver_alert'`;
    return (await jobs()) === 0;
  });
  await letDue();
  await untilState({ state: "sent", attempts: 2 });
});

test("nothing is sent to a webhook that was removed", async () => {
  const { webhookId } = await hook();
  await raise(1);
  await removeWebhook(sql, { webhookId });
  await hook();
  await raise(2);
  await start();
  await until("the other one is sent", () => receiver.received.length === 1);
  expect(JSON.parse(receiver.received[0]?.body ?? "").data.seq).toBe(2);
  expect((await states())[0]).toMatchObject({
    state: "failed",
    last_error: "the webhook was removed",
  });
});

test("when alerts cannot be queued, it says so once, and the sweep goes on", async () => {
  await sql`revoke execute on function baseledger.queue_deliveries from baseledger_worker`;
  const warnings: string[] = [];
  let sweeps = 0;
  await start({
    logger: { info: () => undefined, warn: (text) => void warnings.push(text) },
    onSweep: () => {
      sweeps += 1;
    },
  });
  await until("it has swept several times", () => sweeps >= 3);
  expect(warnings).toEqual([expect.stringContaining("alerts could not be queued")]);
  await hook();
  await raise(1);
  await sql`grant execute on function baseledger.queue_deliveries to baseledger_worker`;
  await untilState({ state: "sent" });
});

test("counters of windows that are over are cleared", async () => {
  await sql`select baseledger.set_limit(${walletId}, 'a', 5, 'minute')`;
  await credit(sql, { walletId, amount: 10n, idempotencyKey: "c" });
  await reserve(sql, { walletId, amount: 5n, idempotencyKey: "r", ttl: 1 });
  await sql`select baseledger.cancel(${walletId}, 'r', 'x')`;
  const changed = await sql`
    update baseledger.counters
      set starts_at = starts_at - interval '1 hour', ends_at = ends_at - interval '1 hour'
      where wallet_id = ${walletId}`;
  expect(changed.count).toBe(1);
  await start();
  await until("it is cleared", async () => {
    return (await sql`select from baseledger.counters where wallet_id = ${walletId}`).count === 0;
  });
});
