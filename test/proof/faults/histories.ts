// Histories while nothing goes wrong but that everybody comes at once.
import { createRandom } from "../../../src/trace/index.ts";
import type { Budget, Outcome, Part } from "../part.ts";
import { createCounts } from "./counts.ts";
import { createStage } from "./stage.ts";
import { findingOf, playWave } from "./wave.ts";

/** `runs` are histories, each on wallets of its own. */
export const histories: Part = {
  name: "histories",
  about: "many clients at once, by SQL and in TypeScript: what each was told is in the journal",
  run: runHistories,
};

const ANSWERS = 400;

async function runHistories(budget: Budget): Promise<Outcome> {
  const { seed, runs, log } = budget;
  const random = createRandom(seed);
  const counts = createCounts();
  await using stage = await createStage();
  while (counts.of("histories") < runs && performance.now() < budget.until) {
    const name = `${seed}.${counts.of("histories")}`;
    const crowd = { name, seed: random.integer(1, 2 ** 31), bySql: 6, callers: 8, sweepers: 2 };
    const played = await playWave(stage, crowd, (wave) => wave.answers(ANSWERS));
    counts.add({ histories: 1, ...played.counts });
    log(`${name}: ${counts.say()}`);
    const found = findingOf(`history ${name}`, played);
    if (found) return { ran: counts.all(), ...found };
  }
  return { ran: counts.all() };
}
