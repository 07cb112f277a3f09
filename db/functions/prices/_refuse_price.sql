-- Refuses a price because of one of its fields; p_place is its place among several.
create or replace function baseledger._refuse_price(p_field text, p_place bigint)
returns void
language plpgsql
volatile
as $$
begin
  perform baseledger._raise(
    'LGARG',
    baseledger._describe_argument(p_field)
      || jsonb_strip_nulls(jsonb_build_object('place', p_place))
  );
end
$$;

revoke all on function baseledger._refuse_price from public;
