-- Whether the caller may look at a restricted wallet.
create or replace function baseledger._may_read(p_wallet_id text)
returns boolean
language plpgsql
volatile
as $$
begin
  return (baseledger._find_reader(p_wallet_id)).allowed;
end
$$;

revoke all on function baseledger._may_read from public;
