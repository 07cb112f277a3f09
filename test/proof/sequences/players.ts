// The database of the proof, and how sequences are played in it.
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { type Json, stringifyJson } from "../../../src/wire/json.ts";
import type { Budget } from "../part.ts";
import { parsePlain } from "../plain.ts";
import type { Difference, Step } from "./compare.ts";
import type { Batch } from "./generator.ts";
import { compareBatch, compareTree, type Explored, type Tree } from "./replay.ts";

/** A connection that plays sequences; each finds an empty ledger, and leaves it empty. */
export interface Player extends AsyncDisposable {
  /** Plays each sequence after the start, and finds the first difference to the model. */
  play(batch: Batch): Promise<Difference | undefined>;
  /** The same with every sequence that takes one step of each level. */
  explore(tree: Tree): Promise<Explored>;
}

const LOGIN = "ledger_test_proof";
/** What was undone stays in the tables until they are vacuumed, and makes reading them slow. */
const PLAYED_BETWEEN_VACUUMS = 4;

/** Makes a migrated database, of which the address is a superuser's, ready for the proof. */
export async function prepare(url: string): Promise<void> {
  const sql = connect(url);
  await sql.unsafe(await readFile(join(import.meta.dirname, "proof.sql"), "utf8"));
  await sql.end();
}

/** Connects to a database that was prepared, and is for this player alone. */
export function createPlayer(url: string): Player {
  const login = new URL(url);
  login.username = LOGIN;
  login.password = "secret";
  const sql = connect(login.href);
  const owner = connect(url);
  let played = 0;
  const tell = async (name: "play" | "explore", start: readonly Step[], more: unknown) => {
    const rows = await sql.unsafe<{ told: string }[]>(
      `select t::text as told from proof.${name}($1::text::jsonb, $2::text::jsonb) as t`,
      [stringifyJson(start as unknown as Json), stringifyJson(more as Json)],
      { prepare: true },
    );
    played += 1;
    if (played % PLAYED_BETWEEN_VACUUMS === 0) {
      await owner.unsafe("vacuum baseledger.wallets, baseledger.events, baseledger.reservations");
    }
    return rows.map(({ told }) => parsePlain(told)).values();
  };
  return {
    play: async (batch) => compareBatch(batch, await tell("play", batch.start, batch.sequences)),
    explore: async (tree) => compareTree(tree, await tell("explore", tree.start, tree.levels)),
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
    // What was undone stays in the tables, where an index passes it over and a scan does not.
    connection: { application_name: "proof", TimeZone: "UTC" },
  });
}

/** More would wait for this program, which follows in the model what they play. */
const MOST_PLAYERS = 4;

/** Works with a player for each processor at the same time, each with a database of its own. */
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

/** Says how far a part has come, but not more often than every few seconds. */
export function createProgress({ log }: Budget, what: string): (done: number) => void {
  const SECONDS = 5;
  const began = performance.now();
  let said = began;
  return (done) => {
    const now = performance.now();
    if (now - said < SECONDS * 1000) return;
    said = now;
    const rate = Math.round((done * 1000) / (now - began));
    log(`${done.toLocaleString("en-US")} ${what}, ${rate.toLocaleString("en-US")} a second`);
  };
}
