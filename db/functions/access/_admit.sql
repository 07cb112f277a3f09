-- Gives the commands of an agent what his access makes of them (_apply_access). Refuses the whole
-- call as if there were no wallet, where he has no access and no command concerns what he has
-- opened.
create or replace function baseledger._admit(
  p_wallet_id text,
  p_commands baseledger._command[]
)
returns baseledger._command[]
language plpgsql
volatile
as $$
declare
  v_access constant baseledger._access := baseledger._find_access(p_wallet_id);
  v_commands baseledger._command[];
begin
  v_commands := baseledger._apply_access(p_wallet_id, v_access, p_commands);
  if not v_access.allowed and not exists (
    select from unnest(v_commands) as c where c.refused is null
  ) then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return v_commands;
end
$$;

revoke all on function baseledger._admit from public;
