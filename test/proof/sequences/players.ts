// Players: each plays sequences in a database of its own, and compares the results with the model.
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { type Json, stringifyJson } from "../../../src/json/index.ts";
import type { Budget } from "../part.ts";
import { parsePlain } from "../plain.ts";
import type { Difference, Step } from "./compare.ts";
import type { Batch } from "./generator.ts";
import { compareBatch, compareTree, type Explored, type Tree } from "./replay.ts";

/** Plays sequences in its database; each starts with an empty ledger, and leaves it empty. */
export interface Player extends AsyncDisposable {
  /** Plays each sequence after the start, and finds the first difference to the model. */
  play(batch: Batch): Promise<Difference | undefined>;
  /** The same with every sequence that takes one step of each level. */
  explore(tree: Tree): Promise<Explored>;
}

const LOGIN = "ledger_test_proof";
/** Rolled back rows stay in the tables until a vacuum, and slow down reads. */
const PLAYED_BETWEEN_VACUUMS = 4;

/** Prepares a migrated database for the proof, as a superuser. */
async function prepare(url: string): Promise<void> {
  const sql = connect(url);
  await sql.unsafe(await readFile(join(import.meta.dirname, "proof.sql"), "utf8"));
  await sql.end();
}

/** Connects to a prepared database, which no other player uses. */
function createPlayer(url: string): Player {
  const login = new URL(url);
  login.username = LOGIN;
  login.password = "secret";
  const sql = connect(login.href);
  const owner = connect(url);
  let played = 0;
  const run = async (name: "play" | "explore", start: readonly Step[], more: unknown) => {
    const rows = await sql.unsafe<{ result: string }[]>(
      `select r::text as result from proof.${name}($1::text::jsonb, $2::text::jsonb) as r`,
      [stringifyJson(start as unknown as Json), stringifyJson(more as Json)],
      { prepare: true },
    );
    played += 1;
    if (played % PLAYED_BETWEEN_VACUUMS === 0) {
      await owner.unsafe("vacuum baseledger.wallets, baseledger.events, baseledger.reservations");
    }
    return rows.map(({ result }) => parsePlain(result)).values();
  };
  return {
    play: async (batch) => compareBatch(batch, await run("play", batch.start, batch.sequences)),
    explore: async (tree) => compareTree(tree, await run("explore", tree.start, tree.levels)),
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 5 });
      await owner.end({ timeout: 5 });
    },
  };
}

function connect(url: string): postgres.Sql {
  return postgres(url, {
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "proof", TimeZone: "UTC" },
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
