import { InvalidArgumentError } from "commander";

/** Makes a parser of an option's value one of the command line: its errors are errors of usage. */
export function optionParser<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

/** Parses an option that is an integer from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return numberParser(/^\d+$/, least, most, `whole number from ${least} to ${most}`);
}

/** Parses an option that is a number from `least` to `most`, with at most three decimals. */
export function decimalNumber(least: number, most: number): (text: string) => number {
  return numberParser(DECIMAL, least, most, `number from ${least} to ${most}`);
}

/** Parses an option that is a number above 0, with at most three decimals. */
export function positiveNumber(): (text: string) => number {
  return numberParser(DECIMAL, 0.001, 999_999_999.999, "number above 0");
}

const DECIMAL = /^\d{1,9}(\.\d{1,3})?$/;

function numberParser(
  shape: RegExp,
  least: number,
  most: number,
  expected: string,
): (text: string) => number {
  return optionParser((text) => {
    const value = shape.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) {
      throw new RangeError(`It is not a ${expected}.`);
    }
    return value;
  });
}

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
