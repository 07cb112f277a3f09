import { Command } from "commander";
import { ReservationNotFoundError } from "../errors/index.ts";
import { type ReservationState, reservation } from "../generated/index.ts";
import { type Json, stringifyJson } from "../json/index.ts";
import {
  formatTime,
  joined,
  printJson,
  printLine,
  printTable,
  type SafeText,
  shortened,
  text,
  trusted,
} from "../terminal/index.ts";
import { amountWriter, type Denomination, denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import {
  NO_RIGHT,
  type ReservationEvent,
  type ReservationHistory,
  reservationEvents,
  reservationHistory,
} from "./views.ts";

interface Options extends DatabaseOptions {
  readonly json?: true;
}

/** A long call has many heartbeats; a person reads only the last ones. */
const EVENTS_FOR_A_PERSON = 50;
const WIDEST_KEY = 40;

/** `baseledger reservation`: how one went, or stands. */
export function reservationCommand(): Command {
  const command = new Command("reservation")
    .argument("<wallet>", "id of the wallet")
    .argument("<reservation>", "id of the reservation")
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText(
      "after",
      "\nShows what was granted, settled, released and refunded, whether it is open, due (past its" +
        "\ndeadline, which no sweep has booked yet), settled, settled late, cancelled or expired, and" +
        `\nits last ${EVENTS_FOR_A_PERSON} events; all of them with --json. A login without baseledger_auditor sees how it` +
        "\nstands, with its metadata and labels, and no events." +
        "\n\nExample:\n  baseledger reservation acme call-1",
    )
    .action(showReservation);
  return addDatabaseOptions(command);
}

async function showReservation(
  walletId: string,
  reservationId: string,
  options: Options,
): Promise<void> {
  await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const found = await reservationHistory(sql, walletId, reservationId).catch(asNoRight);
    if (found === NO_RIGHT) {
      const state = await reservation(sql, { walletId, reservationId });
      if (options.json) printJson(state);
      else printState(state, denomination);
      return;
    }
    if (!found) throw notFound(walletId, reservationId);
    const limit = options.json ? Number.MAX_SAFE_INTEGER : EVENTS_FOR_A_PERSON;
    const events = await reservationEvents(sql, walletId, reservationId, limit);
    if (options.json) printJson({ ...found, events });
    else print(found, events, denomination);
  });
}

function asNoRight(error: { readonly code?: unknown }): typeof NO_RIGHT {
  if (error.code === NO_RIGHT) return NO_RIGHT;
  throw error;
}

// The refusal that the database raises for a command; this command only reads.
function notFound(walletId: string, reservationId: string): ReservationNotFoundError {
  return new ReservationNotFoundError("LGRNF", {
    message: `reservation not found: ${reservationId} in wallet ${walletId}`,
    detail: { reservation_id: reservationId },
    hint: "Check both ids; each wallet has reservations of its own.",
  });
}

const AMOUNTS = ["amount", "settled", "overage", "released", "refunded", "held"] as const;

function print(
  found: ReservationHistory,
  events: readonly ReservationEvent[],
  { scale, unit }: Denomination,
): void {
  const amounts = [...AMOUNTS.map((name) => found[name]), ...events.map((e) => e.amount ?? 0n)];
  const show = amountWriter(scale, amounts);
  const width = Math.max(...AMOUNTS.map((name) => show(found[name]).length));
  const parts = found.settlements > 1n ? text` in ${found.settlements} parts` : text``;
  printLine(
    joined([
      text`${found.reservationId} of ${found.walletId}: ${found.status}${trusted(whenOf(found))}`,
      ...AMOUNTS.map((name) => {
        const label = trusted((name === "amount" ? "granted" : name).padEnd(8));
        const settled = name === "settled" ? parts : text``;
        return text`  ${label}  ${trusted(show(found[name]).padStart(width))} ${unit}${settled}`;
      }),
    ]),
  );
  printTable(
    events.map((event) => ({
      "no.": event.seq.toString(),
      time: formatTime(event.occurredAt),
      event: event.event,
      amount: event.amount === null ? "" : show(event.amount),
      until: event.expiresAt ? formatTime(event.expiresAt) : "",
      key: shortened(event.idempotencyKey ?? "", WIDEST_KEY),
      actor: event.actor,
    })),
    ["no.", "amount"],
  );
}

const STATE_AMOUNTS = ["amount", "settled", "refunded", "held"] as const;

/** What a login sees that may not read the journal. */
function printState(state: ReservationState, { scale, unit }: Denomination): void {
  const show = amountWriter(
    scale,
    STATE_AMOUNTS.map((name) => state[name]),
  );
  const width = Math.max(...STATE_AMOUNTS.map((name) => show(state[name]).length));
  const status = state.late ? `${state.status} late` : state.status;
  const isSame = stringifyJson(state.labels) === stringifyJson(state.metadata);
  printLine(
    joined([
      text`${state.reservationId} of ${state.walletId}: ${status}${trusted(whenOf(state))}`,
      ...STATE_AMOUNTS.map((name) => {
        const label = trusted((name === "amount" ? "granted" : name).padEnd(8));
        return text`  ${label}  ${trusted(show(state[name]).padStart(width))} ${unit}`;
      }),
      ...describeJson("metadata", state.metadata),
      ...(isSame ? [] : describeJson("labels", state.labels)),
    ]),
  );
}

function describeJson(name: string, value: Json): SafeText[] {
  const written = stringifyJson(value);
  return written === "{}" ? [] : [text`  ${trusted(name.padEnd(8))}  ${written}`];
}

type Ended = Pick<ReservationState, "endedAt" | "expiresAt" | "status">;

function whenOf({ endedAt, expiresAt, status }: Ended): string {
  if (status === "open" && expiresAt) return ` until ${expiresAt.toISOString()}`;
  if (status === "due" && expiresAt) return ` since ${expiresAt.toISOString()}`;
  return endedAt ? ` at ${endedAt.toISOString()}` : "";
}
