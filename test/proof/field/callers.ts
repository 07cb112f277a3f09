// The steps of single callers, one after the other.
import { setTimeout as pause } from "node:timers/promises";
import type { Ledger } from "../../../src/client/ledger.ts";
import { CLIENT_CALLS, type Source, SQL_CALLS } from "../faults/calls.ts";
import type { Answer, Call, Recorder } from "../faults/history.ts";
import { createSteps } from "../faults/load.ts";
import { connectSql, sendSql, sendThrough } from "../faults/send.ts";
import type { Guards } from "./guards.ts";
import type { Group, Measure } from "./measure.ts";

/** A TypeScript client that callers share. */
export interface Client {
  /** Its name in the report, e.g. `pooled`. */
  readonly name: string;
  readonly ledger: Ledger;
}

/** A caller, and where its calls are recorded. */
export interface Caller extends Source {
  readonly group: Group;
  readonly recorder: Recorder;
  readonly measure: Measure;
  readonly guards: Guards;
  /** The last event of a wallet in any receipt so far. */
  readonly seqOf: (walletId: string) => bigint;
  /** Called after each balance. */
  readonly onRead: () => void;
}

/** Makes the next call. */
export type Step = () => Promise<void>;

/** The longest guarded call, and the ttl of its reservation in seconds. */
const LONGEST_CALL_MS = 200;
const TTL = 60;

/** A caller of a TypeScript client: commands, guarded calls and balances. */
export function createCaller({ name, ledger }: Client, caller: Caller): Step {
  const { random, wallets, group, measure, guards, seqOf, onRead } = caller;
  const by = `a caller of the ${name} client`;
  const oneOf = () => wallets[random.integer(0, wallets.length - 1)] ?? "";

  async function send(call: Call): Promise<Answer | undefined> {
    const what = `${by}: ${call.call}`;
    const answered = measure.wait(group, what);
    const answer = await sendThrough(ledger, call, (error) => measure.error(what, error));
    answered();
    return answer;
  }

  async function read(): Promise<void> {
    const walletId = oneOf();
    const known = seqOf(walletId);
    const answered = measure.wait(group, `${by}: balance`);
    try {
      const { seq } = await ledger.balance({ walletId });
      if (seq < known) measure.find(`${by} has read event ${seq} of ${walletId} after ${known}`);
      onRead();
    } catch (error) {
      measure.error(`${by}: balance`, error);
    }
    answered();
  }

  function guard(): Promise<void> {
    const lasts = () => pause(random.integer(0, LONGEST_CALL_MS));
    return guards.run(ledger, { wallet: oneOf(), random, group, lasts, ttl: TTL, by });
  }

  const names = CLIENT_CALLS.filter((call) => wallets.length > 1 || call !== "transfer");
  const command = createSteps({ ...caller, names, via: "client", send });
  return () => {
    const kind = random.uniform();
    if (kind < 0.55) return command();
    return kind < 0.85 ? guard() : read();
  };
}

/** An SQL caller, with one connection at a time; `names` are the functions that it calls. */
export function createSqlCaller(
  url: string,
  caller: Source & Pick<Caller, "recorder">,
  names = SQL_CALLS,
) {
  let sql = connectSql(url);
  async function send(call: Call): Promise<Answer | undefined> {
    const answer = await sendSql(sql, call);
    // Reconnects from a read-only server to the one that takes writes.
    if (answer && "failed" in answer && answer.failed === "25006") await renew();
    return answer;
  }
  async function renew(): Promise<void> {
    const before = sql;
    sql = connectSql(url);
    await before.end({ timeout: 0 });
  }
  const step: Step = createSteps({ ...caller, names, via: "sql", send });
  return { step, end: () => sql.end({ timeout: 0 }) };
}
