import { expect, test } from "vitest";
import { mutants, mutate } from "./index.ts";

test("every mutant finds the text that it changes, once", () => {
  const stale = mutants.flatMap((mutant) => {
    try {
      mutate(mutant);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  expect(stale).toEqual([]);
});

test("no two mutants of a function have one name", () => {
  const names = mutants.map(({ of, about }) => `${of}: ${about}`);
  expect(new Set(names).size).toBe(names.length);
});
