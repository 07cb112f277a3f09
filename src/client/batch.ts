import type { Receipt } from "../generated/index.ts";
import type { Pending } from "./pending.ts";
import type { Slot, Slots } from "./slots.ts";

/** A command that waits for a batch, or is in one. */
export interface BatchedCommand {
  readonly command: Pending<Receipt>;
  /** Its JSON, as `post` reads it. */
  readonly text: string;
}

/** Where a batch is sent, and what its sender reports. */
export interface BatchOptions {
  /** A slot for the first try, which `retry` releases; without it, the batch waits for one. */
  readonly slot?: Slot;
  /** Called when the batch is committed, before its answers are parsed. */
  readonly onCommit: () => void;
  /** Called when nobody waits for the batch any more, though it has not ended. */
  readonly onAbandon: () => void;
}

/** Sends a batch of a wallet until each command has its answer; does not reject. */
export type SendBatch = (
  walletId: string,
  batch: readonly BatchedCommand[],
  options: BatchOptions,
) => Promise<void>;

/** The commands of one wallet. */
interface WalletQueue {
  readonly walletId: string;
  waiting: BatchedCommand[];
  /** `ready`: a batch of what waits is sent as soon as there is a slot. */
  state: "idle" | "ready" | "busy";
  /** A batch that nobody waits for any more has not ended yet. */
  stuck: boolean;
}

// The database limits the size of a command; this limits the size of a batch.
const MOST_CHARACTERS = 1_000_000;

/**
 * Puts commands into batches of at most `size`. Each wallet has one batch at a time, in the order in
 * which its commands came; those that come meanwhile wait for the next. A command never waits to
 * fill a batch: without a running one, it is sent with what came in the same turn of the event loop.
 */
export function createBatcher(size: number, slots: Slots, sendBatch: SendBatch) {
  const queues = new Map<string, WalletQueue>();

  function add(walletId: string, item: BatchedCommand): void {
    const queue = queues.get(walletId) ?? open(walletId);
    queue.waiting.push(item);
    if (queue.state === "idle") acquireSlot(queue);
  }

  function open(walletId: string): WalletQueue {
    const queue: WalletQueue = { walletId, waiting: [], state: "idle", stuck: false };
    queues.set(walletId, queue);
    return queue;
  }

  function acquireSlot(queue: WalletQueue): void {
    queue.state = "ready";
    const start = (slot: Slot) => run(queue, slot);
    slots.acquire({ lockKey: queue.walletId, slow: false, start });
  }

  function run(queue: WalletQueue, slot: Slot): void {
    queue.state = "busy";
    let isAbandoned = false;
    let isOver = false;

    function finish(): void {
      if (isOver) return;
      isOver = true;
      if (isAbandoned) queue.stuck = false;
      else queue.state = "idle";
      next(queue);
    }
    // The next batch passes one that is stuck. A second one that gets stuck is waited for: otherwise
    // one wallet could take all connections.
    function onAbandon(): void {
      if (queue.stuck || isAbandoned) return;
      isAbandoned = true;
      queue.stuck = true;
      queue.state = "idle";
      next(queue);
    }

    // The next batch is sent before the answers are parsed: the server does not wait for that.
    const options = { slot, onCommit: finish, onAbandon };
    void sendBatch(queue.walletId, take(queue, size), options).then(finish);
  }

  function next(queue: WalletQueue): void {
    if (queue.state !== "idle") return;
    if (queue.waiting.length > 0) acquireSlot(queue);
    else if (!queue.stuck) queues.delete(queue.walletId);
  }

  return { add };
}

function take(queue: WalletQueue, size: number): BatchedCommand[] {
  let characters = 0;
  const end = queue.waiting.findIndex(({ text }, i) => {
    characters += text.length;
    return i === size || (i > 0 && characters > MOST_CHARACTERS);
  });
  if (end > 0) return queue.waiting.splice(0, end);
  const all = queue.waiting;
  queue.waiting = [];
  return all;
}
