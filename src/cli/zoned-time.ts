/*
 * Times in a zone, from the data of Node. A zone that only the server knows counts as UTC, and so
 * is written with it.
 */
import { readTime } from "../prices/index.ts";

/** The parts of an instant on the clocks of a zone. */
interface Clock {
  /** `2026-03-29`. */
  readonly day: string;
  /** `03:00`. */
  readonly minute: string;
  /** `+02:00`, or `Z`. */
  readonly offset: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Makes the function that reads the clocks of a zone. */
function clocksOf(timeZone: string): (time: Date) => Clock {
  let format: Intl.DateTimeFormat;
  const options = { timeZoneName: "longOffset" } as const;
  try {
    format = new Intl.DateTimeFormat("en-US", { timeZone, ...options });
  } catch {
    format = new Intl.DateTimeFormat("en-US", { timeZone: "UTC", ...options });
  }
  return (time) => {
    const name = format.formatToParts(time).find(({ type }) => type === "timeZoneName")?.value;
    const offset = name?.replace("GMT", "") || "Z";
    const local = new Date(time.getTime() + toMilliseconds(offset)).toISOString();
    return { day: local.slice(0, 10), minute: local.slice(11, 16), offset };
  };
}

/** Milliseconds of an offset like `+05:30`. */
function toMilliseconds(offset: string): number {
  const [, sign, hours = 0, minutes = 0] = /^([+-])(\d\d):(\d\d)/.exec(offset) ?? [];
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
}

/** Writes times of a zone for a program: `2026-03-29T00:00:00+01:00`. */
export function zonedTimeWriter(timeZone: string): (time: Date) => string {
  const clock = clocksOf(timeZone);
  return (time) => {
    const { day, minute, offset } = clock(time);
    return `${day}T${minute}:00${offset}`;
  };
}

/** Writes when a window begins for a person, as short as its length allows. */
export function windowWriter(per: string, timeZone: string): (time: Date) => string {
  const clock = clocksOf(timeZone);
  return (time) => {
    const { day, minute, offset } = clock(time);
    if (per === "month") return day.slice(0, 7);
    if (per !== "hour") return day;
    // An hour that comes twice when clocks change has two offsets.
    return `${day} ${minute}${timeZone === "UTC" ? "" : offset}`;
  };
}

/** Reads a time like {@link readTime}; a date alone is its midnight in a zone. */
export function readZonedTime(text: string, timeZone: string): string {
  const time = readTime(text);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return time;
  const clock = clocksOf(timeZone);
  const midnight = Date.parse(time);
  // By the offsets of the day before and the day after: clocks may change at midnight.
  const [before = midnight, after = midnight] = [-DAY_MS, DAY_MS].map(
    (by) => midnight - toMilliseconds(clock(new Date(midnight + by)).offset),
  );
  const isMidnight = (at: number): boolean => {
    const { day, minute } = clock(new Date(at));
    return day === text && minute === "00:00";
  };
  // Where there is no midnight, the day begins when the clocks change.
  const found = [before, after].find(isMidnight) ?? before;
  return new Date(found).toISOString();
}
