-- add_webhook, list_webhooks, remove_webhook: where alerts are sent.
begin;
select plan(60);

do $$ begin perform tap.wallet('w', 1000); perform tap.wallet('other', 1000); end $$;

-- Adding ----------------------------------------------------------------------------------------

set local role baseledger_operator;

create temp table first as
  select * from baseledger.add_webhook(
    'w', 'https://hooks.example.com/a?b=c#d', p_idempotency_key => 'k'
  );
select matches(secret, '^whsec_[A-Za-z0-9+/]{43}=$', 'the secret has 32 bytes in base64')
  from first;
select is(replayed, false, 'a first call is none that was replayed') from first;
select isnt(
  (select secret from baseledger.add_webhook('w', 'https://b.example.com')), secret,
  'each webhook has a secret of its own'
) from first;
select is(to_jsonb(a), jsonb_build_object(
    'webhook_id', f.webhook_id, 'secret', null, 'replayed', true
  ),
  'a retry gets the same webhook, without the secret')
  from first f,
    baseledger.add_webhook('w', 'https://hooks.example.com/a?b=c#d', p_idempotency_key => 'k') a;
select is((select count(*) from baseledger.list_webhooks('w')), 2::bigint, 'a retry adds none');
select is(
  (select replayed from baseledger.add_webhook(
    'w', 'https://hooks.example.com/a?b=c#d', '{low_balance,limit,limit}', false, 'k'
  )), true, 'the order of events makes no difference'
);
select tap.refuses(
  $$add_webhook('w', 'https://other.example.com', p_idempotency_key => 'k')$$, 'LGIDK',
  '{"field": "url", "stored": "https://hooks.example.com/a?b=c#d",
    "given": "https://other.example.com"}', 'a key is for one address'
);
select tap.refuses(
  $$add_webhook('w', 'https://hooks.example.com/a?b=c#d', '{limit}', p_idempotency_key => 'k')$$,
  'LGIDK', '{"field": "events", "stored": ["limit", "low_balance"], "given": ["limit"]}',
  'a key is for the same events'
);
select tap.refuses(
  $$add_webhook('w', 'https://hooks.example.com/a?b=c#d', p_allow_private => true,
    p_idempotency_key => 'k')$$,
  'LGIDK', '{"field": "allow_private", "stored": false, "given": true}',
  'a key is for the same addresses'
);
select is(
  (select replayed from baseledger.add_webhook('other', 'http://x', p_idempotency_key => 'k')),
  false, 'the key belongs to its wallet'
);
select is(
  (select replayed from baseledger.add_webhook(null, 'http://all', '{limit}', true, 'k')),
  false, 'those of all wallets have keys of their own'
);

-- Bad input -------------------------------------------------------------------------------------

select tap.refuses(format('add_webhook(%L, %L)', 'w', url), 'LGARG', '{"field": "url"}',
    'no address for alerts: ' || coalesce(left(url, 40), 'null'))
  from unnest(array[
    null, '', ' ', 'example.com', 'ftp://example.com', 'file:///etc/passwd', 'https://',
    'http:///x',
    'https://user@example.com', 'https://user:secret@example.com/', 'http://1:2@example.com',
    'https://exa mple.com', E'https://example.com/\n', 'https://ex.com\@evil.com',
    'https://exämple.com', 'https://example.com:port/', 'https://example.com:123456/',
    'https://[::1', 'https://' || repeat('a', 2041)
  ]) as url;
select is(
  (select count(webhook_id) from baseledger.add_webhook('w', 'HTTPS://' || repeat('a', 2040))),
  1::bigint, 'an address may have 2048 characters'
);
select tap.refuses(format('add_webhook(%L, %L, %L)', 'w', 'http://x', events), 'LGARG',
    '{"field": "events"}', 'no events: ' || coalesce(events::text, 'null'))
  from unnest(array[
    null, '{}', '{reserved}', '{limit,other}', '{null}', '{{limit}}', '{LIMIT}'
  ]) as events;
select tap.refuses(
  $$add_webhook('w', 'http://x', p_allow_private => null)$$, 'LGARG', '{"field": "allow_private"}',
  'null is no answer'
);
select tap.refuses($$add_webhook('w', 'http://x', p_idempotency_key => ' ')$$, 'LGARG',
  '{"field": "idempotency_key"}', 'a key is not blank');
select tap.refuses($$add_webhook('nobody', 'http://x')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'the wallet must be there');
select tap.refuses($$add_webhook('', 'http://x')$$, 'LGARG', '{"field": "wallet_id"}',
  'an empty id is no way to all wallets');

select is((select count(w.webhook_id) from generate_series(2, 16) as n,
  lateral baseledger.add_webhook(null, 'http://x/' || n) as w), 15::bigint,
  'there may be 16 for all wallets');
select tap.refuses($$add_webhook(null, 'http://x')$$, 'LGARG', '{"field": "webhooks"}',
  'but not 17');

-- Listing ---------------------------------------------------------------------------------------

set local role baseledger_auditor;
select is(
  (select array_agg(url) from baseledger.list_webhooks('other') where url !~ '^http://x/'),
  '{http://all,http://x}',
  'a wallet has those of all wallets and its own'
);
select is(to_jsonb(h) - 'added_at' - 'webhook_id', '{
  "wallet_id": null, "url": "http://all", "events": ["limit"], "allow_private": true
}', 'a webhook of all wallets has no wallet')
  from baseledger.list_webhooks() as h where url = 'http://all';
select tap.refuses($$list_webhooks('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'there are none of a wallet that is not there');

-- Removing --------------------------------------------------------------------------------------

set local role baseledger_operator;
select is((select url from baseledger.remove_webhook(f.webhook_id)),
  'https://hooks.example.com/a?b=c#d', 'it returns what is removed') from first f;
select is_empty(
  $$select from baseledger.list_webhooks() join first using (webhook_id)$$, 'it is gone'
);
select tap.refuses(format('remove_webhook(%L)', f.webhook_id), 'LGARG', '{"field": "webhook_id"}',
  'it can be removed once') from first f;
select tap.refuses('remove_webhook(null)', 'LGARG', '{"field": "webhook_id"}', 'null is none');
reset role;
select is((select count(*) from baseledger.webhooks where secret is null), 1::bigint,
  'its secret is gone as well');

-- Rights ----------------------------------------------------------------------------------------

select is(has_function_privilege(r, f, 'execute'), r = 'baseledger_operator', r || ' and ' || f)
  from unnest(array[
      'baseledger_agent', 'baseledger_operator', 'baseledger_auditor', 'baseledger_worker'
    ]) as r,
    unnest(array[
      'baseledger.add_webhook(text,text,text[],boolean,text)', 'baseledger.remove_webhook(text)'
    ]) as f;

select * from finish();
rollback;
