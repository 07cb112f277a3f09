import { availableParallelism } from "node:os";
import { createPlayer, type Player, prepare } from "./database.ts";
import type { Budget } from "./part.ts";

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
