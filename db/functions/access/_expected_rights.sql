-- What each role may do: the one list of all rights. Nobody has any other right on an object of the
-- schema, except the owner, and roles to which the host grants a view or a public function. Each
-- file grants what this list says; _find_rights_differences compares, and `baseledger migrate`
-- repairs.
create or replace function baseledger._expected_rights()
returns setof baseledger._right
language sql
immutable
as $$
  select r.kind, n.name, r.grantee, r.privilege
    from (
      values
        ('schema', 'USAGE', 'baseledger_agent', '{baseledger}'::text[]),
        ('schema', 'USAGE', 'baseledger_operator', '{baseledger}'),
        ('schema', 'USAGE', 'baseledger_auditor', '{baseledger}'),
        ('schema', 'USAGE', 'baseledger_worker', '{baseledger}'),
        ('function', 'EXECUTE', 'baseledger_agent',
          '{balance,cancel,charge,extend,limits,post,post_many,receipt,reservation,reserve,
            settle,affordable,list_prices,quote,quotes}'),
        ('function', 'EXECUTE', 'baseledger_operator',
          '{balance,cancel,charge,extend,limits,post,post_many,receipt,reservation,reserve,settle,
            allow,balance_at,close_wallet,create_key,credit,disallow,freeze_wallet,list_grants,
            list_keys,list_wallets,open_wallet,post_funds,refund,remove_limit,reopen_wallet,
            revoke_key,set_limit,set_limit_for,set_low_balance,set_overdraft_limit,statement,
            transfer,unfreeze_wallet,withdraw,doctor,sweep_status,wallets_ahead,
            add_webhook,alert_counts,list_webhooks,remove_webhook,
            affordable,list_prices,quote,quotes,set_price,set_prices,spending}'),
        ('function', 'EXECUTE', 'baseledger_auditor',
          '{balance,balance_at,limits,list_grants,list_keys,list_wallets,receipt,reservation,
            statement,verify,verify_rights,doctor,sweep_status,wallets_ahead,alert_counts,
            list_webhooks,affordable,list_prices,quote,quotes,spending}'),
        ('function', 'EXECUTE', 'baseledger_worker',
          '{clear_counters,expire_due,next_due,sweep_status,wallets_ahead,
            alert_counts,finish_delivery,limit_metrics,queue_deliveries,start_delivery,
            wallet_metrics}'),
        ('view', 'SELECT', 'baseledger_agent', '{prices}'),
        ('view', 'SELECT', 'baseledger_operator', '{prices}'),
        ('view', 'SELECT', 'baseledger_auditor',
          '{alerts,costs,journal,open_reservations,postings,prices,reservation_history,
            wallet_access,wallet_balances}'),
        ('view', 'SELECT', 'baseledger_worker', '{prices}')
    ) as r (kind, privilege, grantee, names)
    cross join lateral pg_catalog.unnest(r.names) as n (name)
$$;

revoke all on function baseledger._expected_rights from public;
