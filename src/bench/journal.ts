import * as crypto from "node:crypto";
import { createBytes } from "./bytes.ts";
import { type NextCall, nextKey } from "./calls.ts";

/** A wallet with a past, to be loaded and not to be lived. */
export interface Past {
  readonly walletId: string;
  /** Calls that were reserved and settled. */
  readonly calls: number;
  /** Reservations that were made after them, whose deadline has passed, and that nobody swept. */
  readonly due: number;
}

/** An event of a past. Texts are UTF-8; times are microseconds since 2000, as PostgreSQL has it. */
export interface PastEvent {
  readonly walletId: Buffer;
  readonly seq: number;
  readonly event: Buffer;
  readonly reservationId: Buffer | null;
  readonly amount: number | null;
  readonly available: number;
  readonly reserved: number;
  readonly spent: number;
  readonly expiresAt: number | null;
  readonly occurredAt: number;
  readonly key: Buffer | null;
  readonly details: Buffer | null;
  readonly hash: Buffer;
}

export const ACTOR = Buffer.from("bench");
export const METADATA = Buffer.from("{}");

// What all wallets are opened on, as PostgreSQL prints it.
const TERMS = Buffer.from('{"unit": "USD", "scale": 9, "overdraft_limit": null}');
const OPENED = Buffer.from("opened");
const CREDITED = Buffer.from("credited");
const RESERVED = Buffer.from("reserved");
const SETTLED = Buffer.from("settled");
/** More than a run can spend, and exact in a number. */
const FUNDS = 1_000_000_000_000_000;

const EPOCH_MS = Date.UTC(2000, 0, 1);
// Events of a wallet are a millisecond apart, the first a day ago: room for 86 million of them.
const DAY_MS = 86_400_000;
const STEP_US = 1000;
const TTL_US = 600_000_000;

/** Tells the events of a past, in their order, each with its true hash. */
export function* eventsOf(
  { walletId, calls, due }: Past,
  nextCall: NextCall,
): Generator<PastEvent> {
  const id = Buffer.from(walletId);
  const nothing = { reservationId: null, expiresAt: null, details: null };
  let last: Unhashed & { hash: Buffer } = {
    ...nothing,
    walletId: id,
    seq: 0,
    event: OPENED,
    amount: null,
    available: 0,
    reserved: 0,
    spent: 0,
    occurredAt: (Date.now() - DAY_MS - EPOCH_MS) * 1000,
    key: null,
    hash: Buffer.alloc(32),
  };
  const then = (event: Partial<PastEvent>): PastEvent => {
    const seq = last.seq + 1;
    const occurredAt = last.occurredAt + STEP_US;
    const next = { ...last, ...nothing, seq, occurredAt, ...event };
    last = { ...next, hash: hashOf(last.hash, next) };
    return last;
  };
  const reserve = (key: string, hold: number): PastEvent =>
    then({
      event: RESERVED,
      key: Buffer.from(key),
      reservationId: Buffer.from(key),
      amount: hold,
      available: last.available - hold,
      reserved: last.reserved + hold,
      expiresAt: last.occurredAt + STEP_US + TTL_US,
    });

  yield then({ event: OPENED, details: TERMS });
  yield then({ event: CREDITED, key: Buffer.from("funds"), amount: FUNDS, available: FUNDS });
  for (let done = 0; done < calls; done += 1) {
    const key = nextKey();
    const call = nextCall();
    const [hold, cost] = [Number(call.hold), Number(call.cost)];
    yield reserve(key, hold);
    yield then({
      event: SETTLED,
      key: Buffer.from(`${key}-cost`),
      reservationId: Buffer.from(key),
      amount: cost,
      available: last.available + hold - cost,
      reserved: last.reserved - hold,
      spent: last.spent + cost,
    });
  }
  for (let open = 0; open < due; open += 1) yield reserve(nextKey(), Number(nextCall().hold));
}

type Unhashed = Omit<PastEvent, "hash">;

const BYTEA = 17;
const BIGINT = 20;
const TIMESTAMPTZ = 1184;
const COLUMNS = 14;
const bytes = createBytes();

/** sha256 of the hash before it and the canonical encoding: see docs/hash-chain.md. */
function hashOf(before: Buffer, event: Unhashed): Buffer {
  bytes.raw(before);
  bytes.int32(COLUMNS);
  text(event.walletId);
  number(BIGINT, event.seq);
  text(event.event);
  text(event.reservationId);
  number(BIGINT, event.amount);
  number(BIGINT, event.available);
  number(BIGINT, event.reserved);
  number(BIGINT, event.spent);
  number(TIMESTAMPTZ, event.expiresAt);
  number(TIMESTAMPTZ, event.occurredAt);
  text(event.key);
  text(ACTOR);
  text(METADATA);
  text(event.details);
  return crypto.hash("sha256", bytes.take(), "buffer");
}

function text(value: Buffer | null): void {
  bytes.int32(BYTEA);
  bytes.field(value);
}

function number(type: number, value: number | null): void {
  bytes.int32(type);
  bytes.field64(value);
}
