/** A place on a connection, for one statement. */
export interface Place {
  /** How long the statement may wait for a lock, in milliseconds. */
  readonly patience: number;
  /** Gives the place back; what comes after the first time does not count. */
  leave(outcome: "served" | "blocked"): void;
}

/** A statement that wants a place. */
export interface Visit {
  /** What it may have to wait for behind others, such as a wallet; an object of its own if nothing. */
  readonly subject: unknown;
  /** It may take long without waiting for anybody, as `verify` may. */
  readonly slow: boolean;
  readonly start: (place: Place) => void;
}

/** The places on the connections of a client. */
export interface Places {
  enter(visit: Visit): void;
}

// Within this a wallet that nobody has locked for long is free.
const MOMENT_MS = 250;
const LONGEST_TRY_MS = 2_000;
const SUSPECT_FOR_MS = 5_000;

type Length = "long" | "short";

/**
 * Shares connections between statements, so that none has to wait for a wallet that is not its own.
 *
 * At most half of the places are `long`: their statements may wait for a lock as long as they have
 * time. In the others a statement may wait for a moment only. A wallet for which that was not
 * enough is suspect: what it sends waits for a long place, one for each wallet, and tries a short
 * one meanwhile where those of other wallets leave room.
 */
export function createPlaces(size: number): Places {
  const most = { long: Math.floor(size / 2), short: Math.ceil(size / 2) };
  const free = { ...most };
  const fresh: Visit[] = [];
  /** By subject, in turn: suspect ones, and slow ones. */
  const waiting = new Map<unknown, Visit[]>();
  /** Subjects that have a long place, or try a short one. */
  const underWay = new Set<unknown>();
  const suspects = trackSuspects();
  let trying = 0;
  let woken = false;

  function enter(visit: Visit): void {
    if (visit.slow || suspects.has(visit.subject)) wait(visit);
    else fresh.push(visit);
    // Commands that come in the same turn of the event loop travel together.
    if (!woken) queueMicrotask(serve);
    woken = true;
  }

  function wait(visit: Visit): void {
    const others = waiting.get(visit.subject);
    if (others) others.push(visit);
    else waiting.set(visit.subject, [visit]);
  }

  function serve(): void {
    woken = false;
    while (serveWaiting() || serveFresh());
  }

  function serveWaiting(): boolean {
    const mayTry = isRoomToTry();
    if (free.long === 0 && !mayTry) return false;
    for (const [subject, visits] of waiting) {
      const [visit] = visits;
      if (visit === undefined || underWay.has(subject)) continue;
      // With a single connection, what is slow has no other place.
      if (free.long === 0 && visit.slow && most.long > 0) continue;
      visits.shift();
      waiting.delete(subject);
      if (visits.length > 0) waiting.set(subject, visits);
      begin(visit, free.long > 0 ? "long" : "short", true);
      return true;
    }
    return false;
  }

  /** One short place is left to the others, and all but one as long as others wait. */
  function isRoomToTry(): boolean {
    if (free.short === 0) return false;
    if (most.short === 1) return fresh.length === 0;
    return trying === 0 || (fresh.length === 0 && trying < most.short - 1);
  }

  function serveFresh(): boolean {
    const [visit] = fresh;
    if (visit === undefined) return false;
    const mayBeLong = free.long > 0 && !underWay.has(visit.subject);
    if (free.short === 0 && !mayBeLong) return false;
    fresh.shift();
    begin(visit, mayBeLong && (waiting.size === 0 || free.short === 0) ? "long" : "short", false);
    return true;
  }

  function begin({ subject, start }: Visit, length: Length, hasWaited: boolean): void {
    const isTry = hasWaited && length === "short";
    const isAlone = isTry || length === "long";
    free[length] -= 1;
    if (isTry) trying += 1;
    if (isAlone) underWay.add(subject);
    let isOver = false;
    start({
      patience: length === "long" ? Number.POSITIVE_INFINITY : patienceWith(subject),
      leave(outcome) {
        if (isOver) return;
        isOver = true;
        free[length] += 1;
        if (isTry) trying -= 1;
        if (isAlone) underWay.delete(subject);
        if (outcome === "blocked") suspects.add(subject);
        else acquit(subject);
        serve();
      },
    });
  }

  function patienceWith(subject: unknown): number {
    const longest = most.short > 2 ? LONGEST_TRY_MS : MOMENT_MS;
    return Math.min(MOMENT_MS * 2 ** suspects.times(subject), longest);
  }

  function acquit(subject: unknown): void {
    if (!suspects.delete(subject)) return;
    const visits = waiting.get(subject);
    waiting.delete(subject);
    for (const visit of visits ?? []) enter(visit);
  }

  return { enter };
}

/** The subjects that were locked a short while ago, and how often in succession. */
function trackSuspects() {
  // By the time when they were added last, so that the first ones are the first to be forgotten.
  const known = new Map<unknown, { readonly until: number; readonly times: number }>();

  function times(subject: unknown): number {
    const suspect = known.get(subject);
    return suspect && suspect.until > performance.now() ? suspect.times : 0;
  }

  return {
    times,
    has: (subject: unknown) => times(subject) > 0,
    add(subject: unknown) {
      const now = performance.now();
      const suspect = { until: now + SUSPECT_FOR_MS, times: times(subject) + 1 };
      known.delete(subject);
      known.set(subject, suspect);
      for (const [other, { until }] of known) {
        if (until > now) break;
        known.delete(other);
      }
    },
    delete: (subject: unknown) => known.delete(subject),
  };
}
