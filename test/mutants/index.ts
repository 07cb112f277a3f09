import { argumentsOf } from "./arguments.ts";
import { fold } from "./fold.ts";
import type { Mutant } from "./mutant.ts";
import { proof } from "./proof.ts";
import { reads } from "./reads.ts";
import { guards } from "./rights.ts";
import { sweep } from "./sweep.ts";

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
