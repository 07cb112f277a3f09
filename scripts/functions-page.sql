-- The sections, the order and the examples of docs/functions.md, one example for each public function.
-- `npm run generate` runs the set-up once, and then each example as the first role that may execute the
-- function, from agent to worker, and rolls it back.

-- ### set-up
select baseledger.open_wallet('acme');
select baseledger.credit('acme', 10000000000, 'invoice-17');
select baseledger.charge('acme', 40000000, 'call-1');
select baseledger.reserve('acme', 250000000, 'call-2', p_ttl => '10 minutes');
select baseledger.set_price('openai/gpt-5', '{"input": 1250000000, "cache_read": 125000000,
  "output": 10000000000}', p_valid_from => '2025-08-07', p_max_output => 128000);
select baseledger.open_wallet('globex');
select baseledger.credit('globex', 2000000000, 'invoice-18');
select baseledger.reserve('globex', 30000000, 'call-3', p_ttl => '1 second');
select baseledger.open_wallet('hooli', p_restricted => true);
select baseledger.credit('hooli', 3000000000, 'invoice-19');
select baseledger.allow('hooli', 'baseledger_agent', '{"team": "search"}', '{user}');
select baseledger.open_wallet('wayne');
select baseledger.credit('wayne', 8000000000, 'invoice-20');
select baseledger.set_limit('wayne', 'run', 2000000000, 'ever', '{run}');
select baseledger.charge('wayne', 1500000000, 'call-1', p_metadata => '{"run": "17"}');

-- ## Wallets and funds

-- ### open_wallet
select event, available, replayed from baseledger.open_wallet('initech', p_overdraft_limit => 0);
-- Tokens are counted one by one:
select event, available from baseledger.open_wallet('initech-tokens', p_unit => 'tokens', p_scale => 0);

-- ### credit
select event, amount, available, replayed from baseledger.credit('acme', 5000000000, 'invoice-19');
-- The same key again:
select event, amount, available, replayed from baseledger.credit('acme', 5000000000, 'invoice-19');

-- ### withdraw
select event, amount, available from baseledger.withdraw('acme', 1000000000, 'payout-1');

-- ### transfer
select wallet_id, event, amount, available
  from baseledger.transfer('acme', 'globex', 1000000000, 'move-1');

-- ### freeze_wallet
select event, available from baseledger.freeze_wallet('acme', 'runaway agent');
select baseledger.reserve('acme', 250000000, 'call-4');

-- ### unfreeze_wallet
select event from baseledger.freeze_wallet('acme', 'runaway agent');
select event from baseledger.unfreeze_wallet('acme', 'agent mended');

-- ### close_wallet
select event, available from baseledger.close_wallet('acme', 'contract ended');
select baseledger.credit('acme', 5000000000, 'invoice-19');

-- ### reopen_wallet
select event from baseledger.close_wallet('acme', 'contract ended');
select event from baseledger.reopen_wallet('acme', 'contract renewed');

-- ### set_overdraft_limit
select event, available from baseledger.set_overdraft_limit('acme', 1000000000);

-- ### list_wallets
select wallet_id, unit, available, restricted from baseledger.list_wallets(p_unit => 'USD', p_limit => 2);

-- ### balance
select unit, scale, available, reserved, spent, frozen from baseledger.balance('acme');

-- ## Reservations and spending

-- ### reserve
select event, reservation_id, amount, available, reserved
  from baseledger.reserve('acme', 300000000, 'call-4', p_ttl => '2 minutes');
-- At least 1, at most 99 dollars: what is there.
select amount, available from baseledger.reserve('acme', 99000000000, 'call-5', p_at_least => 1);

-- ### settle
-- A part, as a stream goes on:
select event, amount, available, reserved, spent
  from baseledger.settle('acme', 'call-2', 100000000, 'call-2-part', p_final => false);
-- The end of it; what is left of the reservation is available again.
select event, amount, available, reserved, spent
  from baseledger.settle('acme', 'call-2', 81500000, 'call-2-cost');

-- ### cancel
select event, amount, available, reserved from baseledger.cancel('acme', 'call-2', 'call-2-cancel');

