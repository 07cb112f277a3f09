// Mistakes in the SQL, each of which a test must notice: `npm run mutants` makes them one at a time.
import { access } from "./access.ts";
import { alerts } from "./alerts.ts";
import { argumentsOf } from "./arguments.ts";
import { backlog } from "./backlog.ts";
import { batch } from "./batch.ts";
import { clock } from "./clock.ts";
import { counters } from "./counters.ts";
import { due } from "./due.ts";
import { execute } from "./execute.ts";
import { limitTerms } from "./limit-terms.ts";
import { limits } from "./limits.ts";
import { many } from "./many.ts";
import type { Mutant, Rule } from "./mutant.ts";
import { prices } from "./prices.ts";
import { reads } from "./reads.ts";
import { rights } from "./rights.ts";
import { sweep } from "./sweep.ts";
import { terms } from "./terms.ts";
import { usage } from "./usage.ts";
import { verify } from "./verify.ts";
import { windows } from "./windows.ts";

const rules: readonly Rule[] = [
  ...execute,
  ...backlog,
  ...clock,
  ...batch,
  ...many,
  ...due,
  ...argumentsOf,
  ...reads,
  ...verify,
  ...rights,
  ...sweep,
  ...access,
  ...terms,
  ...limits,
  ...counters,
  ...windows,
  ...limitTerms,
  ...alerts,
  ...prices,
  ...usage,
];

export const mutants: readonly Mutant[] = rules.flatMap(({ rule, tests, mutants }) =>
  mutants.map((mutant): Mutant => ({ ...(tests && { tests }), ...mutant, rule })),
);

export { mutate } from "./apply.ts";
export type { Mutant } from "./mutant.ts";
