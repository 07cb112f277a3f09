// The windows of limits, by a library of dates and not by PostgreSQL. Part of the model: see ../model.ts.
import { Temporal } from "temporal-polyfill";
import type { Time } from "../requests.ts";

export const PERS = ["minute", "hour", "day", "week", "month", "year", "ever"] as const;
export type Per = (typeof PERS)[number];

/** From its start on, and before its end; null: without a bound. */
export interface Window {
  readonly starts_at: Time | null;
  readonly ends_at: Time | null;
}

const MINUTE = 60_000_000n;
const LENGTHS = { minute: MINUTE, hour: 60n * MINUTE } as const;
const EVER: Window = { starts_at: null, ends_at: null };

/** Whether an instant is in a window. */
export function isIn({ starts_at, ends_at }: Window, at: Time): boolean {
  return (starts_at === null || at >= starts_at) && (ends_at === null || at < ends_at);
}

/** The window of an instant in a zone. */
export function windowAt(per: Per, zone: string, at: Time): Window {
  if (per === "ever") return EVER;
  return per === "minute" || per === "hour"
    ? windowByOffset(LENGTHS[per], zone, at)
    : windowByDate(per, zone, at);
}

/** Minutes and hours begin by the offset that the zone has at the instant. */
function windowByOffset(length: bigint, zone: string, at: Time): Window {
  const offset = zone === "UTC" ? 0n : BigInt(zoned(zone, at).offsetNanoseconds) / 1000n;
  const local = at + offset;
  const starts_at = local - (((local % length) + length) % length) - offset;
  return { starts_at, ends_at: starts_at + length };
}

/** Recently found, by period and zone: most events fall into the same window. */
const found = new Map<string, Window>();

/** Longer windows begin with the first instant of a date, whatever it is called. */
function windowByDate(per: "day" | "week" | "month" | "year", zone: string, at: Time): Window {
  const name = `${per} ${zone}`;
  const known = found.get(name);
  if (known && isIn(known, at)) return known;
  const day = zoned(zone, at).toPlainDate();
  const first = {
    day: () => day,
    week: () => day.subtract({ days: day.dayOfWeek - 1 }),
    month: () => day.with({ day: 1 }),
    year: () => day.with({ month: 1, day: 1 }),
  }[per]();
  const last = first.add({ [`${per}s`]: 1 });
  const window = { starts_at: beginningOf(first, zone), ends_at: beginningOf(last, zone) };
  found.set(name, window);
  return window;
}

function zoned(zone: string, at: Time): Temporal.ZonedDateTime {
  return new Temporal.ZonedDateTime(at * 1000n, zone);
}

function beginningOf(date: Temporal.PlainDate, zone: string): Time {
  return date.toZonedDateTime(zone).epochNanoseconds / 1000n;
}
