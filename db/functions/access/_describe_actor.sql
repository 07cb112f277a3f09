-- Who calls, as events record it: the session's role, and where they differ from it the role in
-- effect and the key. Names are quoted where they could be taken for two. Not inlined: _execute
-- seldom needs it.
create or replace function baseledger._describe_actor(p_key_id text)
returns text
language plpgsql
stable
as $$
declare
  c_role constant text := nullif(nullif(current_setting('role'), 'none'), session_user::text);
begin
  if c_role is null and p_key_id is null and strpos(session_user, ' ') = 0 then
    return session_user;
  end if;
  return quote_ident(session_user)
    || coalesce(' as ' || quote_ident(c_role), '')
    || coalesce(' with key ' || p_key_id, '');
end
$$;

revoke all on function baseledger._describe_actor from public;
