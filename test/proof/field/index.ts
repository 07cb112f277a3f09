// The field: what servers, poolers, upgrades and clocks do to callers who go on meanwhile.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createRandom, type Random } from "../../../src/demo/random.ts";
import { startWatchdog } from "../../../src/embedded/watchdog.ts";
import type { Circumstances } from "../faults/check.ts";
import { createCounts } from "../faults/counts.ts";
import type { Sent } from "../faults/history.ts";
import type { Stage } from "../faults/stage.ts";
import { findingOf, playWave, untilSwept, verify, type Wave } from "../faults/wave.ts";
import { type Budget, EvidentError, type Outcome, type Part } from "../part.ts";
import { createClock, NO_CLOCK } from "./clock.ts";
import { createCrowd, type FieldCrowd } from "./crowd.ts";
import { FIELD_FAULTS, type FieldFault, untilAnswered } from "./faults.ts";
import { NO_POOLER } from "./pooler.ts";
import { type Field, openField } from "./scene.ts";

const MEASURED =
  "longest wait ms: from a call through a client to its answer (receipt, balance or refusal), " +
  "retries included, among callers of wallets that nobody locked; " +
  "raw errors: what callers of clients were given and is no refusal";

const FREE = ["hot", "warm", "cold"];
const SHUT = ["shut0", "shut1", "shut2", "shut3", "shut4", "shut5"];
/** A wallet that only guarded calls use which last for all of a fault. */
const APART = "apart";
const CLOCK_JUMPS = "clockJumps";
const HOURS_AHEAD = 26;
/** How long a clock is wrong, in milliseconds. */
const WRONG_MS = 1_200;
/** Longer than any hold of the crowd, in seconds. */
const LONGEST_TTL = 900;
/** What is wrong, in the failure that a person sees first. */
const MOST_TOLD = 12;
/** No fault lasts so long, on the slowest machine. */
const LIMIT_MS = 75_000;

/** The faults of the field, the jump of a clock included, each with why it cannot be done here. */
export const FAULTS: readonly Pick<FieldFault, "name" | "skipped">[] = [
  ...FIELD_FAULTS,
  { name: CLOCK_JUMPS, skipped: NO_CLOCK },
];

/** `runs` are faults. */
export const field: Part = fieldPart(FAULTS.map(({ name }) => name));

