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
