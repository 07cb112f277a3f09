import { fork } from "node:child_process";
import { once } from "node:events";
import { extname, join } from "node:path";
import type { Run } from "./measure.ts";
import type { TextCall } from "./workload.ts";

/*
 * The load generator: a process of its own that sends SQL over PostgreSQL's wire protocol, with 8
 * connections to each database. It costs next to nothing beside the server, as clients on other
 * machines would.
 */

/** A workload that the generator is to send, and everything that it needs for it. */
export interface Job {
  /** The name of a workload in wire-workloads.ts. */
  readonly workload: string;
  readonly url: string;
  /** How many wallets there are, by distribution. */
  readonly wallets: { readonly spread: number; readonly zipf: number };
  readonly calls: readonly TextCall[];
  readonly seed: number;
}

/** What the process is asked for. */
export type Request =
  | { readonly open: Job }
  /** An opened workload, by the number that was the answer to `open`. */
  | { readonly run: number; readonly seconds: number };

/** What it answers: the number of an opened workload, what it measured, or what went wrong. */
export type Answer =
  | { readonly opened: number }
  | { readonly measured: Run }
  | { readonly error: string };

/** The load generator, as the bench sees it. Requests must not overlap. */
export interface Generator extends AsyncDisposable {
  /** Connects and warms up; then it can be measured repeatedly. */
  open(job: Job): Promise<(seconds: number) => Promise<Run>>;
}

/** Starts the process; it ends with this program, or when it is disposed of. */
export function startGenerator(): Generator {
  const program = join(import.meta.dirname, `generator-process${extname(import.meta.filename)}`);
  const child = fork(program, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const ended = once(child, "exit");
  const ask = async (request: Request): Promise<Exclude<Answer, { error: string }>> => {
    const listening = new AbortController();
    const { signal } = listening;
    const crashed = ended.then(() => {
      throw new Error("the load generator has ended");
    });
    try {
      const answered = once(child, "message", { signal });
      answered.catch(() => undefined); // aborted
      child.send(request);
      const [answer] = (await Promise.race([answered, crashed])) as [Answer];
      if ("error" in answer) throw new Error(answer.error);
      return answer;
    } finally {
      listening.abort();
    }
  };
  return {
    open: async (job) => {
      const answer = await ask({ open: job });
      if (!("opened" in answer)) throw new Error("the load generator has opened nothing");
      return async (seconds) => {
        const run = await ask({ run: answer.opened, seconds });
        if (!("measured" in run)) throw new Error("the load generator has measured nothing");
        return run.measured;
      };
    },
    [Symbol.asyncDispose]: async () => {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
