import fc from "fast-check";
import type { Budget, Outcome, Part } from "../part.ts";
import { formatDifference } from "./compare.ts";
import { batches } from "./generator.ts";
import { createProgress, type Player, withPlayers } from "./players.ts";

/** How many sequences share a round trip and a start, and their steps after that start. */
const BATCH = { sequences: 96, steps: 12 };
/** Batches of a round, which has one seed and takes some seconds. */
const ROUND = 12;
/** How long shrinking a failure may take. */
const SHRINKING_MS = 120_000;

/** Random sequences in the database and in the model. */
export const modelPart: Part = {
  name: "model",
  about: "random sequences of commands, by the database and by the model",
  run: playRandom,
};

async function playRandom(budget: Budget): Promise<Outcome> {
  const counts = { sequences: 0, steps: 0 };
  const progress = createProgress(budget, "sequences");
  let rounds = 0;
  let failure: string | undefined;
  const goesOn = () =>
    failure === undefined && counts.sequences < budget.runs && performance.now() < budget.until;

  await withPlayers(budget, async (player) => {
    while (goesOn()) {
      const seed = budget.seed + rounds++;
      failure ??= await playRound(player, seed, counts, budget);
      progress(counts.sequences);
    }
  });
  return { ran: { ...counts, rounds }, ...(failure && { failure }) };
}

async function playRound(
  player: Player,
  seed: number,
  counts: { sequences: number; steps: number },
  { log, keep }: Budget,
): Promise<string | undefined> {
  let failed = false;
  const { sequences, steps } = BATCH;
  const property = fc.asyncProperty(batches(sequences, steps), async (batch) => {
    const difference = await player.play(batch);
    if (difference && !failed) {
      log(`a difference with seed ${seed}; shrinking it`);
      keep?.(`${formatDifference(difference)}\nseed ${seed}, not shrunk yet`);
    }
    failed ||= difference !== undefined;
    if (difference) throw new Error(formatDifference(difference));
    // Sequences that shrink a failure do not count.
    if (failed) return;
    counts.sequences += batch.sequences.length;
    counts.steps += batch.sequences.flat().length;
  });
  const limits = { numRuns: ROUND, interruptAfterTimeLimit: SHRINKING_MS };
  const result = await fc.check(property, { seed, ...limits });
  if (!result.failed) return undefined;
  const { errorInstance, counterexamplePath, numShrinks } = result;
  return [
    errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
    `seed ${seed}, path ${counterexamplePath}, shrunk ${numShrinks} times; to repeat it:`,
    `npm run proof -- --only model --seed ${seed} --runs 1`,
  ].join("\n");
}
