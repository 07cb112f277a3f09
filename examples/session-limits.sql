-- Each user may use 5 dollars a day, in Berlin's days, and each run 50 cents in all.
select event from baseledger.set_limit('acme', 'user-day', 5000000000, 'day', '{user}',
  p_time_zone => 'Europe/Berlin', p_alert_at => '{80,100}');
select event from baseledger.set_limit('acme', 'run', 500000000, 'ever', '{run}');

-- The metadata of a charge or reservation says whose it is. A runaway run is stopped, the others go on.
select event, amount from baseledger.charge('acme', 400000000, 'call-5',
  p_metadata => '{"user": "ann", "run": "r7"}');
select event, amount from baseledger.reserve('acme', 200000000, 'call-6',
  p_metadata => '{"user": "ann", "run": "r7"}');
select event, amount from baseledger.reserve('acme', 200000000, 'call-7',
  p_metadata => '{"user": "ann", "run": "r8"}');
select limit_id, label_values, used, held, remaining from baseledger.limits('acme');

-- From now on only who has a grant or a key may use the wallet: with this one as ann, in any run.
select left(secret, 3) || '…' as secret from baseledger.create_key('acme', '{"user": "ann"}', '{run}');
