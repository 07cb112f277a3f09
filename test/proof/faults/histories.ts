// Histories without faults, but with many clients at the same time.
import { createRandom } from "../../../src/trace/index.ts";
import type { Budget, Outcome, Part } from "../part.ts";
import { createCounts } from "./counts.ts";
import { createStage } from "./stage.ts";
import { failureOf, playWave } from "./wave.ts";

/** A run is one history, with wallets of its own. */
export const histories: Part = {
  name: "histories",
  about: "many clients at once, by SQL and in TypeScript: each answer is in the journal",
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
    const clients = { bySql: 6, callers: 8, sweepers: 2, readers: 1 };
    const crowd = { name, seed: random.integer(1, 2 ** 31), ...clients };
    const played = await playWave(stage, crowd, (wave) => wave.answers(ANSWERS));
    counts.add({ histories: 1, ...played.counts });
    log(`${name}: ${counts.format()}`);
    const found = failureOf(`history ${name}`, played);
    if (found) return { ran: counts.all(), ...found };
  }
  return { ran: counts.all() };
}
