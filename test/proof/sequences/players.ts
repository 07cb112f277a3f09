// Players: each plays sequences in a database of its own, and compares the results with the model.
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { type Json, stringifyJson } from "../../../src/json/index.ts";
import { BUSY } from "../ledger.ts";
import type { Budget } from "../part.ts";
import { parsePlain } from "../plain.ts";
import type { Difference, Step } from "./compare.ts";
import type { Batch } from "./generator.ts";
import { compareGroupings, type Groupings } from "./groupings.ts";
import { compareBatch, compareTree, type Explored, type Tree } from "./replay.ts";

/** Plays sequences in its database; each starts with an empty ledger, and leaves it empty. */
export interface Player extends AsyncDisposable {
  /** Plays each sequence after the start, and finds the first difference to the model. */
  play(batch: Batch): Promise<Difference | undefined>;
  /** The same with every sequence that takes one step of each level. */
  explore(tree: Tree): Promise<Explored>;
  /** The same with the same commands in several groupings, which must not differ either. */
  group(groupings: Groupings): Promise<Difference | undefined>;
}

/** A call that waits for the locked wallet is refused with 55P03, so that it is found. */
const LOCK_TIMEOUT = "5s";
/** One sequence in so many is verified; each of the groupings. */
const VERIFIED = 16;
/** Rolled back rows stay in the tables until a vacuum, and slow down reads. */
const STEPS_BETWEEN_VACUUMS = 3000;
const TABLES =
  "wallets events reservations limits counters grants keys raised_alerts price_rows".split(" ");

/** Prepares a migrated database for the proof, as a superuser. */
async function prepare(url: string): Promise<void> {
  const sql = connect(url);
  await sql.unsafe(await readFile(join(import.meta.dirname, "proof.sql"), "utf8"));
  await sql.end();
}

/** Connects to a prepared database, which no other player uses. */
function createPlayer(url: string): Player {
  // A superuser, who may become any of the callers.
  const sql = connect(url, { lock_timeout: LOCK_TIMEOUT });
  const owner = connect(url);
  let steps = 0;
  const run = async (call: string, start: readonly Step[], more: unknown) => {
    const rows = await owner.begin(async (tx) => {
      await tx`select from baseledger.wallets where wallet_id = ${BUSY} for no key update`;
      return sql.unsafe<{ result: string }[]>(
        `select r::text as result from proof.${call} as r`,
        [stringifyJson(start as unknown as Json), stringifyJson(more as Json)],
        { prepare: true },
      );
    });
    steps += rows.length;
    if (steps > STEPS_BETWEEN_VACUUMS) {
      steps = 0;
      await owner.unsafe(`vacuum ${TABLES.map((table) => `baseledger.${table}`).join(", ")}`);
    }
    return rows.map(({ result }) => parsePlain(result)).values();
  };
  return {
    async play(batch) {
      const played = await run(playing(VERIFIED), batch.start, batch.sequences);
      return compareBatch(batch, played);
    },
    async explore(tree) {
      const call = "explore($1::text::jsonb, $2::text::jsonb)";
      return compareTree(tree, await run(call, tree.start, tree.levels));
    },
    async group(groupings) {
      const { start, sequences } = groupings;
      const played = await run(
        playing(1),
        start,
        sequences.map(({ steps }) => steps),
      );
      return compareGroupings(groupings, played);
    },
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 5 });
      await owner.end({ timeout: 5 });
    },
  };
}

function playing(verified: number): string {
  return `play($1::text::jsonb, $2::text::jsonb, ${verified})`;
}

function connect(url: string, settings: Record<string, string> = {}): postgres.Sql {
  return postgres(url, {
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "proof", TimeZone: "UTC", ...settings },
  });
}

/** More would wait for this program, which executes in the model what they play. */
const MOST_PLAYERS = 4;

/** Runs `work` with one player for each processor at the same time. */
export async function withPlayers(
  { createDatabase }: Budget,
  work: (player: Player) => Promise<void>,
): Promise<void> {
  const count = Math.min(availableParallelism(), MOST_PLAYERS);
  await Promise.all(
    Array.from({ length: count }, async () => {
      await using database = await createDatabase();
      await prepare(database.url);
      await using player = createPlayer(database.url);
      await work(player);
    }),
  );
}

/** Logs how far a part is, every few seconds at most. */
export function createProgress({ log }: Budget, what: string): (done: number) => void {
  const PAUSE_MS = 5000;
  const began = performance.now();
  let logged = began;
  return (done) => {
    const now = performance.now();
    if (now - logged < PAUSE_MS) return;
    logged = now;
    const rate = Math.round((done * 1000) / (now - began));
    log(`${done.toLocaleString("en-US")} ${what}, ${rate.toLocaleString("en-US")} a second`);
  };
}
