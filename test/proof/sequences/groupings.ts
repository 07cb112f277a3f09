// The same commands to several wallets, one by one, by post, and by post_many in groups of all kinds:
// the journals and the answers must be the same, but for times.
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { Json } from "../../../src/json/index.ts";
import { BUSY, reservationHistory, toCaller } from "../ledger.ts";
import { AS_OPERATOR, accessOf, type Session } from "../model/access.ts";
import { plain } from "../plain.ts";
import { AGENT_OPS, type Arguments, parseCommand } from "../requests.ts";
import { sessions } from "./callers.ts";
import { bordersOf, type Difference, type Step } from "./compare.ts";
import {
  about,
  drawSteps,
  type Made,
  nameKeys,
  ofSome,
  opening,
  resolve,
  richStart,
  WALLETS,
  withModels,
} from "./generator.ts";
import { createReplay, NOTHING, type Results, type State } from "./replay.ts";

/** A list of commands in several groupings, each played after the same start. */
export interface Groupings {
  readonly start: readonly Step[];
  readonly commands: readonly Made[];
  /** Who sends them. */
  readonly as: Session;
  readonly sequences: readonly Grouping[];
}

interface Grouping {
  readonly steps: readonly Step[];
  /** The commands of each step, by their places in the list. */
  readonly places: readonly (readonly number[])[];
}

/** Groups of a random grouping; some of them may be empty. */
const GROUPS = 4;

/** A command, or an earlier one again: in its wallet, or in another one. */
const listed = fc.record({
  made: ofSome,
  group: fc.nat({ max: GROUPS - 1 }),
  again: fc.option(fc.nat({ max: 30 }), { freq: 6, nil: undefined }),
  elsewhere: fc.option(fc.constantFrom(...WALLETS), { freq: 3, nil: undefined }),
});

/** What wallets hold before the commands: the same names in several of them. */
const HOLDS: readonly Made[] = [
  { wallet_id: "a", reservation_id: "r1", amount: 8, ttl: 60 },
  { wallet_id: "a", reservation_id: "r2", amount: 2, ttl: 600 },
  { wallet_id: "b", reservation_id: "r1", amount: 15, ttl: 3600 },
  { wallet_id: "b", reservation_id: "r3", amount: 5, ttl: 60 },
  { wallet_id: "c", reservation_id: "r1", amount: 5, ttl: 600 },
  { wallet_id: "c", reservation_id: "r2", amount: 5, ttl: 60 },
];
/** Some of them, of which some may be due. */
const holds = fc
  .tuple(fc.subarray([...HOLDS]), fc.constantFrom(0, 0, 61, 601))
  .map(([made, seconds]): Step[] => {
    const commands = made.map((hold) => {
      return { op: "reserve", idempotency_key: `of ${hold.reservation_id}`, ...hold };
    });
    return [
      { call: "post_many", args: { commands }, look: null },
      { call: "wait", args: { seconds }, look: null },
    ];
  });

/** Lists of up to `longest` commands, after up to `before` steps. */
export function drawGroupings(before: number, longest: number): fc.Arbitrary<Groupings> {
  const list = fc.array(listed, { minLength: 1, maxLength: longest, size: "max" });
  const ids = fc.constantFrom([], [], ["r1"], ["r1", "r1", "r2"]);
  return fc
    .tuple(richStart, holds, drawSteps(0, before), list, ids, sessions)
    .map(([drawn, held, first, drafts, names, by]): Groupings => {
      const opened = [...opening(drawn), ...held];
      const made = about(
        drafts.map((draft) => draft.made),
        names,
      );
      const commands = nameKeys(made, "list");
      for (const [i, { again, elsewhere }] of drafts.entries()) {
        if (again === undefined) continue;
        const earlier = commands[again % (i + 1)] as Made;
        commands[i] = elsewhere ? { ...earlier, wallet_id: elsewhere } : earlier;
      }
      commands.splice(0, commands.length, ...withModels(commands));
      const groups = inOrder(
        commands,
        drafts.map(({ group }) => group),
      );
      return {
        start: [...opened, ...resolve(opened, first)],
        commands,
        as: by ?? AS_OPERATOR,
        sequences: [single(commands), posts(commands, groups), ...many(commands, groups)].map(
          ({ steps, places }) => ({
            steps: by ? steps.map((step) => ({ ...step, as: by })) : steps,
            places,
          }),
        ),
      };
    });
}

/** Sorts the groups of each wallet, so that its commands keep their order. */
function inOrder(commands: readonly Made[], groups: readonly number[]): number[] {
  const sorted = [...groups];
  for (const places of byWallet(commands, [...commands.keys()]).values()) {
    const its = places.map((place) => groups[place] ?? 0).sort();
    for (const [i, place] of places.entries()) sorted[place] = its[i] ?? 0;
  }
  return sorted;
}

function byWallet(commands: readonly Made[], places: readonly number[]): Map<Json, number[]> {
  return Map.groupBy(places, (place) => commands[place]?.wallet_id ?? null);
}

/** Whether a command can be sent alone: its wallet has a name, and no call would wait for it. */
function canBeAlone({ wallet_id }: Made): boolean {
  return typeof wallet_id === "string" && wallet_id !== BUSY;
}

