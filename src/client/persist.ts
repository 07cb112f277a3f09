import pRetry from "p-retry";
import {
  classifyError,
  type ErrorClass,
  isHeldUp,
  isLastWord,
  isReadOnly,
  mayComeBack,
} from "../errors/classify.ts";
import type { Queryable } from "../wire/call.ts";
import type { Access } from "./access.ts";
import { endBackends, type Observed, observe } from "./backends.ts";
import { bound } from "./bounds.ts";
import type { Holder } from "./errors.ts";
import type { Place } from "./places.ts";

/** What has become of something that is being sent. */
export interface Delivery {
  /** Whether the server may have done it before this try, or may still do it. */
  readonly isDoubtful: boolean;
  /** Whether the server may be doing it. */
  isWithServer(): boolean;
  /** It is not tried any more, as time is up. */
  readonly isGivenUp: boolean;
  /** The last trouble with it. */
  readonly trouble: unknown;
  /** Who was seen to keep it waiting, last. */
  readonly holders: readonly Holder[];
  /** Asks the server to give up what it is doing about it. */
  cancel(): void;
}

/** Something to be sent until it has an answer. */
export interface Errand<T> {
  /** What it may have to wait for behind others: see `Visit`. */
  readonly subject: unknown;
  /** It changes nothing: it must not be answered by a server that takes no writes. */
  readonly isRead: boolean;
  /** It may take long without waiting for anybody. */
  readonly slow: boolean;
  /** A place for the first try. */
  readonly place?: Place;
  readonly send: (sql: Queryable, place: Place) => Promise<T>;
  /** When the first who still waits for the answer gives up, by `performance.now()`. */
  readonly deadline: () => number | undefined;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/**
 * Sends something, with the same keys, until there is an answer: again after what was unsent,
 * undone or unknown, with a pause that grows.
 *
 * The server may not have got to what was sent on a connection that broke. If the next sending were
 * refused, which leaves the key free, the first could then be granted, and the caller told wrong. So
 * the process at the other end of that connection is ended before anything is sent again. (Behind a
 * pooler it is not known which one that is: there, a refusal after a lost connection may be
 * overtaken, if the server takes its time.)
 */
export function persist<T>(
  access: Access,
  errand: Errand<T>,
): { readonly answer: Promise<T>; readonly delivery: Delivery } {
  let place = errand.place;
  let current: Observed | undefined;
  let lingering: readonly number[] = [];
  let isDoubtful = false;
  let trouble: unknown;
  let verdict: ErrorClass = "final";
  let few = 0;
  let isGivenUp = false;
  const { subject } = errand;

  async function attempt(): Promise<T> {
    try {
      await prepareAttempt();
    } catch (error) {
      place?.leave("served");
      place = undefined;
      access.heed(error);
      verdict = error instanceof LingeringError ? "unsent" : classifyError(error);
      throw error;
    }
    place ??= await enter(access, errand);
    const taken = place;
    place = undefined;
    const patience = access.time.patienceUntil(errand.deadline());
    if (patience === 0) {
      taken.leave("served");
      verdict = "unsent";
      throw trouble instanceof Error ? trouble : new Error("there was no free connection");
    }
    return sendOnce(taken, Math.min(taken.patience, patience));
  }

  async function prepareAttempt(): Promise<void> {
    if (lingering.length > 0) lingering = await endBackends(access.sql, lingering);
    if (lingering.length > 0) throw new LingeringError();
    if (isReadOnly(trouble) && !access.readOnly) await access.leaveReadOnly();
  }

  async function sendOnce(taken: Place, patience: number): Promise<T> {
    const observed = observe(access.sql);
    current = observed;
    const bounds = {
      patience,
      writable: errand.isRead && !access.readOnly,
      // What an upgrade has changed is looked up anew.
      prepare: few === 0,
    };
    const stopAsking = access.holders.askFor(subject, observed, patience);
    try {
      const answer = await errand.send(bound(observed.sql, bounds), taken);
      access.holders.forget(subject);
      return answer;
    } catch (error) {
      judge(error, observed);
      taken.leave(isHeldUp(error) ? "blocked" : "served");
      throw error;
    } finally {
      access.heed(observed.repeatedFor());
      stopAsking();
      taken.leave("served");
      current = undefined;
    }
  }

  function judge(error: unknown, observed: Observed): void {
    verdict = classifyError(error, observed.wasSent());
    access.heed(error);
    const backend = observed.backend();
    if (verdict === "unknown" && backend !== undefined && !isLastWord(error)) lingering = [backend];
    if (verdict === "unknown") isDoubtful = true;
    if (isReadOnly(error) && access.readOnly) verdict = "final";
    if (verdict === "undone" && mayComeBack(error) && ++few >= access.few) verdict = "final";
  }

  const answer = pRetry(attempt, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: FIRST_PAUSE_MS,
    // p-retry's jitter ends at this limit, so the limit itself differs from one errand to the next.
    maxTimeout: LONGEST_PAUSE_MS * (1 + Math.random()),
    randomize: true,
    shouldRetry: ({ error }) => {
      if (verdict === "final") return false;
      // The end of a session that was left for that says less.
      if (!(isReadOnly(trouble) && isLastWord(error))) trouble = error;
      isGivenUp = access.time.patienceUntil(errand.deadline()) === 0;
      return !isGivenUp;
    },
  });
  const delivery: Delivery = {
    get isDoubtful() {
      return isDoubtful;
    },
    get isGivenUp() {
      return isGivenUp;
    },
    isWithServer: () => current?.wasSent() ?? false,
    get trouble() {
      return trouble;
    },
    get holders() {
      return access.holders.of(subject);
    },
    cancel: () => current?.cancel(),
  };
  return { answer, delivery };
}

function enter(access: Access, { subject, slow }: Errand<unknown>): Promise<Place> {
  return new Promise((start) => access.places.enter({ subject, slow, start }));
}

/** A process that was sent this before has not ended yet. */
class LingeringError extends Error {
  override readonly message = "the server has not ended the connection that broke";
}
