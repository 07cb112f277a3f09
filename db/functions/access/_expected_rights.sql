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
          '{balance,cancel,charge,extend,limits,post,post_many,receipt,reservation,
            reserve,settle}'),
        ('function', 'EXECUTE', 'baseledger_operator',
          '{balance,cancel,charge,extend,limits,post,post_many,receipt,reservation,
            reserve,settle,add_webhook,alert_counts,allow,balance_at,close_wallet,
            create_key,credit,disallow,freeze_wallet,list_grants,list_keys,list_wallets,
            list_webhooks,open_wallet,post_funds,refund,remove_limit,remove_webhook,
            reopen_wallet,revoke_key,set_limit,set_limit_for,set_low_balance,
            set_overdraft_limit,statement,transfer,unfreeze_wallet,withdraw,doctor,
            sweep_status,wallets_ahead}'),
        ('function', 'EXECUTE', 'baseledger_auditor',
          '{alert_counts,balance,balance_at,limits,list_grants,list_keys,list_wallets,
            list_webhooks,receipt,reservation,statement,verify,verify_rights,doctor,
            sweep_status,wallets_ahead}'),
        ('function', 'EXECUTE', 'baseledger_worker',
          '{alert_counts,clear_counters,expire_due,finish_delivery,limit_metrics,next_due,
            queue_deliveries,start_delivery,sweep_status,wallet_metrics,wallets_ahead}'),
        ('view', 'SELECT', 'baseledger_auditor',
          '{alerts,journal,open_reservations,postings,reservation_history,wallet_access,
            wallet_balances}')
    ) as r (kind, privilege, grantee, names)
    cross join lateral pg_catalog.unnest(r.names) as n (name)
$$;

revoke all on function baseledger._expected_rights from public;
