// The fuzz: strange arguments for every public function in the catalog, whatever functions there are.
import fc from "fast-check";
import type { Budget, Outcome, Part } from "../part.ts";
import { type Call, callsOf, formatCall, publicFunctions, toQuery } from "./functions.ts";
import { connect, type Sender } from "./session.ts";
import { HOLDS, MAX, SPENT } from "./values.ts";

/** Sequences per database, as the whole database is checked after each of them. */
const ROUND = 200;

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
        // It may become earlier.
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

/** How often each answer came. */
type Answers = Map<string, number>;

export type Limits = Pick<Budget, "seed" | "runs" | "until">;

/** After so many sequences every function must have been granted once; if not, its values are useless. */
const ENOUGH = 200;

/** They need an id that the ledger makes at random. */
const UNGUESSED = ["revoke_key", "remove_webhook"];

/**
 * Calls every public function of a migrated database with all sorts of arguments, as a role that may
 * call it. Each call is granted or refused with a code, and the ledger is sound after each sequence.
 * A run is one sequence, with wallets of its own.
 */
export async function fuzz(
  url: string,
  limits: Limits,
): Promise<Outcome & { readonly kindsOfAnswers: number }> {
  await using sender = await connect(url);
  const functions = await publicFunctions(sender.admin);
  const answers: Answers = new Map();
  let sequences = 0;
  // Agents' calls are most of what a ledger gets.
  const any = functions.map((each) => {
    return { arbitrary: callsOf(each), weight: each.roles.includes("agent") ? 3 : 1 };
  });
  const sequence = fc.array(fc.oneof(...any), { minLength: 10, maxLength: 40 });
  const property = fc.asyncProperty(sequence, async (calls) => {
    if (performance.now() > limits.until) return;
    sequences += 1;
    await play(sender, calls, `fuzz ${sequences} `, answers);
  });
  const result = await fc.check(property, { seed: limits.seed, numRuns: limits.runs });
  const ran = count(answers, sequences);
  const kindsOfAnswers = answers.size;
  const [calls, path] = [result.counterexample?.[0], result.counterexamplePath];
  if (result.failed) return { ran, kindsOfAnswers, failure: describe(calls ?? [], result, path) };
  const silent = functions.filter(
    ({ name }) => !answers.has(`${name} is granted`) && !UNGUESSED.includes(name),
  );
  if (sequences >= ENOUGH && silent.length > 0) {
    const failure = `never granted: ${silent.map(({ name }) => name).join(", ")}`;
    return { ran, kindsOfAnswers, failure };
  }
  return { ran, kindsOfAnswers };
}

async function play(
  sender: Sender,
  calls: readonly Call[],
  place: string,
  answers: Answers,
): Promise<void> {
  for (const query of opening(place)) await sender.admin.unsafe(query);
  for (const call of calls) {
    const code = await sender.send(call.role, toQuery(call, place)).catch((error: Error) => {
      throw new Error(`${formatCall(call)}\n  ${error.message}`, { cause: error });
    });
    const answer = `${call.name} ${code ? `is refused with ${code}` : "is granted"}`;
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }
  const findings = await sender.findings(place);
  if (findings.length > 0) throw new Error(findings.slice(0, 20).join("\n"));
}

/** What each sequence begins with: two wallets with some funds, and two at the ends of the range. */
function opening(place: string): string[] {
  const [a, b, rich, debtor] = ["a", "b", "rich", "debtor"].map((id) => `'${place}${id}'`);
  return [
    ...[a, b, rich].map((id) => `open_wallet(${id})`),
    `open_wallet(${debtor}, p_overdraft_limit => ${MAX})`,
    ...[a, b].map((id) => `credit(${id}, 1000, 'funds')`),
    `credit(${rich}, ${MAX - 10n}, 'funds')`,
    `credit(${debtor}, 10, 'funds')`,
    ...HOLDS.map((id) => `reserve(${a}, 100, '${id}')`),
    `reserve(${rich}, ${MAX / 2n}, '${HOLDS[0]}')`,
    `reserve(${debtor}, 10, '${HOLDS[0]}')`,
    `charge(${a}, 100, '${SPENT}')`,
  ].map((call) => `select baseledger.${call}`);
}

function count(answers: Answers, sequences: number): Record<string, number> {
  const sum = (ending: RegExp) =>
    [...answers].reduce((all, [answer, n]) => (ending.test(answer) ? all + n : all), 0);
  return {
    sequences,

    calls: sum(/./),
    granted: sum(/granted$/),
    refused: sum(/LG...$/),
    inconvertible: sum(/with [0-9]/),
  };
}

function describe(
  calls: readonly Call[],
  { seed, errorInstance }: fc.RunDetails<[Call[]]>,
  path: string | null,
): string {
  const { message = String(errorInstance) } = (errorInstance ?? {}) as { message?: string };
  return [message, "after", ...calls.map(formatCall), `(seed ${seed}, path ${path})`].join("\n");
}
