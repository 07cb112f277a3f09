import { Option } from "commander";
import { readTime } from "../prices/index.ts";
import { optionParser } from "../terminal/index.ts";
import { UsageError } from "./failure.ts";

/** An option that is a time, such as `2027-01-31` or `2027-01-31T12:00Z`, in UTC without a zone. */
export function readTimeOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(optionParser(readTime));
}

/** Reads words such as `input=1.25`; `read` reads what is behind the sign. */
export function readPairs<T>(
  words: readonly string[],
  example: string,
  read: (text: string) => T,
): Record<string, T> {
  const pairs = words.map((word) => {
    const [, name = "", value = ""] = /^([a-z][a-z0-9_]*)=(.+)$/.exec(word) ?? [];
    if (name === "" || name === "model" || name === "variant") {
      throw new UsageError(`${word} is not like ${example}`);
    }
    try {
      return [name, read(value)] as const;
    } catch (error) {
      throw new UsageError(`${name}: ${(error as Error).message}`, { cause: error });
    }
  });
  const twice = pairs.find(([name], index) => pairs.findIndex(([one]) => one === name) !== index);
  if (twice) throw new UsageError(`${twice[0]} is named twice`);
  return Object.fromEntries(pairs);
}