/** One call each; what only a batch can contain is a batch of one. */
function single(commands: readonly Made[]): Grouping {
  const places = [...commands.keys()].filter((place) => canBeAlone(commands[place] as Made));
  const steps = places.map((place): Step => {
    const { wallet_id, ...made } = commands[place] as Made;
    const { op, ...args } = made;
    return parseCommand(made, AGENT_OPS).misread
      ? toPost(wallet_id as Json, [made])
      : { call: String(op), args: { wallet_id, ...args }, look: null };
  });
  return { steps, places: places.map((place) => [place]) };
}

/** For each group, a post to each of its wallets. */
function posts(commands: readonly Made[], groups: readonly number[]): Grouping {
  const alone = [...commands.keys()].filter((place) => canBeAlone(commands[place] as Made));
  const batches = inGroups(alone, groups).flatMap((group) => [...byWallet(commands, group)]);
  const steps = batches.map(([wallet_id, places]) => {
    const made = places.map((place) => {
      const { wallet_id: _, ...rest } = commands[place] as Made;
      return rest;
    });
    return toPost(wallet_id, made);
  });
  return { steps, places: batches.map(([, places]) => places) };
}

/** For each group, a post_many; then all commands in one. */
function many(commands: readonly Made[], groups: readonly number[]): Grouping[] {
  const all = [...commands.keys()];
  return [inGroups(all, groups), [all]].map((places) => ({
    steps: places.map((group): Step => {
      const its = group.map((place) => commands[place] as Made);
      return { call: "post_many", args: { commands: its }, look: null };
    }),
    places,
  }));
}

function toPost(wallet_id: Json, commands: readonly Made[]): Step {
  return { call: "post", args: { wallet_id, commands }, look: null };
}

function inGroups(places: readonly number[], groups: readonly number[]): number[][] {
  const grouped = Map.groupBy(places, (place) => groups[place] ?? 0);
  return [...grouped].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** Compares each grouping with the model, and with the first grouping: single calls. */
export function compareGroupings(
  { start: first, commands, as, sequences }: Groupings,
  results: Results,
): Difference | undefined {
  const replay = createReplay(results);
  const started = replay.execute(NOTHING, first);
  if ("what" in started) return started;
  const states: State[] = [];
  for (const { steps } of sequences) {
    const state = replay.execute(started, steps);
    const difference = "what" in state ? state : replay.end(state);
    if (difference) return difference;
    states.push(state as State);
  }
  if (states.some((state) => passesBorder(state, states, first.length))) return undefined;
  const outcomes = states.map((state, i) => {
    const { places } = sequences[i] as Grouping;
    return toOutcome(state, places, commands, as, first.length);
  });
  const [expected] = outcomes;
  const other = outcomes.findIndex((outcome) => !isDeepStrictEqual(outcome, expected));
  if (!expected || other < 0) return undefined;
  const what = "what single calls came to, here as the model";
  return { steps: states[other]?.done ?? [], what, found: outcomes[other] ?? null, expected };
}

/** Whether something changed by itself while the groupings were played: not all of them saw it. */
function passesBorder({ ledger }: State, states: readonly State[], before: number): boolean {
  const from = states[0]?.results[before]?.from ?? 0n;
  const seen = states.at(-1)?.results.at(-1)?.seen ?? 0n;
  const wallets = [...ledger.values()];
  const deadlines = wallets.flatMap(({ journal }) => journal.map(({ expires_at }) => expires_at));
  const borders = [...deadlines, ...wallets.flatMap((wallet) => bordersOf(wallet, from))];
  return borders.some((at) => at !== null && at >= from && at <= seen);
}

/**
 * The journals, the alerts, the reservations, and the answers to commands, in wallets that exist and
 * are open to the caller, without times. In others, post_many leaves to post what the caller has opened.
 */
function toOutcome(
  { ledger, results }: State,
  places: Grouping["places"],
  commands: readonly Made[],
  as: Session,
  before: number,
): Json {
  const answers: Record<string, Json> = {};
  const now = results.at(-1)?.seen ?? 0n;
  const caller = toCaller(ledger, as);
  const open = [...ledger.values()].filter((wallet) => accessOf(wallet, caller, now).allowed);
  const names = new Set(open.map(({ wallet_id }) => wallet_id));
  for (const [i, { answer }] of results.slice(before).entries()) {
    for (const [n, place] of (places[i] ?? []).entries()) {
      const { wallet_id } = commands[place] as Arguments;
      const its = Array.isArray(answer) ? answer[n] : answer;
      if (names.has(wallet_id as string)) answers[`command ${place}`] = toAnswer(its as Json);
    }
  }
  const wallets = open.map((wallet) => ({
    journal: wallet.journal.map(({ open: _, command, instant, ...event }) => event),
    alerts: wallet.alerts,
    reservations: reservationHistory(wallet),
  }));
  return withoutTimes(plain({ answers, wallets }));
}

/** A refusal of a single call is no row. */
function toAnswer(answer: Json): Json {
  const { refused, detail = null } = answer as Record<string, Json>;
  return typeof refused === "string" ? { refused, detail } : answer;
}

function withoutTimes(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !name.endsWith("_at"));
  return Object.fromEntries(kept.map(([name, item]) => [name, withoutTimes(item as Json)]));
}
