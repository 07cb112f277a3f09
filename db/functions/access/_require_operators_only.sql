-- Refuses to run a function that moves funds in or out when others than operators may call it, or
-- when it does not run as the owner: a restore without rights opens every function to the public,
-- and a lost REVOKE must not let an agent credit itself. Checks the rights of the function, not
-- those of the caller: the session may belong to an application whose own function calls this one
-- as an operator. What the public may do, an agent may do as well. (current_user is the owner of
-- the security definer function that calls this.)
create or replace function baseledger._require_operators_only(p_function regprocedure)
returns void
language plpgsql
stable
as $$
begin
  if current_user <> 'baseledger_owner'
    or has_function_privilege('baseledger_agent', p_function, 'execute')
    or has_function_privilege('baseledger_auditor', p_function, 'execute')
    or has_function_privilege('baseledger_worker', p_function, 'execute')
  then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format('permission denied: %s is open to others than operators', p_function),
      hint = 'Its owner or its rights were changed, as by a restore without them. '
        'Run: baseledger migrate';
  end if;
end
$$;

revoke all on function baseledger._require_operators_only from public;
