// Windows, with borders worked out by hand from the zones' rules.
import { expect, test } from "vitest";
import { time } from "./scene.ts";
import { type Per, windowAt } from "./windows.ts";

const cases: readonly (readonly [Per, string, string, string, string])[] = [
  ["minute", "UTC", "2027-01-15T12:00:59.999999", "2027-01-15T12:00:00", "2027-01-15T12:01:00"],
  // Half past five ahead: hours begin at :30 of UTC.
  ["hour", "Asia/Kolkata", "2027-01-15T12:29:59", "2027-01-15T11:30:00", "2027-01-15T12:30:00"],
  ["hour", "Asia/Kolkata", "2027-01-15T12:30:00", "2027-01-15T12:30:00", "2027-01-15T13:30:00"],
  ["day", "UTC", "2027-01-15T00:00:00", "2027-01-15T00:00:00", "2027-01-16T00:00:00"],
  // Berlin's summer begins: 23 hours; and ends: 25.
  ["day", "Europe/Berlin", "2027-03-28T12:00:00", "2027-03-27T23:00:00", "2027-03-28T22:00:00"],
  ["day", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-24T22:00:00", "2026-10-25T23:00:00"],
  // Havana sets its clocks back at one: two midnights, of which the first one begins the day.
  ["day", "America/Havana", "2025-11-02T05:30:00", "2025-11-02T04:00:00", "2025-11-03T05:00:00"],
  // And forward at midnight: the day begins at one.
  ["day", "America/Havana", "2027-03-14T05:00:00", "2027-03-14T05:00:00", "2027-03-15T04:00:00"],
  // Weeks begin on Monday, the 11th; also for a Sunday.
  ["week", "UTC", "2027-01-17T23:59:59", "2027-01-11T00:00:00", "2027-01-18T00:00:00"],
  ["month", "UTC", "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"],
  ["month", "Europe/Berlin", "2027-03-31T22:00:00", "2027-03-31T22:00:00", "2027-04-30T22:00:00"],
  ["year", "Pacific/Chatham", "2026-12-31T10:15:00", "2026-12-31T10:15:00", "2027-12-31T10:15:00"],
];

test.each(cases)("the %s of %s at %s", (per, zone, at, starts_at, ends_at) => {
  const expected = { starts_at: time(starts_at), ends_at: time(ends_at) };
  expect(windowAt(per, zone, time(at))).toEqual(expected);
});

test("ever has no bounds", () => {
  expect(windowAt("ever", "UTC", 0n)).toEqual({ starts_at: null, ends_at: null });
});
