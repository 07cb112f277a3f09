// The crowd of the field: callers of several clients, and by SQL, who go on whatever happens.
import { setTimeout as pause } from "node:timers/promises";
import { createRandom } from "../../../src/demo/random.ts";
import type { Call, Recorder } from "../faults/history.ts";
import type { Crowd, Load } from "../faults/load.ts";
import { waitUntil } from "../faults/wait.ts";
import { type Client, createCaller, createSqlCaller, type Step } from "./callers.ts";
import { createGuards, type Guards } from "./guards.ts";
import type { Group, Measure } from "./measure.ts";

export interface CrowdParts {
  readonly clients: readonly Client[];
  /** Addresses of callers by SQL: without time-outs, and with those of a role. */
  readonly urls: readonly [plain: string, hurried: string];
  readonly measure: Measure;
  /** How many of the first wallets nobody locks. */
  readonly free: number;
  /** Whether a clock that jumps ahead may end the holds of a wallet. */
  readonly mayExpire?: (wallet: string) => boolean;
}

/** A crowd, its guarded calls, and how often it has read a balance. */
export interface FieldCrowd {
  start(crowd: Crowd): Load;
  readonly guards: Guards;
  readonly reads: number;
}

/** Callers of each client of wallets that nobody locks; each of the other wallets has one. */
const FREE_CALLERS = 5;
/** What a caller does between its calls, in milliseconds. */
const LONGEST_PAUSE = 90;

export function createCrowd(name: string, parts: CrowdParts): FieldCrowd {
  const { measure, clients, urls, mayExpire = () => false } = parts;
  const guards = createGuards(name, measure, mayExpire);
  let reads = 0;

  function start({ recorder, wallets, seed }: Crowd): Load {
    const seen = watchSeqs(recorder);
    const free = wallets.slice(0, parts.free);
    const shut = wallets.slice(parts.free);
    const recorders = { free: recordOwn(seen.recorder), shut: recordOwn(seen.recorder) };
    const running = createRunning();
    let callers = 0;
    const source = (group: Group, own: readonly string[]) => {
      const i = callers++;
      const random = createRandom(seed * 1000 + i);
      return { random, wallets: own, name: `${name}.${i}`, group, recorder: recorders[group] };
    };
    const common = { measure, guards, seqOf: seen.seqOf, onRead: () => void reads++ };
    for (const client of clients) {
      const launch = (group: Group, own: readonly string[]) =>
        running.launch(createCaller(client, { ...source(group, own), ...common }));
      // The first wallet is hot.
      for (let i = 0; i < FREE_CALLERS; i++) launch("free", i % 2 === 0 ? free.slice(0, 1) : free);
      for (const wallet of shut) launch("shut", [wallet]);
    }
    const [plain, hurried] = urls;
    const sqlCallers = [
      createSqlCaller(plain, source("free", free)),
      createSqlCaller(hurried, source("shut", shut)),
    ];
    for (const { step } of sqlCallers) running.launch(step);
    const end = () => Promise.all(sqlCallers.map((caller) => caller.end()));
    return {
      async stop(how) {
        // Behind a route without a server, the driver would connect for ever.
        if (how) await end();
        await running.stop();
        await end();
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

/** Callers that go on until they are stopped. */
function createRunning() {
  let stopped = false;
  let count = 0;
  const random = createRandom(1);

  async function run(step: Step): Promise<void> {
    while (!stopped) {
      await step();
      await pause(random.integer(0, LONGEST_PAUSE));
    }
  }
  return {
    launch(step: Step) {
      count += 1;
      void run(step).finally(() => {
        count -= 1;
      });
    },
    async stop() {
      stopped = true;
      await waitUntil("each promise has an answer", () => count === 0);
    },
  };
}

/** A recorder that knows up to which event of each wallet somebody was told. */
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
  return { recorder: watching, seqOf: (walletId: string) => known.get(walletId) ?? 0n };
}

/** A recorder that knows its own calls only: what is sent again is of the same wallets. */
function recordOwn(recorder: Recorder): Recorder {
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
