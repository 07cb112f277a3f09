// The crowd of the field: callers of several TypeScript clients, and by SQL, who go on whatever happens.
import { setTimeout as pause } from "node:timers/promises";
import { createRandom } from "../../../src/trace/index.ts";
import type { Call, Recorder } from "../faults/history.ts";
import type { Crowd, Load } from "../faults/load.ts";
import { waitUntil } from "../faults/wait.ts";
import { type Client, createCaller, createSqlCaller, type Step } from "./callers.ts";
import { createGuards, type Guards } from "./guards.ts";
import type { Group, Measure } from "./measure.ts";

export interface CrowdParts {
  readonly clients: readonly Client[];
  /** Addresses of the SQL callers: of a role without time-outs, and of one with. */
  readonly urls: readonly [plain: string, hurried: string];
  readonly measure: Measure;
  /** How many of the wallets are never locked: the first ones. */
  readonly free: number;
  /** Whether reservations of a wallet may expire because the clock jumps ahead. */
  readonly mayExpire?: (wallet: string) => boolean;
}

/** A crowd, its guarded calls, and how many balances it has read. */
export interface FieldCrowd {
  start(crowd: Crowd): Load;
  readonly guards: Guards;
  readonly reads: number;
}

/** Callers per client that use free wallets; each of the other wallets has one caller. */
const FREE_CALLERS = 5;
/** The longest pause of a caller between two calls. */
const LONGEST_PAUSE_MS = 90;

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
      // It waits for no wallet, so it may name those that are locked.
      createSqlCaller(plain, source("free", wallets), ["post_many"]),
    ];
    for (const { step } of sqlCallers) running.launch(step);
    const end = () => Promise.all(sqlCallers.map((caller) => caller.end()));
    return {
      async stop(how) {
        // Behind a route without a server, the driver would try to connect for ever.
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

/** Runs callers until they are stopped. */
function createRunning() {
  let stopped = false;
  let count = 0;
  const random = createRandom(1);

  async function run(step: Step): Promise<void> {
    while (!stopped) {
      await step();
      await pause(random.integer(0, LONGEST_PAUSE_MS));
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
      await waitUntil("each caller has its answer", () => count === 0);
    },
  };
}

/** A recorder that knows the last event of each wallet in any receipt. */
function watchSeqs(recorder: Recorder) {
  const known = new Map<string, bigint>();
  const watch = (receipt: unknown) => {
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
        if ("receipts" in answer) answer.receipts.forEach(watch);
        answered(answer);
      };
    },
  };
  return { recorder: watching, seqOf: (walletId: string) => known.get(walletId) ?? 0n };
}

/** A recorder that knows only its own calls, so that callers repeat calls to their own wallets. */
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
