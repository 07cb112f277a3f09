-- Settings by name (like patterns) as they apply to those who use the ledger: of this server (the
-- values they are reset to, not those that a function sets for itself), and those set for one of
-- its logins, or for all. is_worker marks logins that may sweep.
create or replace function baseledger._read_settings(p_names text[])
returns setof baseledger._setting
language sql
stable
as $$
  with logins as (
    select r.oid, r.rolname, pg_catalog.bool_or(g.rolname = 'baseledger_worker') as is_worker
      from pg_catalog.pg_roles r
      join pg_catalog.pg_roles g
        on g.rolname in ('baseledger_agent', 'baseledger_operator', 'baseledger_worker')
          and pg_catalog.pg_has_role(r.oid, g.oid, 'member')
      where r.rolcanlogin and not r.rolsuper
      group by r.oid, r.rolname
  )
  select s.name, s.reset_val, s.boot_val, null, true
    from pg_catalog.pg_settings s
    where s.name like any (p_names)
      -- those of this login and this database follow
      and s.source not in ('global', 'database', 'user', 'database user', 'client')
  union all
  select s.name, c.value, s.boot_val, coalesce(l.rolname, 'all roles'), coalesce(l.is_worker, true)
    from pg_catalog.pg_db_role_setting d
    left join pg_catalog.pg_database b on b.oid = d.setdatabase
    left join logins l on l.oid = d.setrole
    cross join lateral pg_catalog.unnest(d.setconfig) as u (config)
    cross join lateral (
      select pg_catalog.split_part(u.config, '=', 1),
          pg_catalog.substr(u.config, pg_catalog.strpos(u.config, '=') + 1)
    ) as c (name, value)
    join pg_catalog.pg_settings s on s.name = c.name
    where s.name like any (p_names)
      and (d.setdatabase = 0 or b.datname = pg_catalog.current_database())
      and (d.setrole = 0 or l.oid is not null)
$$;

revoke all on function baseledger._read_settings from public;
