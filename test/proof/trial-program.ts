// The proof with a part of its own, which ends as told: for tests of what it leaves behind.

import { runToTheEnd } from "./exit.ts";
import type { Budget, Outcome } from "./part.ts";
import { EvidentError } from "./part.ts";
import { prove } from "./prove.ts";
import { createReport } from "./report.ts";
import { startServer } from "./servers.ts";

const [how = "", folder = "", always] = process.argv.slice(2);
const never = new Promise<never>(() => undefined);

const WAYS: Readonly<Record<string, (budget: Budget) => Promise<Outcome>>> = {
  nothing: async () => ({ ran: { looks: 3 } }),
  failure: async () => {
    return { ran: { looks: 3 }, failure: "one and one are three", evidence: { sums: "1 + 1 = 3" } };
  },
  /** With a server and its own connection, neither of which is cleared up. */
  leftovers: async () => {
    await startServer();
    setInterval(() => undefined, 1000);
    throw new EvidentError(new Error("it broke off"), { sums: "1 + 1" });
  },
  /** It has seen something, and then it hangs. */
  hangs: async ({ keep, log }) => {
    const { pid } = await startServer();
    keep?.("one and one are three, or more");
    log(`hangs with server ${pid}`);
    return never;
  },
  /** The same without anything that could still happen. */
  waits: () => never,
  uncaught: async () => {
    setTimeout(() => {
      throw new Error("nobody expects this");
    });
    return never;
  },
};

const part = {
  name: "trial",
  about: "a trial",
  run: (budget: Budget) => WAYS[how]?.(budget) ?? never,
};
const facts = { seed: 7, command: "npm run proof -- --only trial --seed 7" };
const report = createReport({ ...facts, folder, always: always === "always" });
const options = { seed: 7, runs: 1, minutes: 1 };
runToTheEnd({ report, run: (asked) => prove([part], options, report, asked) });
