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
  return numberParser(/^\d+$/, least, most, "whole number");
}

/** Parses an option that is a number from `least` to `most`, with at most three decimals. */
export function decimalNumber(least: number, most: number): (text: string) => number {
  return numberParser(/^\d{1,9}(\.\d{1,3})?$/, least, most, "number");
}

function numberParser(
  shape: RegExp,
  least: number,
  most: number,
  name: string,
): (text: string) => number {
  return optionParser((text) => {
    const value = shape.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) {
      throw new RangeError(`It is not a ${name} from ${least} to ${most}.`);
    }
    return value;
  });
}
