import type { Receipt } from "../generated/index.ts";
import type { Pending } from "./pending.ts";
import type { Slot, Slots } from "./slots.ts";

/** A command that waits for a batch, or is in one. */
export interface BatchedCommand {
  readonly command: Pending<Receipt>;
  /** Its JSON, as `post` reads it. */
  readonly text: string;
}

/** The commands of one wallet in a batch, in their order. */
export interface Part {
  readonly walletId: string;
  readonly commands: readonly BatchedCommand[];
  /**
   * Called when each of them has its answer, or the caller an error; but for those that are
   * returned, with which nothing was done: they are sent again, by `post`.
   */
  readonly onEnd: (returned: readonly BatchedCommand[]) => void;
  /** Called when nobody waits for them any more, though the batch has not ended. */
  readonly onAbandon: () => void;
}

/** How a batch is sent. */
export interface BatchOptions {
  /** A slot for the first try, which `retry` releases; without it, the batch waits for one. */
  readonly slot?: Slot;
  /** Called when the batch is committed, before its answers are parsed. */
  readonly onCommit: () => void;
}

/** Sends batches until each command has its answer; what it returns does not reject. */
export interface BatchSender {
  /** Sends commands of one wallet, by `post`. */
  sendOne(part: Part, options: BatchOptions): Promise<void>;
  /** Sends commands of several wallets, by `post_many`. */
  sendSeveral(parts: readonly Part[], options: BatchOptions): Promise<void>;
  /** Whether the database has `post_many`, as far as is known. */
  canSendSeveral(): boolean;
}

/** The commands of one wallet. */
interface WalletQueue {
  readonly walletId: string;
  waiting: BatchedCommand[];
  /** `ready`: what waits is sent as soon as there is a slot. */
  state: "idle" | "ready" | "busy";
  /** A batch that nobody waits for any more has not ended yet. */
  isStuck: boolean;
  /** Commands were returned, and go by `post`: another session has the wallet, for instance. */
  mustGoAlone: boolean;
  /** How many commands were just committed: their callers are about to send more. */
  returning: number;
}

// The database limits the size of a command; this limits the size of a batch.
const MOST_CHARACTERS = 1_000_000;
// A wallet in which so many commands wait pays for a commit of its own, and need not wait for the
// other wallets of a batch.
const HOT = 16;
// The callers of a hot wallet are served in two groups: one is with the server while this program
// reads the answers of the other. Fewer are not divided, as each batch has a commit of its own.
const SMALLEST_GROUP = 50;
// The same for many wallets: while so many batches are under way, others are sent only when full.
const LANES = 3;
const SMALLEST_SHARE = 20;
// A batch that takes longer, e.g. as its connection broke, holds up no other.
const LANE_MS = 250;

/**
 * Puts commands into batches of at most `size`, of one wallet or several. Each wallet is in one
 * batch at a time, with its commands in the order in which they came; those that come meanwhile wait
 * for the next.
 *
 * A command without others is sent at once, with what came in the same turn of the event loop. Of
 * several wallets, batches never wait for a lock, so no wallet waits for one that others have
 * locked: what is refused there is sent again by `post`, in a slot of its wallet's.
 */
