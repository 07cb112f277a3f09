import type postgres from "postgres";

/** The definition of every object in the schema `baseledger`, by its kind and name. */
export type Catalog = Record<string, string>;

// Each row is one object: a key, and its complete definition. An ACL that was never changed equals the
// default ACL written out, and the order of its entries does not matter. Newer minor versions count
// the changes of a column in its option pg_attver.
const acl = (column: string, kind: string, owner: string) => `(
  select string_agg(a.privilege_type || ' to ' || coalesce(nullif(a.grantee, 0)::regrole::text, 'public')
      || ' by ' || a.grantor::regrole, ', ' order by a.privilege_type, a.grantee, a.grantor)
    from aclexplode(coalesce(${column}, acldefault('${kind}', ${owner}))) a
)`;

const queries = [
  `select 'schema', concat_ws(E'\\n', nspowner::regrole, ${acl("nspacl", "n", "nspowner")},
      obj_description(oid, 'pg_namespace'))
    from pg_namespace where oid = 'baseledger'::regnamespace`,
  `select 'function ' || oid::regprocedure,
      concat_ws(E'\\n', pg_get_functiondef(oid), proowner::regrole,
        ${acl("proacl", "f", "proowner")}, obj_description(oid, 'pg_proc'))
    from pg_proc where pronamespace = 'baseledger'::regnamespace`,
  `select case relkind when 'v' then 'view ' when 'c' then 'type ' else 'relation ' end || relname,
      concat_ws(E'\\n', relkind, relowner::regrole, ${acl("relacl", "r", "relowner")},
        array_to_string(reloptions, ', '), obj_description(oid, 'pg_class'),
        case when relkind = 'v' then pg_get_viewdef(oid) end,
        case when relkind = 'i' then pg_get_indexdef(oid) end)
    from pg_class where relnamespace = 'baseledger'::regnamespace and relkind <> 'S'`,
  `select 'column ' || c.relname || '.' || a.attname,
      concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then 'not null' end, pg_get_expr(d.adbin, d.adrelid),
        array_to_string(a.attacl, ', '),
        (select string_agg(o, ', ') from unnest(a.attoptions) o where o !~ '^pg_attver='),
        col_description(c.oid, a.attnum))
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'baseledger'::regnamespace`,
  `select 'constraint ' || conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'baseledger'::regnamespace`,
  `select 'trigger ' || t.tgrelid::regclass || '.' || t.tgname,
      concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'baseledger'::regnamespace`,
  `select 'type ' || typname || ' itself', concat_ws(E'\\n', typtype, typowner::regrole,
        ${acl("typacl", "T", "typowner")}, obj_description(oid, 'pg_type'),
        (select string_agg(enumlabel, ', ' order by enumsortorder) from pg_enum where enumtypid = t.oid))
    from pg_type t where typnamespace = 'baseledger'::regnamespace`,
  `select 'default privileges on ' || defaclobjtype::text || ' by ' || defaclrole::regrole,
      array_to_string(defaclacl, ', ')
    from pg_default_acl`,
];

/** Reads the definitions of all objects in the schema. */
export async function readCatalog(sql: postgres.ISql): Promise<Catalog> {
  const catalog: Catalog = {};
  for (const query of queries) {
    for (const [key, definition] of await sql.unsafe(query).values()) catalog[key] = definition;
  }
  return catalog;
}
