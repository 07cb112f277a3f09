-- A secret of 32 random bytes, as Standard Webhooks writes it. Of the functions that are always
-- there, gen_random_uuid alone draws from the system's strong source: 122 random bits a call.
create or replace function baseledger._make_webhook_secret()
returns text
language plpgsql
volatile
as $$
begin
  return 'whsec_' || encode(
    sha256(
      uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    ),
    'base64'
  );
end
$$;

revoke all on function baseledger._make_webhook_secret from public;
