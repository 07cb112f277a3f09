// Sequences of commands, carried out by the database and by the model, and compared after each step.
export { exhaustivePart } from "./exhaustive.ts";
export { groupingsPart, modelPart } from "./random.ts";
