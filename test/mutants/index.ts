import { argumentsOf } from "./arguments.ts";
import { fold } from "./execute.ts";
import type { Mutant } from "./mutant.ts";
import { reads } from "./reads.ts";
import { guards } from "./rights.ts";
import { sweep } from "./sweep.ts";
import { proof } from "./verify.ts";

/** Every mistake that is tried; `npm run mutants` makes them one at a time. */
export const mutants: readonly Mutant[] = [
  ...fold,
  ...argumentsOf,
  ...reads,
  ...proof,
  ...guards,
  ...sweep,
];

export type { Mutant };
