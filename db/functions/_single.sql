-- The receipt of a single command; raises its refusal.
create or replace function baseledger._single(p_receipts baseledger.receipt[])
returns baseledger.receipt
language plpgsql
volatile
as $$
begin
  if p_receipts[1].refused is not null then
    perform baseledger._raise(p_receipts[1].refused, p_receipts[1].detail);
  end if;
  return p_receipts[1];
end
$$;

revoke all on function baseledger._single from public;