export function createBatcher(size: number, slots: Slots, sender: BatchSender) {
  const queues = new Map<string, WalletQueue>();
  /** Queues that are ready, and do not have a way yet. */
  let arrived: WalletQueue[] = [];
  /** Queues that wait for a batch of several wallets, the oldest first. */
  const ready = new Set<WalletQueue>();
  /** How many wallets each batch under way has. */
  const lanes = new Set<{ readonly wallets: number }>();
  /** Batches of one wallet that are under way, or wait for a slot. */
  let alone = 0;
  let isRequested = false;
  let isScheduled = false;

  function add(walletId: string, item: BatchedCommand): void {
    const queue = queues.get(walletId) ?? open(walletId);
    queue.waiting.push(item);
    if (queue.state === "idle") arrive(queue);
    else if (queue.waiting.length === HOT && ready.delete(queue)) arrived.push(queue);
    else return;
    schedule();
  }

  function open(walletId: string): WalletQueue {
    const queue: WalletQueue = {
      walletId,
      waiting: [],
      state: "idle",
      isStuck: false,
      mustGoAlone: false,
      returning: 0,
    };
    queues.set(walletId, queue);
    return queue;
  }

  function arrive(queue: WalletQueue): void {
    queue.state = "ready";
    arrived.push(queue);
  }

  /** Later, so that commands of the same turn of the event loop join one batch. */
  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    // A tick that is asked for by a microtask comes after all other microtasks.
    queueMicrotask(() => process.nextTick(dispatch));
  }

  function dispatch(): void {
    isScheduled = false;
    const canSendSeveral = sender.canSendSeveral();
    for (const queue of arrived) {
      const isAlone = queue.mustGoAlone || queue.waiting.length >= HOT || !canSendSeveral;
      if (isAlone) requestOwnSlot(queue);
      else ready.add(queue);
    }
    arrived = [];
    if (ready.size === 0 || isRequested) return;
    if (ready.size === 1 && alone + lanes.size === 0) {
      for (const queue of ready) requestOwnSlot(queue);
      ready.clear();
    } else if (lanes.size < LANES || ready.size >= size) {
      isRequested = true;
      slots.acquire({ lockKey: {}, slow: false, start: sendSeveral });
    }
  }

  function requestOwnSlot(queue: WalletQueue): void {
    alone += 1;
    const start = (slot: Slot) => sendOne(queue, slot);
    slots.acquire({ lockKey: queue.walletId, slow: false, start });
  }

  function sendOne(queue: WalletQueue, slot: Slot): void {
    const expected = Math.ceil((queue.waiting.length + queue.returning) / 2);
    const commands = take(queue, Math.min(size, Math.max(expected, SMALLEST_GROUP)));
    const { part, end } = occupy(queue, commands, () => {
      alone -= 1;
    });
    // The next batch is sent before the answers are parsed: the server does not wait for that.
    const onCommit = () => {
      queue.mustGoAlone = false;
      queue.returning = commands.length;
      end([]);
      dispatch();
    };
    void sender.sendOne(part, { slot, onCommit }).then(() => {
      queue.returning = 0;
    });
  }

  function sendSeveral(slot: Slot): void {
    isRequested = false;
    const parts = takeParts();
    if (parts.length === 0) {
      slot.release("served");
      return;
    }
    const lane = { wallets: parts.length };
    lanes.add(lane);
    const leave = () => {
      clearTimeout(timer);
      if (lanes.delete(lane)) dispatch();
    };
    const timer = setTimeout(leave, LANE_MS).unref();
    void sender.sendSeveral(parts, { slot, onCommit: leave }).then(leave);
    dispatch();
  }

  function takeParts(): Part[] {
    let wallets = ready.size;
    for (const lane of lanes) wallets += lane.wallets;
    const share = Math.max(Math.ceil(wallets / LANES), SMALLEST_SHARE);
    const parts: Part[] = [];
    let room = size;
    for (const queue of ready) {
      if (parts.length === share || room === 0) break;
      const commands = take(queue, room);
      room -= commands.length;
      ready.delete(queue);
      parts.push(occupy(queue, commands, () => undefined).part);
    }
    return parts;
  }

  /** Makes a queue busy until the part of a batch that its commands are has ended. */
  function occupy(queue: WalletQueue, commands: readonly BatchedCommand[], onLeave: () => void) {
    queue.state = "busy";
    let isAbandoned = false;
    let isOver = false;

    function end(returned: readonly BatchedCommand[]): void {
      if (isOver) return;
      isOver = true;
      if (returned.length > 0) {
        queue.waiting = [...returned, ...queue.waiting];
        queue.mustGoAlone = true;
      }
      if (isAbandoned) queue.isStuck = false;
      else {
        queue.state = "idle";
        onLeave();
      }
      next(queue);
    }
    // The next batch passes one that is stuck. A second one that gets stuck is waited for: otherwise
    // one wallet could take all connections.
    function onAbandon(): void {
      if (queue.isStuck || isAbandoned || isOver) return;
      isAbandoned = true;
      queue.isStuck = true;
      queue.state = "idle";
      onLeave();
      next(queue);
    }
    const part: Part = { walletId: queue.walletId, commands, onEnd: end, onAbandon };
    return { part, end };
  }

  function next(queue: WalletQueue): void {
    if (queue.state !== "idle") return;
    if (queue.waiting.length > 0) {
      arrive(queue);
      schedule();
    } else if (!queue.isStuck) queues.delete(queue.walletId);
  }

  return { add };
}

/** Takes the first commands that wait, at most so many. */
function take(queue: WalletQueue, most: number): BatchedCommand[] {
  let characters = 0;
  const end = queue.waiting.findIndex(({ text }, i) => {
    characters += text.length;
    return i === most || (i > 0 && characters > MOST_CHARACTERS);
  });
  if (end > 0) return queue.waiting.splice(0, end);
  const all = queue.waiting;
  queue.waiting = [];
  return all;
}
