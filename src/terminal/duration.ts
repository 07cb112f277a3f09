import { optionParser } from "./options.ts";

const UNITS = {
  seconds: /^s(ecs?|econds?)?$/i,
  minutes: /^m(ins?|inutes?)?$/i,
  hours: /^h(rs?|ours?)?$/i,
  days: /^d(ays?)?$/i,
};
const NUMBER = String.raw`\d{1,9}(?:\.\d{1,6})?`;
const SECONDS = new RegExp(`^${NUMBER}$`);
const PARTS = new RegExp(String.raw`^(?:${NUMBER}\s*[a-z]+\s*)+$`, "i");
const PART = new RegExp(String.raw`(${NUMBER})\s*([a-z]+)`, "gi");
const ISO_8601 = /^P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d{1,6})?S)?)?$/i;

/** What {@link parseDuration} reads, for help. */
export const DURATIONS = "like 90s, 2m, 1h30m, or '2 minutes'";

/**
 * Parses an option that is a duration into an interval of PostgreSQL, which does the arithmetic, so
 * that nothing is rounded here. A number alone is seconds.
 */
export const parseDuration: (text: string) => string = optionParser((text) => {
  const given = text.trim();
  if (SECONDS.test(given)) return `${given} seconds`;
  if (ISO_8601.test(given)) return given.toUpperCase();
  if (!PARTS.test(given)) throw new RangeError(COMPLAINT);
  return [...given.matchAll(PART)]
    .map(([, number, name = ""]) => `${number} ${unitOf(name)}`)
    .join(" ");
});

const COMPLAINT = `It is not a time ${DURATIONS}.`;

function unitOf(name: string): string {
  const [unit] = Object.entries(UNITS).find(([, pattern]) => pattern.test(name)) ?? [];
  if (unit === undefined) throw new RangeError(COMPLAINT);
  return unit;
}
