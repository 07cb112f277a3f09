-- The rights that are not what they must be: too many (open = true), which may let somebody do what
-- he must not, or too few. cure is the statement that repairs it. Reads only what everybody may
-- read in the catalog.
create or replace function baseledger._find_rights_differences()
returns setof baseledger._rights_difference
language sql
stable
as $$
  with
  ours (name) as (
    values ('baseledger_agent'), ('baseledger_operator'), ('baseledger_auditor'),
      ('baseledger_worker')
  ),
  -- Private is what no role but the owner may have any right on.
  objects as (
    select 'schema' as kind, n.nspname::text as name, 'schema ' || n.nspname as label,
        'schema ' || n.nspname as target, n.nspowner as owner,
        coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) as acl, false as private
      from pg_catalog.pg_namespace n
      where n.nspname = 'baseledger'
    union all
    select 'function', p.proname, 'function ' || p.oid::regprocedure,
        'routine ' || p.oid::regprocedure, p.proowner,
        coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proname ~ '^(_|tg_)'
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'baseledger'
    union all
    select case c.relkind when 'v' then 'view' else 'table' end, c.relname,
        case c.relkind when 'v' then 'view ' else 'table ' end || c.oid::regclass,
        'table ' || c.oid::regclass, c.relowner,
        coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)), c.relkind <> 'v'
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'baseledger' and c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select 'type', t.typname, 'type ' || t.oid::regtype, 'type ' || t.oid::regtype, t.typowner,
        null, false
      from pg_catalog.pg_type t
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      left join pg_catalog.pg_class c on c.oid = t.typrelid
      where n.nspname = 'baseledger' and (t.typtype in ('d', 'e', 'r') or c.relkind = 'c')
  ),
  granted as (
    select o.kind, o.name, o.label, o.target, o.private, a.privilege_type as privilege,
        case when a.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(a.grantee)::text end
          as grantee,
        a.is_grantable
      from objects o
      cross join lateral pg_catalog.aclexplode(o.acl) as a
      where a.grantee <> o.owner
    union all
    select 'column', c.relname, pg_catalog.format('column %s.%I', c.oid::regclass, f.attname),
        'table ' || c.oid::regclass, true,
        pg_catalog.format('%s (%I)', a.privilege_type, f.attname),
        case when a.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(a.grantee)::text end,
        a.is_grantable
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_attribute f on f.attrelid = c.oid
      cross join lateral pg_catalog.aclexplode(f.attacl) as a
      where n.nspname = 'baseledger' and a.grantee <> c.relowner
  )

  select o.label, 'owned by baseledger_owner',
      pg_catalog.format('owned by %I', pg_catalog.pg_get_userbyid(o.owner)),
      true, pg_catalog.format('alter %s owner to baseledger_owner', o.target)
    from objects o
    where pg_catalog.pg_get_userbyid(o.owner) <> 'baseledger_owner'
  union all
  -- What a host grants to roles of its own on views and public functions is its own affair.
  select g.label, pg_catalog.format('no %s for %s', g.privilege, g.grantee),
      pg_catalog.format('%s for %s', g.privilege, g.grantee),
      true, pg_catalog.format('revoke %s on %s from %s cascade', g.privilege, g.target, q.grantee)
    from granted g
    cross join lateral (
      select case g.grantee when 'public' then 'public' else pg_catalog.quote_ident(g.grantee) end
    ) as q (grantee)
    where (
        g.private or g.grantee = 'public' or g.grantee in (select name from ours)
        or g.kind = 'schema' and g.privilege <> 'USAGE'
      )
      and (g.kind, g.name, g.grantee, g.privilege) not in (
        select r.kind, r.name, r.grantee, r.privilege from baseledger._expected_rights() r
      )
  union all
  select g.label, pg_catalog.format('%s for %s, not to be granted on', g.privilege, g.grantee),
      pg_catalog.format('%s for %s with grant option', g.privilege, g.grantee), true,
      pg_catalog.format('revoke grant option for %s on %s from %I cascade',
        g.privilege, g.target, g.grantee)
    from granted g
    join baseledger._expected_rights() r
      on (r.kind, r.name, r.grantee, r.privilege) = (g.kind, g.name, g.grantee, g.privilege)
    where g.is_grantable
  union all
  select coalesce(o.label, r.kind || ' baseledger.' || r.name),
      pg_catalog.format('%s for %s', r.privilege, r.grantee),
      case when o.name is null then 'missing' else
        pg_catalog.format('no %s for %s', r.privilege, r.grantee)
      end,
      false, pg_catalog.format('grant %s on %s to %I', r.privilege, o.target, r.grantee)
    from baseledger._expected_rights() r
    left join objects o on o.kind = r.kind and o.name = r.name
    where not exists (
      select from granted g
        where (g.label, g.kind, g.grantee, g.privilege)
          = (o.label, r.kind, r.grantee, r.privilege)
    )
  union all
  -- What the owner makes later is closed to the public, and to everybody.
  select 'default privileges on functions', 'no EXECUTE for public', 'EXECUTE for public', true,
      'alter default privileges for role baseledger_owner revoke execute on functions from public'
    where not exists (
      select from pg_catalog.pg_default_acl d
        where pg_catalog.pg_get_userbyid(d.defaclrole) = 'baseledger_owner'
          and d.defaclnamespace = 0
          and d.defaclobjtype = 'f'
          and not exists (
            select from pg_catalog.aclexplode(d.defaclacl) as a where a.grantee = 0
          )
    )
  union all
  select 'default privileges on ' || t.name,
      pg_catalog.format('no %s for %s', a.privilege_type, g.name),
      pg_catalog.format('%s for %s', a.privilege_type, g.name), true,
      pg_catalog.format(
        'alter default privileges for role baseledger_owner %s revoke %s on %s from %s',
        case when d.defaclnamespace <> 0 then 'in schema baseledger' end,
        a.privilege_type, t.name, g.name
      )
    from pg_catalog.pg_default_acl d
    join (values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions')) as t (letter, name)
      on t.letter::"char" = d.defaclobjtype
    left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
    cross join lateral pg_catalog.aclexplode(d.defaclacl) as a
    cross join lateral (
      select case when a.grantee = 0 then 'public'
        else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
    ) as g (name)
    where pg_catalog.pg_get_userbyid(d.defaclrole) = 'baseledger_owner'
      and (d.defaclnamespace = 0 or n.nspname = 'baseledger')
      and a.grantee <> d.defaclrole
      and not (a.grantee = 0 and d.defaclnamespace = 0 and t.letter = 'f')
  union all
  -- The roles themselves: nobody logs in as the owner, and none of them has more than its grants.
  select 'role ' || r.rolname, 'NOLOGIN', 'LOGIN', true, 'alter role baseledger_owner nologin'
    from pg_catalog.pg_roles r
    where r.rolname = 'baseledger_owner' and r.rolcanlogin
  union all
  select 'role ' || r.rolname, 'NO' || a.name, a.name, true,
      pg_catalog.format('alter role %I no%s', r.rolname, pg_catalog.lower(a.name))
    from pg_catalog.pg_roles r
    cross join lateral (
      values ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole),
        ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication),
        ('BYPASSRLS', r.rolbypassrls)
    ) as a (name, has)
    where (r.rolname = 'baseledger_owner' or r.rolname in (select name from ours)) and a.has
  union all
  select 'role ' || r.rolname, 'a member of no role', 'a member of ' || g.rolname, true,
      pg_catalog.format('revoke %I from %I', g.rolname, r.rolname)
        -- Since 16, each grantor's grant is one of its own.
        || case when exists (
            select from pg_catalog.pg_attribute a
              where a.attrelid = m.tableoid and a.attname = 'inherit_option'
          )
          then pg_catalog.format(' granted by %I', pg_catalog.pg_get_userbyid(m.grantor))
          else ''
        end
    from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles r on r.oid = m.member
    join pg_catalog.pg_roles g on g.oid = m.roleid
    where r.rolname = 'baseledger_owner' or r.rolname in (select name from ours)
$$;

revoke all on function baseledger._find_rights_differences from public;
