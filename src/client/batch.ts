import type { Receipt } from "../generated/index.ts";
import type { Pending } from "./pending.ts";
import type { Place, Places } from "./places.ts";

/** A command on its way into a batch. */
export interface Batched {
  readonly command: Pending<Receipt>;
  /** As it stands in the batch. */
  readonly text: string;
}

/** What a batch that leaves is given along. */
export interface Leave {
  /** On which it is sent. */
  readonly place: Place;
  /** To be told that it is committed; its answers have still to be read. */
  readonly onCommit: () => void;
  /** To be told that nobody waits for it any more, but it has not ended. */
  readonly onAbandon: () => void;
}

/** Sends a batch of a wallet until each command has its answer; does not reject. */
export type Carry = (walletId: string, batch: readonly Batched[], leave: Leave) => Promise<void>;

/** The commands of one wallet. */
interface Lane {
  readonly walletId: string;
  waiting: Batched[];
  /** Ready: commands wait, and a batch of them leaves as soon as there is a place. */
  state: "idle" | "ready" | "busy";
  /** A batch that nobody waits for any more has not ended yet. */
  stuck: boolean;
}

// What a command may add to a batch is bounded by the database; a batch is bounded here.
const MOST_CHARACTERS = 1_000_000;

/**
 * Puts commands into batches of at most `size`. One batch of a wallet is under way at a time, in the
 * order in which the commands came; those that come meanwhile travel in the next. Nothing waits for
 * company: when none is under way, a command leaves with what came in the same turn of the event
 * loop.
 */
export function createBatcher(size: number, places: Places, carry: Carry) {
  const lanes = new Map<string, Lane>();

  function add(walletId: string, item: Batched): void {
    const lane = lanes.get(walletId) ?? open(walletId);
    lane.waiting.push(item);
    if (lane.state === "idle") line(lane);
  }

  function open(walletId: string): Lane {
    const lane: Lane = { walletId, waiting: [], state: "idle", stuck: false };
    lanes.set(walletId, lane);
    return lane;
  }

  function line(lane: Lane): void {
    lane.state = "ready";
    const start = (place: Place) => run(lane, place);
    places.enter({ subject: lane.walletId, slow: false, start });
  }

  function run(lane: Lane, place: Place): void {
    lane.state = "busy";
    let holdsLane = true;
    let isOver = false;

    function leave(): void {
      if (isOver) return;
      isOver = true;
      if (holdsLane) lane.state = "idle";
      else lane.stuck = false;
      goOn(lane);
      place.leave("served");
    }
    // One stuck connection is given up for lost. A second one of the same wallet must not take the
    // connections of all others.
    function onAbandon(): void {
      if (lane.stuck || !holdsLane) return;
      holdsLane = false;
      lane.stuck = true;
      lane.state = "idle";
      goOn(lane);
    }

    // What waits leaves before the answers are read: the server need not wait for this program.
    void carry(lane.walletId, take(lane, size), { place, onCommit: leave, onAbandon }).then(leave);
  }

  function goOn(lane: Lane): void {
    if (lane.state !== "idle") return;
    if (lane.waiting.length > 0) line(lane);
    else if (!lane.stuck) lanes.delete(lane.walletId);
  }

  return { add };
}

function take(lane: Lane, size: number): Batched[] {
  let characters = 0;
  const end = lane.waiting.findIndex(({ text }, i) => {
    characters += text.length;
    return i === size || (i > 0 && characters > MOST_CHARACTERS);
  });
  if (end > 0) return lane.waiting.splice(0, end);
  const all = lane.waiting;
  lane.waiting = [];
  return all;
}
