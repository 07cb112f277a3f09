import { Option } from "commander";
import { optionParser } from "../terminal/index.ts";
import { parsePrice } from "../trace/index.ts";

/** The option for the price of input tokens. */
export function priceInOption(): Option {
  return priceOption("--price-in <dollars>", "of a million input tokens", "2.50");
}

/** The option for the price of output tokens. */
export function priceOutOption(): Option {
  return priceOption("--price-out <dollars>", "of a million output tokens", "10.00");
}

function priceOption(flags: string, description: string, price: string): Option {
  return new Option(flags, description)
    .argParser(optionParser(parsePrice))
    .default(parsePrice(price), price);
}
