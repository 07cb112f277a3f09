import { Command } from "commander";
import { ReservationNotFoundError } from "../errors/index.ts";
import {
  formatTime,
  joined,
  printJson,
  printLine,
  printTable,
  shortened,
  text,
  trusted,
} from "../terminal/index.ts";
import { amountWriter, type Denomination, denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import {
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
        `\nits last ${EVENTS_FOR_A_PERSON} events; all of them with --json. Needs baseledger_auditor.` +
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
    const found = await reservationHistory(sql, walletId, reservationId);
    if (!found) throw notFound(walletId, reservationId);
    const limit = options.json ? Number.MAX_SAFE_INTEGER : EVENTS_FOR_A_PERSON;
    const events = await reservationEvents(sql, walletId, reservationId, limit);
    if (options.json) printJson({ ...found, events });
    else print(found, events, denomination);
  });
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

function whenOf({ endedAt, expiresAt, status }: ReservationHistory): string {
  if (status === "open" && expiresAt) return ` until ${expiresAt.toISOString()}`;
  if (status === "due" && expiresAt) return ` since ${expiresAt.toISOString()}`;
  return endedAt ? ` at ${endedAt.toISOString()}` : "";
}
