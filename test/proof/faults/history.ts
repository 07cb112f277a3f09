// The history of what clients send, and of the answers: in memory, or in a file that survives them.
import { openSync, readFileSync, writeSync } from "node:fs";
import { type Json, parseJson, stringifyJson } from "../../../src/json/index.ts";
import { plain } from "../plain.ts";
import type { Arguments } from "../requests.ts";

/** A moment by the clock that all processes of the machine share, and by the time of day. */
export interface Moment {
  /** Nanoseconds of a clock that never steps back. */
  readonly clock: bigint;
  /** Microseconds since 1970. */
  readonly wall: bigint;
}

/** A call of a function of the ledger, by its name and arguments in SQL. */
export interface Call {
  readonly call: string;
  readonly args: Arguments;
}

/** An answer, in plain form: see plain.ts. */
export type Answer =
  | { readonly receipts: readonly Json[] }
  | { readonly refused: string; readonly detail: Json }
  /** The call certainly did nothing, with the reason: an SQLSTATE, or a code of the client. */
  | { readonly failed: string };

/** How a call was sent: by SQL, or by the TypeScript client, which retries by itself. */
export type Via = "sql" | "client";

/** A call that was sent; without an answer if none arrived. */
export interface Sent extends Call {
  readonly via: Via;
  readonly sent: Moment;
  answer?: Answer;
  answered?: Moment;
}

/** Records what a client does: each call before it is sent, and then the answer. */
export interface Recorder {
  /** Records a call; call the function that it returns with the answer. */
  note(call: Call, via: Via): (answer: Answer) => void;
  /** How many answers were recorded. */
  readonly answers: number;
  /** What was sent so far. */
  readonly calls: readonly Call[];
}

/** A recorder that keeps the history in memory. */
export interface History extends Recorder {
  readonly calls: readonly Sent[];
}

export function createHistory(): History {
  const calls: Sent[] = [];
  let answers = 0;
  return {
    calls,
    get answers() {
      return answers;
    },
    note({ call, args }, via) {
      const sent: Sent = { call, args, via, sent: now() };
      calls.push(sent);
      return (answer) => {
        sent.answered = now();
        sent.answer = answer;
        answers += 1;
      };
    },
  };
}

/** A recorder that writes each line at once, so that `kill -9` loses none. */
export function recordTo(file: string): Recorder {
  const calls: Call[] = [];
  const descriptor = openSync(file, "a");
  const write = (line: object) => writeSync(descriptor, `${stringifyJson(line as Json)}\n`);
  let answers = 0;
  return {
    calls,
    get answers() {
      return answers;
    },
    note({ call, args }, via) {
      const n = calls.push({ call, args });
      write({ n, call, args, via, sent: now() });
      return (answer) => {
        answers += 1;
        write({ n, answer, answered: now() });
      };
    },
  };
}

/** Reads what was recorded in a file. */
export function readHistory(file: string): Sent[] {
  const found = new Map<bigint, Sent>();
  // An incomplete last line was never sent.
  for (const line of readFileSync(file, "utf8").split("\n").slice(0, -1)) {
    const { n, ...rest } = plain(parseJson(line)) as unknown as Sent & { readonly n: bigint };
    found.set(n, Object.assign(found.get(n) ?? {}, rest));
  }
  return [...found.values()];
}

/** The current moment. */
export function now(): Moment {
  return { clock: process.hrtime.bigint(), wall: BigInt(Date.now()) * 1000n };
}
