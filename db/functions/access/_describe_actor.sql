-- Who calls, as events record it: the session's role, and where they differ from it the role in
-- effect and the key. Names are quoted where they could be taken for two.
create or replace function baseledger._describe_actor(p_key_id text)
returns text
language sql
stable
as $$
  select case
    when pg_catalog.current_setting('role') in ('none', session_user) and p_key_id is null
      and pg_catalog.strpos(session_user, ' ') = 0
      then session_user
    else pg_catalog.quote_ident(session_user)
      || case when pg_catalog.current_setting('role') not in ('none', session_user)
        then ' as ' || pg_catalog.quote_ident(pg_catalog.current_setting('role')) else ''
      end
      || coalesce(' with key ' || p_key_id, '')
  end
$$;

revoke all on function baseledger._describe_actor from public;
