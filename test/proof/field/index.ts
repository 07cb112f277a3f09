// The field: callers go on while servers fail over, poolers die, migrations run and clocks jump.
import { createRandom, type Random } from "../../../src/trace/index.ts";
import { NO_POOLER } from "../../support/pooler.ts";
import { createCounts } from "../faults/counts.ts";
import { verify } from "../faults/wave.ts";
import type { Budget, Outcome, Part } from "../part.ts";
import { CLOCK_JUMP, jumpAhead } from "./clock-jump.ts";
import { FIELD_FAULTS, type FieldFault } from "./faults.ts";
import { playFault } from "./play.ts";
import { createFolder, openField } from "./scene.ts";

const MEASURED =
  "longest wait ms: from a call through a TypeScript client to its answer (receipt, balance or " +
  "refusal), retries included, among callers of wallets that no fault locks; " +
  "raw errors: errors of these clients other than refusals";

/** The faults of the field, each with why it is skipped here, if it is. */
export const FAULTS: readonly Pick<FieldFault, "name" | "skipped">[] = [
  ...FIELD_FAULTS,
  CLOCK_JUMP,
];

/** The field with all its faults; a run is one fault. */
export const field: Part = fieldPart(FAULTS.map(({ name }) => name));

/** The field with some of its faults, in random order: each comes once before one comes again. */
export function fieldPart(names: readonly string[]): Part {
  return {
    name: "field",
    about:
      "fail-overs, time-outs, locks, migrations, poolers, refused sessions, clocks: all calls answered",
    run: (budget) => runField(budget, names),
  };
}

async function runField(budget: Budget, names: readonly string[]): Promise<Outcome> {
  const { seed, runs, log } = budget;
  const random = createRandom(seed);
  const counts = createCounts();
  counts.add({ faults: 0, rawErrors: 0, longestWaitMs: 0 });
  log(MEASURED);
  if (NO_POOLER) log(`without callers through a pooler: ${NO_POOLER}`);
  const chosen = FAULTS.filter(({ name }) => names.includes(name));
  for (const { name, skipped } of chosen) if (skipped) log(`skipped: ${name}, as ${skipped}`);
  const possible = chosen.filter(({ skipped }) => !skipped).map(({ name }) => name);

  await using clearing = new AsyncDisposableStack();
  const folder = createFolder(clearing);
  const place = await openField(folder, clearing);
  let bag: string[] = [];
  for (let run = 0; run < runs && performance.now() < budget.until; run++) {
    if (bag.length === 0) bag = shuffle(possible, random);
    const fault = bag.pop() ?? "";
    const name = `${seed}.${run}`;
    const parts = { name, fault, seed: random.integer(1, 2 ** 31), counts };
    const known = FIELD_FAULTS.find(({ name }) => name === fault);
    const played = await (known ? playFault(place, known, parts) : jumpAhead(parts));
    const { ms, what } = played.longest;
    log(`${name}: ${fault}, longest wait ${ms} ms (${what}); ${counts.format()}`);
    if (played.found) return { ran: counts.all(), ...played.found };
  }
  const unsound = await verify(place.stage, [null]);
  const failure = unsound[0] === undefined ? {} : { failure: `at the end: ${unsound[0]}` };
  return { ran: counts.all(), ...failure };
}

function shuffle<T>(list: readonly T[], random: Random): T[] {
  const left = [...list];
  return list.flatMap(() => left.splice(random.integer(0, left.length - 1), 1));
}
