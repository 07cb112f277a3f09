import { isUnprepared } from "../errors/classify.ts";
import type { Queryable } from "../wire/call.ts";
import { createHolders, type Holders } from "./holders.ts";
import { createPlaces, type Places } from "./places.ts";
import { warnUnprepared } from "./prepared.ts";
import { createTime, type Time } from "./time.ts";

/** How statements get to the server. */
export interface Access {
  readonly sql: Queryable;
  readonly places: Places;
  readonly time: Time;
  readonly holders: Holders;
  /** Tries of what may be there for good, or may pass once each session has seen it. */
  readonly few: number;
  /** A server that takes no writes may answer, too. */
  readonly readOnly: boolean;
  /** Ends the sessions of the pool that take no writes, so that the driver opens others. */
  leaveReadOnly(): Promise<void>;
  /** Prepares statements no more, if that is what an error says. */
  heed(error: unknown): void;
}

/** What {@link createAccess} is made of. */
export interface AccessParts {
  readonly sql: Queryable;
  /** How many connections there are. */
  readonly size: number;
  readonly prepare: boolean;
  readonly readOnly: boolean;
  /** Seconds within which a call has its answer. */
  readonly retryFor: number;
}

const LEAVE_WITHIN_MS = 2_000;
// A server that goes on taking no writes is not asked for new sessions all the time.
const LEAVE_AGAIN_AFTER_MS = 500;

// On any driver, and behind a pooler, too: there the session lasts longer than its connection.
const LEAVE =
  "select pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()) " +
  "where pg_catalog.current_setting('transaction_read_only') = 'on'";

/** Opens the way to the server. */
export function createAccess({ sql, size, prepare, readOnly, retryFor }: AccessParts): Access {
  const places = createPlaces(size);
  let isPreparing = prepare;
  let leaving: Promise<void> | undefined;
  let leaveAgainAt = 0;

  const adapted: Queryable = {
    unsafe: (query, parameters, options) =>
      sql.unsafe(query, parameters, { prepare: options.prepare && isPreparing }),
  };

  // As many at once as there are connections, so that each of them gets one.
  async function leave(): Promise<void> {
    const statements = Array.from({ length: size }, () =>
      sql.unsafe(LEAVE, [], { prepare: false }).raw(),
    );
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, LEAVE_WITHIN_MS);
    await Promise.race([Promise.allSettled(statements), patience.promise]);
    clearTimeout(timer);
    leaveAgainAt = performance.now() + LEAVE_AGAIN_AFTER_MS;
    leaving = undefined;
  }

  return {
    sql: adapted,
    places,
    time: createTime(retryFor),
    holders: createHolders(adapted, places),
    few: size + 2,
    readOnly,
    async leaveReadOnly() {
      if (leaving === undefined && performance.now() < leaveAgainAt) return;
      leaving ??= leave();
      await leaving;
    },
    heed(error) {
      if (!isPreparing || !isUnprepared(error)) return;
      isPreparing = false;
      warnUnprepared();
    },
  };
}
