// Generates who calls: operators, agents with and without grants, roles that are set, and keys.
import fc from "fast-check";
import type { Json } from "../../../src/json/index.ts";
import { AGENTS, OPERATOR, type Session, TEAM } from "../model/access.ts";

const [ANN, BOB] = AGENTS;
const by = (login: string, role: string | null = null, key: Session["key"] = null): Session => {
  return { login, role, key };
};
const keyOf = (wallet_id: string, name: string) => ({ wallet_id, name });

/** Who calls; undefined: an operator. */
export const sessions: fc.Arbitrary<Session | undefined> = fc.oneof(
  { arbitrary: fc.constant(undefined), weight: 12 },
  { arbitrary: fc.constantFrom(by(ANN), by(ANN), by(BOB), by(ANN, TEAM)), weight: 8 },
  {
    arbitrary: fc.constantFrom<Session[]>(
      by(BOB, null, keyOf("a", "k1")),
      by(BOB, null, keyOf("a", "k2")),
      by(ANN, TEAM, keyOf("a", "k1")),
      by(BOB, null, keyOf("b", "k1")),
      by(OPERATOR, null, keyOf("a", "k1")),
      by(OPERATOR, TEAM),
      by(ANN, null, "wrong"),
      by(OPERATOR, null, "wrong"),
    ),
    weight: 5,
  },
);

/** Labels of few values, and what counts as none. */
export const labels = fc.oneof(
  { arbitrary: fc.constant<Json>(null), weight: 8 },
  {
    arbitrary: fc.constantFrom<Json[]>(
      { user: "ann" },
      { user: "ann", run: "1" },
      { user: "bob" },
      { user: "bob", run: "2" },
      { run: "1" },
      { user: "ann", model: "x/one" },
      { model: "mine" },
    ),
    weight: 12,
  },
  {
    arbitrary: fc.constantFrom<Json[]>(
      {},
      { user: 1, run: null },
      { user: "", run: ["1"] },
      { user: "é".repeat(127), other: "x" },
      { user: "é".repeat(128) },
    ),
    weight: 3,
  },
);

export interface Grant {
  readonly labels: Json;
  readonly free_labels: Json;
}

/** Fixed and free labels, now and then impossible ones. */
export const grants: fc.Arbitrary<Grant> = fc.record({
  labels: fc.oneof(
    {
      arbitrary: fc.constantFrom<Json[]>(
        {},
        { user: "ann" },
        { user: "ann" },
        { user: "bob" },
        { user: "ann", run: "1" },
        { model: "x/one" },
      ),
      weight: 12,
    },
    { arbitrary: fc.constantFrom<Json[]>(null, [], { user: 1 }, { user: "" }), weight: 1 },
  ),
  free_labels: fc.oneof(
    { arbitrary: fc.constantFrom<Json[]>([], ["run"], ["user", "run"], ["*"]), weight: 12 },
    { arbitrary: fc.constantFrom<Json[]>(null, [""], ["x".repeat(256)]), weight: 1 },
  ),
});

/** Who gets a grant; nobody has the last name. */
export const grantees = fc.oneof(
  { arbitrary: fc.constantFrom<Json[]>(ANN, ANN, BOB, TEAM), weight: 16 },
  { arbitrary: fc.constantFrom<Json[]>("ledger_test_nobody", "", null), weight: 1 },
);
