// A server's clock jumps ahead, and back.
import { setTimeout as pause } from "node:timers/promises";
import { createRandom } from "../../../src/trace/index.ts";
import { createClock, NO_CLOCK } from "../../support/faketime.ts";
import { now, type Sent } from "../faults/history.ts";
import { format } from "../faults/replay.ts";
import { ENOUGH, untilAnswered } from "./faults.ts";
import { type FaultParts, type Played, play } from "./play.ts";
import { createFolder, openField } from "./scene.ts";

/** The fault by its name in the counts, and why it is skipped here, if it is. */
export const CLOCK_JUMP = { name: "clockJumps", skipped: NO_CLOCK };

const AHEAD_SECONDS = 26 * 3600;
/** The longest ttl of the crowd, in seconds. */
const TTL = 600;
/** How long the clock is wrong. */
const WRONG_MS = 1_200;

/** Sets the clock a day ahead for a second, on a server of its own. */
export async function jumpAhead(parts: FaultParts): Promise<Played> {
  await using clearing = new AsyncDisposableStack();
  const folder = createFolder(clearing);
  const clock = await createClock(folder);
  const field = await openField(folder, clearing, { package: clock.package });
  return await play(field, parts, { clockJumps: true }, async (wave, guards) => {
    const [client] = field.clients;
    const random = createRandom(parts.seed);
    const wallet = wave.wallets.at(-1) ?? "";
    const over = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const lasts = () => {
      held.resolve();
      return over.promise;
    };
    const call = { wallet, random, group: "shut", ttl: TTL, by: "a long call", lasts } as const;
    const lasting = client && guards.run(client.ledger, call);
    await Promise.race([held.promise, lasting]);
    clock.setAhead(AHEAD_SECONDS);
    await pause(WRONG_MS);
    await untilAnswered({ field }, "as the clock is ahead");
    clock.setAhead(0);
    const { wall } = now();
    await untilAnswered({ field }, "as the clock is right again", 4 * ENOUGH);
    const after = wave.history.calls.filter(({ sent }) => sent.wall > wall);
    for (const wrong of after.flatMap(heldForLong)) field.measure.find(wrong);
    over.resolve();
    await lasting;
  });
}

/** Finds reservations that last longer than requested, by the machine's clock. */
function heldForLong({ answer, answered }: Sent): string[] {
  if (!answer || !("receipts" in answer) || !answered) return [];
  const latest = answered.wall + BigInt(TTL) * 1_000_000n;
  return (answer.receipts as unknown as Held[])
    .filter(({ event, replayed, expires_at }) => {
      return event === "reserved" && !replayed && (expires_at ?? 0n) > latest;
    })
    .map((receipt) => `held too long, after the clock was ahead: ${format(receipt)}`);
}

interface Held {
  readonly event: string;
  readonly replayed: boolean;
  readonly expires_at: bigint | null;
}
