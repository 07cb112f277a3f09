-- The events of a wallet from p_from up to, not including, p_to.
create or replace function baseledger.statement(
  p_wallet_id text,
  p_from timestamptz default '-infinity',
  p_to timestamptz default 'infinity'
)
returns setof baseledger.statement_line
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_first bigint;
  v_last bigint;
begin
  if p_from is null or p_to is null then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', case when p_from is null then 'from' else 'to' end, 'reason', 'must be a time'
    ));
  end if;
  v_first := baseledger._find_seq_before(p_wallet_id, p_from) + 1;
  v_last := baseledger._find_seq_before(p_wallet_id, p_to);
  return query
    select e.seq, e.occurred_at, e.event, e.reservation_id, e.amount, e.available, e.reserved,
        e.spent, e.expires_at, e.idempotency_key, e.actor, e.metadata, e.details
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq between v_first and v_last
      order by e.seq;
end
$$;

comment on function baseledger.statement is
  e'The events of a wallet from p_from up to, not including, p_to (without them: all), in order, '
  'each with the balances after it, in the wallet''s smallest step. Refused with LGARG, LGWNF.'
  '\np_from: The first instant. Default: the beginning.'
  '\np_to: The instant after the last. Default: the end.';
revoke all on function baseledger.statement from public;
grant execute on function baseledger.statement to baseledger_operator, baseledger_auditor;
