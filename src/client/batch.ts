import type { Receipt } from "../generated/baseledger.ts";
import type { Pending } from "./pending.ts";

/** A command on its way into a batch. */
export interface Batched {
  readonly command: Pending<Receipt>;
  /** As it stands in the batch. */
  readonly text: string;
}

/** What is told about a batch that is under way. */
export interface Progress {
  /** It is committed; its answers have still to be read. */
  readonly onCommit: () => void;
  /** Nobody waits for it any more, but it has not ended. */
  readonly onAbandon: () => void;
}

/** Sends a batch of a wallet until each command has its answer; does not reject. */
export type Carry = (
  walletId: string,
  batch: readonly Batched[],
  progress: Progress,
) => Promise<void>;

/** The limits of batching. */
export interface Limits {
  /** Batches under way at once. */
  readonly parallel: number;
  /** Commands in one batch. */
  readonly size: number;
}

/** The commands of one wallet. */
interface Lane {
  readonly walletId: string;
  waiting: Batched[];
  /** Ready: commands wait, and a batch of them leaves as soon as one may. */
  state: "idle" | "ready" | "busy";
  /** A batch that nobody waits for any more has not ended yet. */
  stuck: boolean;
}

// What a command may add to a batch is bounded by the database; a batch is bounded here.
const MOST_CHARACTERS = 1_000_000;

/**
 * Puts commands into batches. One batch of a wallet is under way at a time, in the order in which
 * the commands came; those that come meanwhile travel in the next. Nothing waits for company: when
 * none is under way, a command leaves with what came in the same turn of the event loop.
 */
export function createBatcher(limits: Limits, carry: Carry) {
  const lanes = new Map<string, Lane>();
  const ready: Lane[] = [];
  let free = limits.parallel;
  let woken = false;

  function add(walletId: string, item: Batched): void {
    const lane = lanes.get(walletId) ?? open(walletId);
    lane.waiting.push(item);
    if (lane.state !== "idle") return;
    line(lane);
    if (!woken) queueMicrotask(start);
    woken = true;
  }

  function open(walletId: string): Lane {
    const lane: Lane = { walletId, waiting: [], state: "idle", stuck: false };
    lanes.set(walletId, lane);
    return lane;
  }

  function line(lane: Lane): void {
    lane.state = "ready";
    ready.push(lane);
  }

  function start(): void {
    woken = false;
    while (free > 0) {
      const lane = ready.shift();
      if (!lane) return;
      run(lane);
    }
  }

  function run(lane: Lane): void {
    free -= 1;
    lane.state = "busy";
    let holdsLane = true;
    let holdsSlot = true;

    function leave(): void {
      if (!holdsSlot) return;
      holdsSlot = false;
      free += 1;
      if (holdsLane) lane.state = "idle";
      else lane.stuck = false;
      goOn(lane);
    }
    // One stuck connection is given up for lost. A second one means that the wallet itself is
    // locked; its commands must not take the connections of all others.
    function onAbandon(): void {
      if (lane.stuck || !holdsLane) return;
      holdsLane = false;
      lane.stuck = true;
      lane.state = "idle";
      goOn(lane);
    }

    // What waits leaves before the answers are read: the server need not wait for this program.
    void carry(lane.walletId, take(lane, limits.size), { onCommit: leave, onAbandon }).then(leave);
  }

  function goOn(lane: Lane): void {
    if (lane.state === "idle" && lane.waiting.length > 0) line(lane);
    if (lane.state === "idle" && !lane.stuck) lanes.delete(lane.walletId);
    start();
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
