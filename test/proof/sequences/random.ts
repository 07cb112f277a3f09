import fc from "fast-check";
import type { Budget, Outcome, Part } from "../part.ts";
import { type Difference, formatDifference } from "./compare.ts";
import { type Batch, batches } from "./generator.ts";
import { drawGroupings, type Groupings } from "./groupings.ts";
import { createProgress, type Player, withPlayers } from "./players.ts";

/** What is drawn, and how it is played; it counts as sequences of steps. */
interface Game<T> {
  readonly part: string;
  readonly drawn: fc.Arbitrary<T>;
  readonly play: (player: Player, drawn: T) => Promise<Difference | undefined>;
  readonly count: (drawn: T) => { readonly sequences: number; readonly steps: number };
  /** How often it is drawn in a round, which has one seed and takes some seconds. */
  readonly round: number;
}

/** How many sequences share a round trip and a start, and their steps after that start. */
const BATCH = { sequences: 96, steps: 12 };
/** How long shrinking a failure may take. */
const SHRINKING_MS = Number(process.env.SHRINK ?? 120) * 1000;

const RANDOM: Game<Batch> = {
  part: "model",
  drawn: batches(BATCH.sequences, BATCH.steps),
  play: (player, batch) => player.play(batch),
  count: ({ sequences }) => ({ sequences: sequences.length, steps: sequences.flat().length }),
  round: 12,
};

const GROUPED: Game<Groupings> = {
  part: "groupings",
  drawn: drawGroupings(5, 12),
  play: (player, groupings) => player.group(groupings),
  count: ({ start, sequences }) => ({
    sequences: sequences.length,
    steps: start.length + sequences.flatMap(({ steps }) => steps).length,
  }),
  round: 40,
};

/** Random sequences in the database and in the model. */
export const modelPart: Part = {
  name: RANDOM.part,
  about: "random sequences of commands, by the database and by the model",
  run: (budget) => playRandom(budget, RANDOM),
};

/** The same commands in several groupings. */
export const groupingsPart: Part = {
  name: GROUPED.part,
  about: "the same commands one by one, by post, and by post_many in groups: the same journals",
  run: (budget) => playRandom(budget, GROUPED),
};

async function playRandom<T>(budget: Budget, game: Game<T>): Promise<Outcome> {
  const counts = { sequences: 0, steps: 0 };
  const progress = createProgress(budget, "sequences");
  let rounds = 0;
  let failure: string | undefined;
  const goesOn = () =>
    failure === undefined && counts.sequences < budget.runs && performance.now() < budget.until;

  await withPlayers(budget, async (player) => {
    while (goesOn()) {
      const seed = budget.seed + rounds++;
      failure ??= await playRound(game, player, seed, counts, budget);
      progress(counts.sequences);
    }
  });
  return { ran: { ...counts, rounds }, ...(failure && { failure }) };
}

async function playRound<T>(
  { part, drawn, play, count, round }: Game<T>,
  player: Player,
  seed: number,
  counts: { sequences: number; steps: number },
  { log, keep }: Budget,
): Promise<string | undefined> {
  let failed = false;
  const property = fc.asyncProperty(drawn, async (each) => {
    const difference = await play(player, each);
    if (difference && !failed) {
      log(`a difference with seed ${seed}; shrinking it`);
      keep?.(`${formatDifference(difference)}\nseed ${seed}, not shrunk yet`);
    }
    failed ||= difference !== undefined;
    if (difference) throw new Error(formatDifference(difference));
    // Sequences that shrink a failure do not count.
    if (failed) return;
    const { sequences, steps } = count(each);
    counts.sequences += sequences;
    counts.steps += steps;
  });
  const limits = { numRuns: round, interruptAfterTimeLimit: SHRINKING_MS };
  const result = await fc.check(property, { seed, ...limits });
  if (!result.failed) return undefined;
  const { errorInstance, counterexamplePath, numShrinks } = result;
  return [
    errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
    `seed ${seed}, path ${counterexamplePath}, shrunk ${numShrinks} times; to repeat it:`,
    `npm run proof -- --only ${part} --seed ${seed} --runs 1`,
  ].join("\n");
}