-- ### extend
select event, amount, available, reserved
  from baseledger.extend('acme', 'call-2', '30 minutes', 'call-2-more', p_amount => 300000000);

-- ### charge
select event, reservation_id, amount, available, spent
  from baseledger.charge('acme', 12000000, 'call-4');

-- ### refund
select event, amount, available, spent
  from baseledger.refund('acme', 'call-1', 15000000, 'call-1-refund');
-- More than is left of the 40,000,000:
select baseledger.refund('acme', 'call-1', 30000000, 'call-1-refund-2');

-- ### reservation
select status, amount, held, settled, metadata from baseledger.reservation('acme', 'call-2');

-- ### receipt
select seq, event, amount, replayed from baseledger.receipt('acme', 'call-1');
-- None was carried out under this key:
select seq, event, amount, replayed from baseledger.receipt('acme', 'call-9');

-- ## Access

-- ### allow
select event from baseledger.allow('hooli', 'baseledger_agent', '{"team": "search"}', '{user,run}');

-- ### disallow
select event from baseledger.disallow('hooli', 'baseledger_agent');

-- ### list_grants
select role_name, labels, free_labels from baseledger.list_grants('hooli');

-- ### create_key
select substr(key_id, 1, 4) as key_id, substr(secret, 1, 3) as secret, replayed
  from baseledger.create_key('hooli', '{"user": "ann"}', '{run}', now() + interval '30 days', 'ann-1');
-- The same key again; its secret was shown once:
select substr(key_id, 1, 4) as key_id, secret, replayed
  from baseledger.create_key('hooli', '{"user": "ann"}', '{run}', now() + interval '30 days', 'ann-1');

-- ### revoke_key
select event from baseledger.revoke_key(
  'hooli', (select key_id from baseledger.create_key('hooli', '{"user": "bob"}'))
);

-- ### list_keys
select labels, free_labels, expires_at, revoked_at from baseledger.list_keys('hooli');

-- ## Limits and low balances

-- ### set_limit
select event from baseledger.set_limit('acme', 'user-day', 5000000000, 'day', '{user}',
  p_time_zone => 'Europe/Berlin', p_alert_at => '{80}');
-- More than that for one user in a day is refused:
select baseledger.charge('acme', 6000000000, 'call-4', p_metadata => '{"user": "ann"}');

-- ### set_limit_for
select event from baseledger.set_limit_for('wayne', 'run', '{"17"}', 3000000000);
select label_values, amount, own_amount, used, remaining from baseledger.limits('wayne');

-- ### remove_limit
select event from baseledger.remove_limit('wayne', 'run');

-- ### limits
select limit_id, label_values, per, used, held, remaining from baseledger.limits('wayne');

-- ### set_low_balance
select event from baseledger.set_low_balance('acme', '{1000000000,5000000000}');

-- ## Batches

-- ### post
select seq, event, reservation_id, amount, available, refused from baseledger.post('acme', '[
  {"op": "reserve", "idempotency_key": "call-4", "amount": 400000000, "ttl": 120},
  {"op": "settle", "idempotency_key": "call-2-cost", "reservation_id": "call-2", "amount": 181500000},
  {"op": "cancel", "idempotency_key": "call-1-cancel", "reservation_id": "call-1"}
]');

-- ### post_many
select wallet_id, seq, event, amount, available, refused from baseledger.post_many('[
  {"op": "reserve", "wallet_id": "acme", "idempotency_key": "call-5", "amount": 100000000},
  {"op": "charge", "wallet_id": "globex", "idempotency_key": "call-1", "amount": 2000000},
  {"op": "charge", "wallet_id": "initech", "idempotency_key": "call-1", "amount": 2000000}
]');

-- ### post_funds
select seq, event, amount, available, refused from baseledger.post_funds('acme', '[
  {"op": "credit", "idempotency_key": "invoice-19", "amount": "5000000000"},
  {"op": "refund", "idempotency_key": "call-1-refund", "reservation_id": "call-1", "amount": 15000000}
]');

-- ## Audit

-- ### balance_at
select available, reserved, spent, seq from baseledger.balance_at('acme', now());
-- Before it was opened:
select available, reserved, spent, seq from baseledger.balance_at('acme', now() - interval '1 day');

