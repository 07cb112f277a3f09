/** A slot on the connections, for one statement. */
export interface Slot {
  /** How long the statement may wait for a lock, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** Gives the slot back; only the first call counts. The slots of requests belong to `retry`. */
  release(outcome: "served" | "blocked"): void;
}

/** A statement that needs a slot. */
export interface SlotRequest {
  /**
   * What it may have to wait for a lock on, such as a wallet. A new object if nothing: no other
   * statement has the same.
   */
  readonly lockKey: unknown;
  /** It may run long without waiting for a lock, as `verify` may. */
  readonly slow: boolean;
  readonly start: (slot: Slot) => void;
}

/** The slots on the connections of a client. */
export interface Slots {
  /** Starts the request as soon as there is a slot for it. */
  acquire(request: SlotRequest): void;
}

// A wallet that is in use but not locked for long is free within this time.
const SHORT_MS = 250;
const LONGEST_TRY_MS = 2_000;
const BLOCKED_FOR_MS = 5_000;

type Length = "long" | "short";

/**
 * Shares the connections between statements, so that a locked wallet does not delay the others.
 *
 * At most half of the slots are `long`: their statements may wait for a lock as long as they have
 * time. In a `short` slot a statement may wait only briefly. A wallet for which that was not enough
 * counts as blocked for a while: its statements wait for a long slot, one at a time, and meanwhile
 * try a short one where other wallets leave room.
 */
export function createSlots(size: number): Slots {
  const most = { long: Math.floor(size / 2), short: Math.ceil(size / 2) };
  const free = { ...most };
  const fresh: SlotRequest[] = [];
  /** Blocked and slow statements by lock key; the keys take turns. */
  const waiting = new Map<unknown, SlotRequest[]>();
  /** Keys that have a long slot, or try a short one. */
  const running = new Set<unknown>();
  const blocked = trackBlocked();
  let trying = 0;
  let isScheduled = false;

  function acquire(request: SlotRequest): void {
    if (request.slow || blocked.has(request.lockKey)) wait(request);
    else fresh.push(request);
    // Later, so that commands of the same turn of the event loop join one batch.
    if (!isScheduled) queueMicrotask(serve);
    isScheduled = true;
  }

  function wait(request: SlotRequest): void {
    const others = waiting.get(request.lockKey);
    if (others) others.push(request);
    else waiting.set(request.lockKey, [request]);
  }

  function serve(): void {
    isScheduled = false;
    while (serveWaiting() || serveFresh());
  }

  function serveWaiting(): boolean {
    const mayTry = isRoomToTry();
    if (free.long === 0 && !mayTry) return false;
    for (const [lockKey, requests] of waiting) {
      const [request] = requests;
      if (request === undefined || running.has(lockKey)) continue;
      // With a single connection there is no long slot for slow statements.
      if (free.long === 0 && request.slow && most.long > 0) continue;
      requests.shift();
      waiting.delete(lockKey);
      if (requests.length > 0) waiting.set(lockKey, requests);
      begin(request, free.long > 0 ? "long" : "short", true);
      return true;
    }
    return false;
  }

  /** Tries leave one short slot to the others; while others wait, there is one try at a time. */
  function isRoomToTry(): boolean {
    if (free.short === 0) return false;
    if (most.short === 1) return fresh.length === 0;
    return trying === 0 || (fresh.length === 0 && trying < most.short - 1);
  }

  function serveFresh(): boolean {
    const [request] = fresh;
    if (request === undefined) return false;
    const mayBeLong = free.long > 0 && !running.has(request.lockKey);
    if (free.short === 0 && !mayBeLong) return false;
    fresh.shift();
    const isLong = mayBeLong && (waiting.size === 0 || free.short === 0);
    begin(request, isLong ? "long" : "short", false);
    return true;
  }

  function begin({ lockKey, start }: SlotRequest, length: Length, hasWaited: boolean): void {
    const isTry = hasWaited && length === "short";
    const isExclusive = isTry || length === "long";
    free[length] -= 1;
    if (isTry) trying += 1;
    if (isExclusive) running.add(lockKey);
    let isReleased = false;
    start({
      lockTimeoutMs: length === "long" ? Number.POSITIVE_INFINITY : shortTimeout(lockKey),
      release(outcome) {
        if (isReleased) return;
        isReleased = true;
        free[length] += 1;
        if (isTry) trying -= 1;
        if (isExclusive) running.delete(lockKey);
        if (outcome === "blocked") blocked.add(lockKey);
        else unblock(lockKey);
        serve();
      },
    });
  }

  function shortTimeout(lockKey: unknown): number {
    const longest = most.short > 2 ? LONGEST_TRY_MS : SHORT_MS;
    return Math.min(SHORT_MS * 2 ** blocked.times(lockKey), longest);
  }

  function unblock(lockKey: unknown): void {
    if (!blocked.delete(lockKey)) return;
    const requests = waiting.get(lockKey);
    waiting.delete(lockKey);
    for (const request of requests ?? []) acquire(request);
  }

  return { acquire };
}

/** The keys that were blocked lately, and how often in succession. */
function trackBlocked() {
  // In the order in which they were added last, so the first ones expire first.
  const known = new Map<unknown, { readonly until: number; readonly times: number }>();

  function times(lockKey: unknown): number {
    const entry = known.get(lockKey);
    return entry && entry.until > performance.now() ? entry.times : 0;
  }

  return {
    times,
    has: (lockKey: unknown) => times(lockKey) > 0,
    add(lockKey: unknown) {
      const now = performance.now();
      const entry = { until: now + BLOCKED_FOR_MS, times: times(lockKey) + 1 };
      known.delete(lockKey);
      known.set(lockKey, entry);
      for (const [other, { until }] of known) {
        if (until > now) break;
        known.delete(other);
      }
    },
    delete: (lockKey: unknown) => known.delete(lockKey),
  };
}
