// Calls of every public function that the catalog has.
import fc from "fast-check";
import type postgres from "postgres";
import { PLACE, type Value, valuesOf } from "./values.ts";

/** The roles that call functions. */
export const ROLES = ["agent", "operator", "auditor", "worker"] as const;
export type Role = (typeof ROLES)[number];

/** One call. */
export interface Call {
  readonly role: Role;
  readonly name: string;
  readonly args: readonly Argument[];
}

interface Argument {
  readonly name: string;
  readonly type: string;
  readonly value: Value;
}

export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
}

/** A function, and the roles that may call it. */
export interface PublicFunction {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly parameters: readonly Parameter[];
}

/** Every function that any of the roles may call. */
export async function publicFunctions(sql: postgres.Sql): Promise<PublicFunction[]> {
  const rows = await sql<
    { name: string; names: string[] | null; types: string[]; defaults: number; roles: Role[] }[]
  >`
    select p.proname as name, coalesce(to_json(p.proargnames), '[]') as names,
        coalesce((
          select json_agg(format_type(t, null) order by n)
            from unnest(p.proargtypes::oid[]) with ordinality as a(t, n)
        ), '[]') as types,
        p.pronargdefaults as defaults,
        (
          select json_agg(r) from json_array_elements_text(${JSON.stringify(ROLES)}::text::json) r
            where has_function_privilege('baseledger_' || r, p.oid, 'execute')
        ) as roles
      from pg_proc p
      where p.pronamespace = 'baseledger'::regnamespace
      order by p.proname collate "C"`;
  return rows
    .filter(({ roles }) => roles !== null)
    .map(({ name, names, types, defaults, roles }) => ({
      name,
      roles,
      parameters: types.map((type, i) => ({
        name: (names?.[i] ?? "").replace(/^p_/, ""),
        type,
        optional: i >= types.length - defaults,
      })),
    }));
}

/** Any call of a function. */
export function callsOf({ name, roles, parameters }: PublicFunction): fc.Arbitrary<Call> {
  const args = parameters.map(({ name: parameter, type, optional }) => {
    const given = valuesOf(name, parameter, type).map((value) => ({
      name: parameter,
      type,
      value,
    }));
    return optional ? fc.option(given, { nil: undefined, freq: 2 }) : given;
  });
  return fc.record({
    name: fc.constant(name),
    role: fc.constantFrom(...roles),
    args: fc.tuple(...args).map((list) => list.filter((arg) => arg !== undefined)),
  });
}

/** A call as a query. */
export interface Query {
  readonly query: string;
  /** Only the conversion of its values to the types of the parameters. */
  readonly casts: string;
  readonly values: readonly Value[];
}

/** A call as a query, with the wallets of its sequence. */
export function toQuery({ name, args }: Omit<Call, "role">, place: string): Query {
  const cast = ({ type }: Argument, i: number) => `$${i + 1}::text::${type}`;
  const list = args.map((arg, i) => `p_${arg.name} => ${cast(arg, i)}`);
  return {
    query: `select count(*) as n from baseledger.${name}(${list.join(", ")})`,
    casts: `select ${args.map(cast).join(", ")}`,
    values: args.map(({ value }) => value?.replaceAll(PLACE, place) ?? null),
  };
}

/** Formats a call for a person, and shortens long values. */
export function formatCall(call: Call): string {
  const args = call.args.map(({ name, value }) => {
    const text = JSON.stringify(value);
    return `${name} ${text.length > 200 ? `${text.slice(0, 200)}… (${text.length})` : text}`;
  });
  return `${call.name}(${args.join(", ")}) as ${call.role}`;
}
