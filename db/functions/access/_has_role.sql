-- Whether the role in effect has the rights of a role of ours. SET ROLE gives up those of the
-- session, as poolers and PostgREST use it.
create or replace function baseledger._has_role(p_role text)
returns boolean
language sql
stable
as $$
  select pg_catalog.pg_has_role(
    case pg_catalog.current_setting('role')
      when 'none' then session_user::text
      else pg_catalog.current_setting('role')
    end,
    p_role, 'usage'
  )
$$;

revoke all on function baseledger._has_role from public;