-- ### statement
select seq, occurred_at, event, reservation_id, amount, available, reserved, spent
  from baseledger.statement('acme');

-- ### spending
select event, amount from baseledger.charge('acme', null, 'call-4', p_metadata => '{"user": "ann"}',
  p_usage => '{"model": "openai/gpt-5", "input": 1200, "output": 500}');
select label_values, calls, tokens, amount from baseledger.spending('acme', p_by => '{user,model}');

-- ### verify
select * from baseledger.verify();

-- ### verify_rights
select * from baseledger.verify_rights();

-- ## Alerts

-- ### add_webhook
select left(secret, 6) as secret, replayed
  from baseledger.add_webhook('acme', 'https://hooks.example.com/budgets', p_idempotency_key => 'hook-1');
-- The same key again: it is the same webhook, and the secret is not shown again.
select left(secret, 6) as secret, replayed
  from baseledger.add_webhook('acme', 'https://hooks.example.com/budgets', p_idempotency_key => 'hook-1');

-- ### remove_webhook
select h.url, h.events
  from baseledger.add_webhook('acme', 'https://hooks.example.com/budgets') as a,
    baseledger.remove_webhook(a.webhook_id) as h;

-- ### list_webhooks
select count(*) from baseledger.add_webhook(null, 'https://ops.example.com/all', '{low_balance}');
select wallet_id, url, events, allow_private from baseledger.list_webhooks('acme');

-- ### alert_counts
select * from baseledger.alert_counts();

-- ### queue_deliveries
select wallet_id, seq, number from baseledger.queue_deliveries();

-- ### start_delivery
select url, body from baseledger.start_delivery('acme', 4, 1, 'wh_0');

-- ### finish_delivery
select baseledger.finish_delivery('acme', 4, 1, 'wh_0', p_error => 'answered 500');

-- ## Prices

-- ### set_price
-- In dollars per million tokens: 1.75 for input, 0.175 for what was cached, 14 for output.
select price_id, model, variant, above, currency from baseledger.set_price('openai/gpt-5.2',
  '{"input": 1750000000, "cache_read": 175000000, "output": 14000000000}');
select model, alias_of from baseledger.set_price('acme/fast', null, p_alias_of => 'openai/gpt-5');

-- ### set_prices
select price_id, model, above, source from baseledger.set_prices('[
  {"model": "google/gemini-2.5-pro", "rates": {"input": 1250000000, "output": 10000000000}},
  {"model": "google/gemini-2.5-pro", "rates": {"input": 2500000000, "output": 15000000000},
    "above": 200000},
  {"model": "openai/gpt-5", "max_output": 128000,
    "rates": {"input": 1250000000, "cache_read": 125000000, "output": 10000000000}}
]', 'price list of May');

-- ### list_prices
select model, variant, above, valid_from, rates from baseledger.list_prices('openai/');

-- ### quote
select amount, currency, scale, max_output
  from baseledger.quote('{"model": "openai/gpt-5", "input": 1200, "output": 512}');
select baseledger.quote('{"model": "openai/gpt-5", "input": 1200, "pages": 3}');

-- ### quotes
select amount, model from baseledger.quotes('[
  {"model": "openai/gpt-5", "input": 1200, "output": 512},
  {"model": "openai/gpt-5", "input": 200, "cache_read": 1000, "output": 512}
]');

-- ### affordable
-- One cent pays for 1,200 tokens of input and:
select baseledger.affordable('{"model": "openai/gpt-5", "input": 1200}', 10000000);

-- ## Operation

-- ### wallet_metrics
select wallet_id, unit, available, reserved, spent from baseledger.wallet_metrics();

-- ### limit_metrics
select wallet_id, limit_id, used, amount from baseledger.limit_metrics();

-- ### expire_due
select baseledger.expire_due();
select baseledger.expire_due();

-- ### clear_counters
select baseledger.clear_counters();

-- ### next_due
select baseledger.next_due();

-- ### sweep_status
select * from baseledger.sweep_status();

-- ### wallets_ahead
select * from baseledger.wallets_ahead();

-- ### doctor
select "check", status, found, expected from baseledger.doctor()
  where "check" in ('rights', 'autovacuum', 'time-outs');
