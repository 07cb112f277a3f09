-- What the caller may see of a wallet, restricted or not: auditors see all, but as whoever has set
-- baseledger.key they have what the key has.
create or replace function baseledger._find_reader(p_wallet_id text)
returns baseledger._access
language plpgsql
volatile
as $$
begin
  if nullif(current_setting('baseledger.key', true), '') is null
    and baseledger._has_role('baseledger_auditor')
  then
    return row(true, '{}', '{*}', baseledger._describe_actor(null))::baseledger._access;
  end if;
  return baseledger._find_access(p_wallet_id);
end
$$;

revoke all on function baseledger._find_reader from public;
