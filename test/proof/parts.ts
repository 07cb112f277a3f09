import { exhaustivePart } from "./exhaustive.ts";
import { faultParts } from "./faults/index.ts";
import { field } from "./field/index.ts";
import { fuzzPart } from "./fuzz/index.ts";
import type { Part } from "./part.ts";
import { modelPart } from "./random.ts";

/** What `npm run proof` runs, in this order. */
export const PARTS: readonly Part[] = [
  exhaustivePart(5),
  modelPart,
  ...faultParts,
  field,
  fuzzPart,
];
