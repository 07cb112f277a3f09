// The proof with a part for tests, which ends in the way that its argument says: see report.test.ts.

import { runAndExit } from "./exit.ts";
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
  /** Leaves a server and a timer running. */
  leftovers: async () => {
    await startServer();
    setInterval(() => undefined, 1000);
    throw new EvidentError(new Error("it broke off"), { sums: "1 + 1" });
  },
  /** Finds something, and then hangs. */
  hangs: async ({ keep, log }) => {
    const { pid } = await startServer();
    keep?.("one and one are three, or more");
    log(`hangs with server ${pid}`);
    return never;
  },
  /** Waits for something that cannot happen. */
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
runAndExit({ report, run: (stop) => prove([part], options, report, stop) });
