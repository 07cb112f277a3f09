import type { Budget, Outcome, Part } from "../part.ts";
import { fuzz, type Limits } from "./fuzz.ts";

/** So many sequences to a database: the proof of all that is in it is made after each of them. */
const ROUND = 200;

/** Strange arguments for every public function that there is. */
export const fuzzPart: Part = {
  name: "fuzz",
  about: "strange arguments for every function: an answer or a coded refusal, and a sound ledger",
  async run(budget: Budget): Promise<Outcome> {
    const ran: Record<string, number> = {};
    for (let round = 0; round * ROUND < budget.runs; round++) {
      if (performance.now() > budget.until) break;
      await using database = await budget.createDatabase();
      const limits: Limits = {
        seed: budget.seed + round,
        runs: Math.min(ROUND, budget.runs - round * ROUND),
        // it may come earlier than it was
        get until() {
          return budget.until;
        },
      };
      const outcome = await fuzz(database.url, limits);
      for (const [what, n] of Object.entries(outcome.ran)) ran[what] = (ran[what] ?? 0) + n;
      if (outcome.failure) return { ran, failure: outcome.failure };
      budget.log(`${ran.calls} calls in ${ran.sequences} sequences`);
    }
    return { ran };
  },
};
