// The database of the proof, and how sequences are played in it.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import postgres from "postgres";
import { type Json, parseJson, stringifyJson } from "../../src/json.ts";
import { compareStep, type Difference, journals, type Step, type Told } from "./compare.ts";
import type { Ledger } from "./ledger.ts";
import { plain } from "./plain.ts";

/** A connection that plays sequences; each finds an empty ledger, and leaves it empty. */
export interface Player extends AsyncDisposable {
  /** Plays the steps, and finds the first difference to the model. */
  play(steps: readonly Step[]): Promise<Difference | undefined>;
}

const LOGIN = "ledger_test_proof";

/** Makes a migrated database, of which the address is a superuser's, ready for the proof. */
export async function prepare(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(await readFile(join(import.meta.dirname, "proof.sql"), "utf8"));
  await sql.end();
}

/** Connects to a database that was prepared. */
export function createPlayer(url: string): Player {
  const login = new URL(url);
  login.username = LOGIN;
  login.password = "secret";
  const sql = postgres(login.href, {
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "proof", TimeZone: "UTC" },
  });
  return {
    async play(steps) {
      const rows = await sql.unsafe<{ told: string }[]>(
        "select t::text as told from unnest(proof.play($1::text::jsonb)) with ordinality as p(t, n) order by n",
        [stringifyJson(steps as unknown as Json)],
        { prepare: true },
      );
      return compareAll(
        steps,
        rows.map(({ told }) => plain(parseJson(told))),
      );
    },
    [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }),
  };
}

function compareAll(steps: readonly Step[], told: readonly Json[]): Difference | undefined {
  const ledger: Ledger = new Map();
  for (const [i, step] of steps.entries()) {
    const [difference] = compareStep(ledger, step, told[i] as unknown as Told);
    if (difference) return { step: i, ...difference };
  }
  const { journals: found, verify } = told.at(-1) as Record<string, Json>;
  const last = steps.length - 1;
  const expected = journals(ledger);
  if (verify !== null) return { step: last, what: "verify", found: verify ?? null, expected: null };
  if (isDeepStrictEqual(found, expected)) return undefined;
  return { step: last, what: "the journals", found: found ?? null, expected };
}
