import type postgres from "postgres";

/** An argument of a function. */
export interface ArgumentInfo {
  readonly name: string;
  readonly type: number;
  /** its default in SQL, or null */
  readonly default: string | null;
}

/** A public function. */
export interface FunctionInfo {
  readonly name: string;
  readonly comment: string;
  readonly returns: number;
  readonly returnsSet: boolean;
  readonly arguments: readonly ArgumentInfo[];
  /** stable or immutable */
  readonly onlyReads: boolean;
  /** roles that may execute it, without its owner */
  readonly roles: readonly string[];
  /** modes that a wrapper cannot serve: out, inout, variadic, table */
  readonly otherModes: boolean;
}

/** A column of a composite type. */
export interface ColumnInfo {
  readonly name: string;
  readonly type: number;
  readonly comment: string;
}

/** A type. An enum has labels, a composite type has columns. */
export interface TypeInfo {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** as SQL writes it, with its schema */
  readonly sql: string;
  readonly kind: "base" | "composite" | "domain" | "enum" | "other";
  /** what a domain is made of, or 0 */
  readonly base: number;
  readonly comment: string;
  readonly labels: readonly string[];
  readonly columns: readonly ColumnInfo[];
}

/** What the database says of a schema. */
export interface Catalog {
  /** of the schema */
  readonly comment: string;
  readonly functions: readonly FunctionInfo[];
  readonly types: ReadonlyMap<number, TypeInfo>;
}

/** Reads the public functions of a schema, and the types of the database. */
export async function readCatalog(sql: postgres.Sql, schema: string): Promise<Catalog> {
  return sql.begin("read only isolation level repeatable read", async (tx) => {
    // These settings show in texts of the server: which names have a schema, how a time looks.
    await tx`set local search_path = pg_catalog`;
    await tx`set local datestyle = 'ISO, YMD'`;
    await tx`set local intervalstyle = 'postgres'`;
    await tx`set local timezone = 'UTC'`;
    const functions = await readFunctions(tx, schema);
    const types = await readTypes(tx);
    const comment = await readComment(tx, schema);
    return { comment, functions, types: new Map(types.map((type) => [type.oid, type])) };
  });
}

async function readComment(tx: postgres.TransactionSql, schema: string): Promise<string> {
  const [row] = await tx`
    select to_json(coalesce(obj_description(oid, 'pg_namespace'), ''))::text
      from pg_namespace where nspname = ${schema}
  `.raw();
  return JSON.parse(String(row?.[0] ?? '""')) as string;
}

// All select one JSON text, raw, so that the caller's parsers and transforms cannot alter it.
async function readFunctions(tx: postgres.TransactionSql, schema: string) {
  const [row] = await tx`
    select coalesce(jsonb_agg(jsonb_build_object(
        'name', p.proname,
        'comment', coalesce(obj_description(p.oid, 'pg_proc'), ''),
        'returns', p.prorettype::bigint,
        'returnsSet', p.proretset,
        'otherModes', p.proargmodes is not null,
        'onlyReads', p.provolatile <> 'v',
        'roles', (
          select coalesce(jsonb_agg(r.name order by r.name collate "C"), '[]')
            from (
              select distinct coalesce(g.rolname, 'public') as name
                from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
                left join pg_roles g on g.oid = a.grantee
                where a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner
            ) as r
        ),
        'arguments', (
          select coalesce(jsonb_agg(jsonb_build_object(
              'name', coalesce(p.proargnames[a.n], ''),
              'type', a.type::bigint,
              'default', pg_get_function_arg_default(p.oid, a.n::integer)
            ) order by a.n), '[]')
            from unnest(p.proargtypes::oid[]) with ordinality as a (type, n)
        )
      ) order by p.proname collate "C", p.oid), '[]')::text
      from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = ${schema}
        and p.prokind = 'f'
        and left(p.proname, 1) <> '_'
        and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
        and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
  `.raw();
  return JSON.parse(String(row?.[0])) as FunctionInfo[];
}

async function readTypes(tx: postgres.TransactionSql) {
  const [row] = await tx`
    select jsonb_agg(jsonb_build_object(
        'oid', t.oid::bigint,
        'schema', n.nspname,
        'name', t.typname,
        'sql', format_type(t.oid, null),
        'kind', case t.typtype
          when 'b' then 'base' when 'c' then 'composite' when 'd' then 'domain'
          when 'e' then 'enum' else 'other' end,
        'base', t.typbasetype::bigint,
        'comment', coalesce(
          obj_description(t.oid, 'pg_type'), obj_description(t.typrelid, 'pg_class'), ''),
        'labels', (
          select coalesce(jsonb_agg(e.enumlabel order by e.enumsortorder), '[]')
            from pg_enum e
            where e.enumtypid = t.oid
        ),
        'columns', (
          select coalesce(jsonb_agg(jsonb_build_object(
              'name', a.attname,
              'type', a.atttypid::bigint,
              'comment', coalesce(col_description(a.attrelid, a.attnum), '')
            ) order by a.attnum), '[]')
            from pg_attribute a
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        )
      ))::text
      from pg_type t
      join pg_namespace n on n.oid = t.typnamespace
  `.raw();
  return JSON.parse(String(row?.[0])) as TypeInfo[];
}
