// The crowd of the field: callers of several clients, and by SQL, who go on whatever happens.
import { setTimeout as pause } from "node:timers/promises";
import type postgres from "postgres";
import type { Ledger } from "../../../src/client/ledger.ts";
import { createRandom, type Random } from "../../../src/demo/random.ts";
import { CLIENT_CALLS, SQL_CALLS } from "../faults/calls.ts";
import type { Answer, Call, Recorder } from "../faults/history.ts";
import { type Crowd, createSteps, type Load } from "../faults/load.ts";
import { connectSql, sendSql, sendThrough } from "../faults/send.ts";
import { waitUntil } from "../faults/wait.ts";
import { createGuards, type Guards } from "./guards.ts";
import type { Group, Measure } from "./measure.ts";

/** A client of the ledger that callers share. */
export interface Client {
  /** For the report, e.g. `pooled`. */
  readonly name: string;
  readonly ledger: Ledger;
}

export interface CrowdParts {
  readonly clients: readonly Client[];
  /** Addresses of callers by SQL: without time-outs, and with those of a role. */
  readonly urls: readonly [plain: string, hurried: string];
  readonly measure: Measure;
  readonly mayExpire?: (wallet: string) => boolean;
  /** How many of the first wallets nobody locks. */
  readonly free: number;
}

/** A crowd, its guarded calls, and what it has read. */
export interface FieldCrowd {
  start(crowd: Crowd): Load;
  readonly guards: Guards;
  readonly reads: number;
}

/** Callers of each client of wallets that nobody locks; of the others there is one each. */
const FREE_CALLERS = 5;
/** What a caller does between its calls, in milliseconds. */
const LONGEST_PAUSE = 90;
const LONGEST_CALL = 200;
const TTL = 60;

export function createCrowd(name: string, parts: CrowdParts): FieldCrowd {
  const { measure, mayExpire = () => false } = parts;
  const guards = createGuards(name, measure, mayExpire);
  let reads = 0;

  function start({ recorder, wallets, seed }: Crowd): Load {
    let stopped = false;
    let running = 0;
    const seen = watchSeqs(recorder);
    const free = { wallets: wallets.slice(0, parts.free), recorder: only(seen.recorder) };
    const shut = wallets.slice(parts.free);
    const shutRecorder = only(seen.recorder);
    const ends: (() => Promise<void>)[] = [];
    let callers = 0;

    const launch = (step: (random: Random) => Promise<void>, random: Random) => {
      const go = async () => {
        while (!stopped) {
          await step(random);
          await pause(random.integer(0, LONGEST_PAUSE));
        }
      };
      running += 1;
      void go().finally(() => {
        running -= 1;
      });
    };
    const source = (own: readonly string[], of: Recorder) => {
      const i = callers++;
      const random = createRandom(seed * 1000 + i);
      return { random, wallets: own, name: `${name}.${i}`, recorder: of };
    };

    function callThrough(client: Client, group: Group, own: readonly string[], of: Recorder) {
      const { ledger } = client;
      const by = `a caller of the ${client.name} client`;
      const from = source(own, of);
      const oneOf = () => own[from.random.integer(0, own.length - 1)] ?? "";
      const send = async (call: Call): Promise<Answer | undefined> => {
        const answered = measure.wait(group, `${by}: ${call.call}`);
        const answer = await sendThrough(ledger, call, (error) =>
          measure.error(`${by}: ${call.call}`, error),
        );
        answered();
        return answer;
      };
      const names = CLIENT_CALLS.filter((each) => own.length > 1 || each !== "transfer");
      const call = createSteps({ ...from, names, via: "client", send });
      const read = async () => {
        const walletId = oneOf();
        const known = seen.of(walletId);
        const answered = measure.wait(group, `${by}: balance`);
        try {
          const { seq } = await ledger.balance({ walletId });
          reads += 1;
          if (seq < known)
            measure.find(`${by} has read event ${seq} after ${known} of ${walletId}`);
        } catch (error) {
          measure.error(`${by}: balance`, error);
        }
        answered();
      };
      const guard = () => {
        const { random } = from;
        const lasts = () => pause(random.integer(0, LONGEST_CALL));
        return guards.run(ledger, { wallet: oneOf(), random, group, lasts, ttl: TTL, by });
      };
      launch((random) => {
        const kind = random.uniform();
        if (kind < 0.55) return call();
        return kind < 0.85 ? guard() : read();
      }, from.random);
    }

    function callBySql(url: string, own: readonly string[], of: Recorder) {
      let sql = connectSql(url);
      const from = source(own, of);
      const send = async (call: Call) => {
        const answer = await sendSql(sql, call);
        // What its documentation says: a server that takes no writes is left.
        if (answer && "failed" in answer && answer.failed === "25006") await renew();
        return answer;
      };
      const renew = async () => {
        const before: postgres.Sql = sql;
        sql = connectSql(url);
        await before.end({ timeout: 0 });
      };
      ends.push(() => sql.end({ timeout: 0 }));
      launch(createSteps({ ...from, names: SQL_CALLS, via: "sql", send }), from.random);
    }

    for (const client of parts.clients) {
      for (let i = 0; i < FREE_CALLERS; i++) {
        // The first wallet is hot.
        const own = i % 2 === 0 ? free.wallets.slice(0, 1) : free.wallets;
        callThrough(client, "free", own, free.recorder);
      }
      for (const wallet of shut) callThrough(client, "shut", [wallet], shutRecorder);
    }
    const [plain, hurried] = parts.urls;
    callBySql(plain, free.wallets, free.recorder);
    callBySql(hurried, shut, shutRecorder);

    return {
      async stop(how) {
        stopped = true;
        if (how) await Promise.all(ends.map((end) => end()));
        await waitUntil("each promise has an answer", () => running === 0);
        await Promise.all(ends.map((end) => end()));
      },
    };
  }
  return {
    start,
    guards,
    get reads() {
      return reads;
    },
  };
}

/** Notes up to which event of each wallet somebody was told. */
function watchSeqs(recorder: Recorder) {
  const known = new Map<string, bigint>();
  const tell = (receipt: unknown) => {
    const { wallet_id, seq } = (receipt ?? {}) as { wallet_id?: string; seq?: unknown };
    if (wallet_id === undefined || typeof seq !== "bigint") return;
    if (seq > (known.get(wallet_id) ?? 0n)) known.set(wallet_id, seq);
  };
  const watching: Recorder = {
    get answers() {
      return recorder.answers;
    },
    get calls() {
      return recorder.calls;
    },
    note(call, via) {
      const answered = recorder.note(call, via);
      return (answer) => {
        if ("receipts" in answer) answer.receipts.forEach(tell);
        answered(answer);
      };
    },
  };
  return { recorder: watching, of: (walletId: string) => known.get(walletId) ?? 0n };
}

/** A recorder that knows its own calls only: what is sent again is of the same wallets. */
function only(recorder: Recorder): Recorder {
  const calls: Call[] = [];
  return {
    calls,
    get answers() {
      return recorder.answers;
    },
    note(call, via) {
      calls.push(call);
      return recorder.note(call, via);
    },
  };
}