/** The field with some of its faults, in a random order in which each comes once before one comes again. */
export function fieldPart(names: readonly string[]): Part {
  return {
    name: "field",
    about:
      "fail-overs, time-outs, locks, upgrades, poolers, refused sessions and clocks: each call is answered",
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
  const field = await openField(folder, clearing);
  let bag: string[] = [];
  for (let run = 0; run < runs && performance.now() < budget.until; run++) {
    if (bag.length === 0) bag = shuffle(possible, random);
    const fault = bag.pop() ?? "";
    const name = `${seed}.${run}`;
    const parts = { name, fault, seed: random.integer(1, 2 ** 31), counts };
    const played = await (fault === CLOCK_JUMPS ? jumpAhead(parts) : playFault(field, parts));
    const { ms, what } = played.longest;
    log(`${name}: ${fault}, longest wait ${ms} ms (${what}); ${counts.say()}`);
    if (played.found) return { ran: counts.all(), ...played.found };
  }
  const unsound = await verify(field.stage, [null]);
  const failure = unsound[0] === undefined ? {} : { failure: `at the end: ${unsound[0]}` };
  return { ran: counts.all(), ...failure };
}

interface FaultParts {
  readonly name: string;
  readonly fault: string;
  readonly seed: number;
  readonly counts: ReturnType<typeof createCounts>;
}

async function playFault(field: Field, parts: FaultParts) {
  const fault = FIELD_FAULTS.find(({ name }) => name === parts.fault);
  const { measure, clients, urls } = field;
  const crowd = createCrowd(parts.name, { clients, urls, measure, free: FREE.length });
  const random = createRandom(parts.seed);
  return play(field, parts, crowd, {}, async (wave) => {
    await untilAnswered({ field }, "before anything happens");
    const shut = wave.wallets.slice(FREE.length, -1);
    await fault?.act({ field, random, wave, shut });
  });
}

/** A clock that is a day ahead for a second; on a server of its own. */
async function jumpAhead(parts: FaultParts) {
  await using clearing = new AsyncDisposableStack();
  const folder = createFolder(clearing);
  const clock = await createClock(folder);
  const field = await openField(folder, clearing, { package: clock.package });
  const { measure, clients, urls } = field;
  const mayExpire = (wallet: string) => !wallet.endsWith(APART);
  const crowd = createCrowd(parts.name, { clients, urls, measure, mayExpire, free: FREE.length });
  return await play(field, parts, crowd, { clockJumps: true }, async (wave) => {
    await untilAnswered({ field }, "before anything happens");
    const [client] = clients;
    const random = createRandom(parts.seed);
    const wallet = wave.wallets.at(-1) ?? "";
    const over = Promise.withResolvers<void>();
    const lasts = () => over.promise;
    const call = { wallet, random, group: "shut", ttl: 600, by: "a long call", lasts } as const;
    const lasting = client && crowd.guards.run(client.ledger, call);
    clock.ahead(HOURS_AHEAD);
    await pause(WRONG_MS);
    await untilAnswered({ field }, "as the clock is ahead");
    clock.ahead(0);
    await untilAnswered({ field }, "as the clock is right again", 50);
    over.resolve();
    await lasting;
  });
}

async function play(
  field: Field,
  { name, fault, seed, counts }: FaultParts,
  crowd: FieldCrowd,
  circumstances: Circumstances,
  act: (wave: Wave) => Promise<void>,
) {
  const { measure } = field;
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
    act,
  ).catch((error: unknown) => error as Error);
  const longest = measure.longest();
  const errors = [...measure.errors].map(([what, times]) => `${times} times ${what}`);
  const wrong = [...errors, ...measure.findings];
  if (longest.ms > LIMIT_MS) wrong.push(`${longest.what} had no answer for ${longest.ms} ms`);
  counts.add({ faults: 1, [fault]: 1, guards: crowd.guards.count, reads: crowd.reads });
  counts.add({ rawErrors: [...measure.errors.values()].reduce((sum, times) => sum + times, 0) });
  counts.most("longestWaitMs", longest.ms);
  if (played instanceof Error) {
    const failure = tell(label, [played.message, ...wrong]);
    return { longest, found: { failure, ...evidenceOf(played) } };
  }
  counts.add(played.counts);
  await untilSwept(field.stage);
  wrong.push(...(await heldForLong(field.stage)), ...played.wrong);
  const found = findingOf(label, { ...played, wrong });
  return { longest, found: found && { ...found, failure: tell(label, wrong) } };
}

function tell(label: string, wrong: readonly string[]): string {
  return [`${label}:`, ...wrong.slice(0, MOST_TOLD)].join("\n");
}

function evidenceOf(error: Error): Pick<Outcome, "evidence"> {
  return error instanceof EvidentError ? { evidence: error.evidence } : {};
}

/**
 * A statement by SQL is given up or refused for reasons that its caller has to know: all of them say
 * that it was rolled back. What callers of the client are given is measured.
 */
function mayFail(code: string, { via }: Sent): boolean {
  return via === "client" || /^(25006|0A000|42804|42846|42704|XX000|58000|08P01|53...)$/.test(code);
}

/** Holds with a deadline that nobody has asked for. */
async function heldForLong({ admin }: Stage): Promise<string[]> {
  const rows = await admin<{ told: string }[]>`
    select wallet_id || ' ' || reservation_id || ' until ' || expires_at as told
      from baseledger.reservations
      where expires_at > clock_timestamp() + make_interval(secs => ${LONGEST_TTL}::text::float8)`;
  return rows.map(({ told }) => `held for too long: ${told}`);
}

function createFolder(clearing: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), "baseledger-field-"));
  // Servers may run as another user.
  chmodSync(folder, 0o755);
  // It goes with this program, however that ends.
  const watchdog = startWatchdog(folder);
  clearing.defer(async () => {
    await watchdog.dismiss();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  return folder;
}

function shuffle<T>(list: readonly T[], random: Random): T[] {
  const left = [...list];
  return list.flatMap(() => left.splice(random.integer(0, left.length - 1), 1));
}
