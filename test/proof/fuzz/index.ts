import postgres from "postgres";
import { startPostgres } from "../../../src/embedded.ts";
import { createTemplate } from "../../support/template.ts";
import type { Budget, Outcome, Part } from "../part.ts";
import { fuzz } from "./fuzz.ts";

/** So many sequences to a database: the proof of all that is in it is made after each of them. */
const ROUND = 100;

/** Strange arguments for every public function that there is. */
export const fuzzPart: Part = {
  name: "fuzz",
  about: "strange arguments for every function: an answer or a coded refusal, and a sound ledger",
  async run(budget: Budget): Promise<Outcome> {
    await using server = await startPostgres();
    await createTemplate(server.url, "fuzz_template");
    const ran: Record<string, number> = {};
    for (let round = 0; round * ROUND < budget.runs; round++) {
      if (performance.now() > budget.until) break;
      const url = await copy(server.url, `fuzz_${round}`);
      const runs = Math.min(ROUND, budget.runs - round * ROUND);
      const outcome = await fuzz(url, { ...budget, runs, seed: budget.seed + round });
      for (const [what, n] of Object.entries(outcome.ran)) ran[what] = (ran[what] ?? 0) + n;
      if (outcome.failure) return { ran, failure: outcome.failure };
      budget.log(`${ran.calls} calls in ${ran.sequences} sequences`);
    }
    return { ran };
  },
};

async function copy(serverUrl: string, name: string): Promise<string> {
  const sql = postgres(serverUrl, { max: 1 });
  await sql.unsafe(`create database ${name} template fuzz_template`);
  await sql.end();
  return new URL(`/${name}`, serverUrl).href;
}
