// Days, hours and months in zones, held to the windows that the ledger computes.
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readZonedTime, windowWriter, zonedTimeWriter } from "../../src/cli/zoned-time.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

/** When the day begins in a zone, by the ledger. */
async function startOf(day: string, zone: string): Promise<string> {
  const [row] = await sql<{ at: Date }[]>`
    select lower(baseledger._window('day', ${zone}, noon)) as at
      from (select (${day}::date + time '12:00') at time zone ${zone} as noon) as n`;
  return row?.at.toISOString() ?? "";
}

test.each([
  ["UTC", "2026-02-28"],
  // Clocks change during the day, at its beginning, and so that it has no midnight, or two of them.
  ["Europe/Berlin", "2026-03-29"],
  ["Europe/Berlin", "2026-10-25"],
  ["America/Sao_Paulo", "2018-11-04"],
  ["America/Havana", "2025-11-02"],
  ["Africa/Cairo", "2026-04-24"],
  ["Australia/Lord_Howe", "2026-04-05"],
  ["Asia/Kathmandu", "2026-07-01"],
  ["Pacific/Kiritimati", "2026-01-01"],
  ["Pacific/Apia", "2011-12-31"],
])("%s: %s begins when the ledger says", async (zone, day) => {
  const start = readZonedTime(day, zone);
  expect(new Date(start).toISOString()).toBe(await startOf(day, zone));
  expect(windowWriter("day", zone)(new Date(start))).toBe(day);
  expect(windowWriter("month", zone)(new Date(start))).toBe(day.slice(0, 7));
  const written = zonedTimeWriter(zone)(new Date(start));
  expect(written.slice(0, 10)).toBe(day);
  expect(Date.parse(written)).toBe(Date.parse(start));
});

test("a time with its own zone is taken as it is, to the microsecond", () => {
  expect(readZonedTime("2026-01-31T12:00:00.123456+02:00", "Europe/Berlin")).toBe(
    "2026-01-31T10:00:00.123456Z",
  );
  expect(() => readZonedTime("2026-02-30", "Europe/Berlin")).toThrow(RangeError);
});

test("an hour that comes twice has two offsets", () => {
  const write = windowWriter("hour", "Europe/Berlin");
  const hours = ["2026-10-25T00:00Z", "2026-10-25T01:00Z"].map((at) => write(new Date(at)));
  expect(hours).toEqual(["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00"]);
  expect(windowWriter("hour", "UTC")(new Date("2026-10-25T01:00Z"))).toBe("2026-10-25 01:00");
});

test("a zone that only the server knows counts as UTC", () => {
  expect(readZonedTime("2026-01-31", "Mars/Olympus")).toBe("2026-01-31T00:00:00.000Z");
  expect(zonedTimeWriter("Mars/Olympus")(new Date(0))).toBe("1970-01-01T00:00:00Z");
});
