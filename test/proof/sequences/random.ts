import fc from "fast-check";
import type { Budget, Outcome, Part } from "../part.ts";
import { say } from "./compare.ts";
import { batches } from "./generator.ts";
import { createProgress, type Player, withPlayers } from "./players.ts";

/** Sequences that share a round trip and a start; and steps after that start. */
const BATCH = { sequences: 96, steps: 12 };
/** Batches of a round: a seed's worth, some seconds long. */
const ROUND = 12;
/** To make a failure smaller may take this long, in milliseconds. */
const SHRINKING = 120_000;

/** Random sequences in the database and in the model. */
export const modelPart: Part = {
  name: "model",
  about: "random sequences of commands, by the database and by a model of the design",
  run: playRandom,
};

async function playRandom(budget: Budget): Promise<Outcome> {
  const tally = { sequences: 0, steps: 0 };
  const progress = createProgress(budget, "sequences");
  let rounds = 0;
  let failure: string | undefined;
  const goesOn = () =>
    failure === undefined && tally.sequences < budget.runs && performance.now() < budget.until;

  await withPlayers(budget, async (player) => {
    while (goesOn()) {
      const seed = budget.seed + rounds++;
      failure ??= await playRound(player, seed, tally, budget);
      progress(tally.sequences);
    }
  });
  return { ran: { ...tally, rounds }, ...(failure && { failure }) };
}

async function playRound(
  player: Player,
  seed: number,
  tally: { sequences: number; steps: number },
  { log, keep }: Budget,
): Promise<string | undefined> {
  let failed = false;
  const { sequences, steps } = BATCH;
  const property = fc.asyncProperty(batches(sequences, steps), async (batch) => {
    const difference = await player.play(batch);
    if (difference && !failed) {
      log(`a difference with seed ${seed}; making it smaller`);
      keep?.(`${say(difference)}\nseed ${seed}, not made smaller yet`);
    }
    failed ||= difference !== undefined;
    if (difference) throw new Error(say(difference));
    // What is tried to make a failure smaller does not count.
    if (failed) return;
    tally.sequences += batch.sequences.length;
    tally.steps += batch.sequences.flat().length;
  });
  const limits = { numRuns: ROUND, interruptAfterTimeLimit: SHRINKING };
  const result = await fc.check(property, { seed, ...limits });
  if (!result.failed) return undefined;
  const { errorInstance, counterexamplePath, numShrinks } = result;
  return [
    errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
    `seed ${seed}, path ${counterexamplePath}, made smaller ${numShrinks} times; to repeat it:`,
    `npm run proof -- --only model --seed ${seed} --runs 1`,
  ].join("\n");
}
