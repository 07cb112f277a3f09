// Plays a fault of the field under load, and checks every call after it.
import { createRandom } from "../../../src/trace/index.ts";
import type { Circumstances } from "../faults/check.ts";
import type { Counts } from "../faults/counts.ts";
import type { Sent } from "../faults/history.ts";
import { failureOf, playWave, untilSwept, type Wave } from "../faults/wave.ts";
import { EvidentError, type Outcome } from "../part.ts";
import { createCrowd } from "./crowd.ts";
import { type FieldFault, untilAnswered } from "./faults.ts";
import type { Guards } from "./guards.ts";
import type { Field } from "./scene.ts";

/** Wallets that no fault locks, the first of them hot, and wallets that faults may lock. */
const FREE = ["hot", "warm", "cold"];
const SHUT = ["shut0", "shut1", "shut2", "shut3", "shut4", "shut5"];
/** A wallet that only guarded calls use which last as long as a fault. */
const APART = "apart";
/** Longer than any fault lasts on the slowest machine. */
const LIMIT_MS = 75_000;
/** How many mistakes the failure lists. */
const MOST_LISTED = 12;

/** The parameters of a fault. */
export interface FaultParts {
  readonly name: string;
  readonly fault: string;
  readonly seed: number;
  readonly counts: Counts;
}

/** The result of a fault. */
export interface Played {
  readonly longest: { readonly ms: number; readonly what: string };
  readonly found: Pick<Outcome, "failure" | "evidence"> | undefined;
}

/** Plays a fault of a field that goes on after it. */
export function playFault(field: Field, fault: FieldFault, parts: FaultParts): Promise<Played> {
  const random = createRandom(parts.seed);
  return play(field, parts, {}, (wave) => {
    const shut = wave.wallets.slice(FREE.length, -1);
    return fault.act({ field, random, wave, shut });
  });
}

/** Runs `act` while the crowd calls, and checks each call. */
export async function play(
  field: Field,
  { name, fault, seed, counts }: FaultParts,
  circumstances: Circumstances,
  act: (wave: Wave, guards: Guards) => Promise<void>,
): Promise<Played> {
  const { measure, clients, urls } = field;
  const mayExpire = (wallet: string) =>
    Boolean(circumstances.clockJumps) && !wallet.endsWith(APART);
  const crowd = createCrowd(name, { clients, urls, measure, mayExpire, free: FREE.length });
  const label = `${fault} of ${name}`;
  measure.begin();
  const played = await playWave(
    field.stage,
    {
      ...{ name, seed, bySql: 0, callers: 0, sweepers: 0, names: [...FREE, ...SHUT, APART] },
      start: (given) => crowd.start({ ...given, wallets: given.wallets.slice(0, -1) }),
      complete: crowd.guards.complete,
      circumstances: { ...circumstances, mayFail },
    },
    async (wave) => {
      await untilAnswered({ field }, "before anything happens");
      await act(wave, crowd.guards);
    },
  ).catch((error: unknown) => error as Error);
  const longest = measure.longest();
  const errors = [...measure.errors].map(([what, times]) => `${times} times ${what}`);
  const wrong = [...errors, ...measure.findings];
  if (longest.ms > LIMIT_MS) wrong.push(`${longest.what} had no answer for ${longest.ms} ms`);
  counts.add({ faults: 1, [fault]: 1, guards: crowd.guards.count, reads: crowd.reads });
  counts.add({ rawErrors: [...measure.errors.values()].reduce((sum, times) => sum + times, 0) });
  counts.max("longestWaitMs", longest.ms);
  if (played instanceof Error) {
    const failure = list(label, [played.message, ...wrong]);
    return { longest, found: { failure, ...evidenceOf(played) } };
  }
  counts.add(played.counts);
  await untilSwept(field.stage);
  wrong.push(...played.wrong);
  const found = failureOf(label, { ...played, wrong });
  return { longest, found: found && { ...found, failure: list(label, wrong) } };
}

function list(label: string, wrong: readonly string[]): string {
  return [`${label}:`, ...wrong.slice(0, MOST_LISTED)].join("\n");
}

function evidenceOf(error: Error): Pick<Outcome, "evidence"> {
  return error instanceof EvidentError ? { evidence: error.evidence } : {};
}

/**
 * Whether a call may fail with a code in the field. By SQL these codes mean that the statement was
 * rolled back; errors of the TypeScript client are measured instead.
 */
function mayFail(code: string, { via }: Sent): boolean {
  return (
    via === "client" || /^(25006|0A000|42804|42846|42704|XX000|58000|08P01|40...|53...)$/.test(code)
  );
}
