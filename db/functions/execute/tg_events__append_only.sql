-- Refuses to change the journal. Privileges come first: only the owner could try.
create or replace function baseledger.tg_events__append_only()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform baseledger._raise('LGIMM', jsonb_build_object('operation', tg_op));
  return null;
end
$$;

revoke all on function baseledger.tg_events__append_only from public;
