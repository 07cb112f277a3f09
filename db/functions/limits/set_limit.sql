-- Sets a limit, or changes one. Locks the wallet's row. What the event may still be refused for is
-- looked at after it was written, so that a retry gets its receipt whatever has changed since.
--
-- A new limit counts from its event on, and what is held then: it reads the open reservations and
-- their openings, by index, and nothing else of the wallet's history.
create or replace function baseledger.set_limit(
  p_wallet_id text,
  p_limit_id text,
  p_amount bigint,
  p_per text,
  p_by text[] default '{}',
  p_of text default 'amount',
  p_time_zone text default 'UTC',
  p_hard boolean default true,
  p_alert_at integer[] default '{}',
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_field text;
  v_by text[];
  v_alert_at integer[];
  v_terms jsonb;
  v_limit baseledger.limits;
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_limit(text,text,bigint,text,text[],text,text,boolean,integer[],text,jsonb)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  v_field := baseledger._find_invalid_term(
    p_limit_id, p_amount, p_per, p_by, p_of, p_time_zone, p_hard, p_alert_at
  );
  if v_field is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument(v_field));
  end if;
  -- As lists that begin at 1, and percentages in order.
  v_by := array(select b.name from unnest(p_by) with ordinality as b (name, n) order by b.n);
  v_alert_at := array(select a.percentage from unnest(p_alert_at) as a (percentage) order by 1);
  v_terms := jsonb_build_object(
    'limit_id', p_limit_id, 'amount', p_amount, 'per', p_per, 'by', v_by, 'of', p_of,
    'time_zone', p_time_zone, 'hard', p_hard, 'alert_at', v_alert_at
  );
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'limit_set', p_idempotency_key, p_metadata => p_metadata, p_details => v_terms
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  perform baseledger._refuse_closed(p_wallet_id);
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  if found then
    v_field := baseledger._find_changed_term(to_jsonb(v_limit), v_terms);
    if v_field is not null then
      perform baseledger._raise('LGARG', baseledger._describe_argument(v_field));
    end if;
    update baseledger.limits l
      set amount = p_amount,
        hard = p_hard,
        alert_at = v_alert_at
      where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
    return v_receipt;
  end if;

  if (select count(*) from baseledger.limits l where l.wallet_id = p_wallet_id) >= 32 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit_id'));
  end if;
  insert into baseledger.limits (
      wallet_id, limit_id, amount, per, by, of, time_zone, hard, alert_at, set_at, set_seq,
      starts_at, ends_at, counted_until
    )
    select p_wallet_id, p_limit_id, p_amount, p_per, v_by, p_of, p_time_zone, p_hard, v_alert_at,
        e.set_at, e.seq, lower(e.period), upper(e.period), upper(e.period)
      from (
        select l.seq, i.set_at, baseledger._window(p_per, p_time_zone, i.set_at) as period
          from baseledger.events l
          cross join lateral (
            select baseledger._event_clock(l.occurred_at, l.details) offset 0
          ) as i (set_at)
          where l.wallet_id = p_wallet_id and l.seq = v_receipt.seq
          offset 0
      ) as e;
  perform baseledger._count_held(p_wallet_id, p_limit_id);
  update baseledger.wallets w set limited = true where w.wallet_id = p_wallet_id;
  return v_receipt;
end
$$;

comment on function baseledger.set_limit is
  e'Sets how much a wallet may use in a window, as a whole or for each combination of values of '
  'some labels: a reservation, a larger hold or a charge that would go above it is refused with '
  'LGLIM. Used is what the events of the window have spent, and what is held now, whenever it was '
  'opened. Counts from now on. Set again, the amount, p_hard and p_alert_at change, and counters '
  'go on; the rest cannot change. At most 32 limits a wallet. The key is optional: a retry with '
  'the same key gets the first receipt; each call without one is an event. Refused with LGARG, '
  'LGWNF, LGIDK, LGCLO.'
  '\np_limit_id: Name of the limit in its wallet.'
  '\np_amount: In the wallet''s smallest step, or how many tokens, calls or open reservations; 0 = '
  'nothing. Null, for a limit by labels: only combinations with an amount of their own '
  '(set_limit_for) are limited. @nullable'
  '\np_per: The window: minute, hour, day, week (from Monday), month, year or ever.'
  '\np_by: Names of labels, at most 4: each combination of their values has the amount. Labels are '
  'strings of 1 to 255 bytes in the metadata of a reservation or charge; others count as empty. '
  'Default: none, the wallet as a whole.'
  '\np_of: amount; tokens: those of usage (see reserve), of all kinds of input and output together; '
  'calls: reservations and charges opened in the window; open: reservations open '
  'now (per ever only).'
  '\np_time_zone: Where days, weeks, months and years begin: UTC or an Area/City of '
  'pg_timezone_names.'
  '\np_hard: False: nothing is refused, it only alerts.'
  '\np_alert_at: Percentages of the amount, 1 to 1000, at most 10: an alert when that much is '
  'spent in the window. Default: none.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_limit from public;
grant execute on function baseledger.set_limit to baseledger_operator;
