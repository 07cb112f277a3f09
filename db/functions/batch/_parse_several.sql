-- Parses the commands of a batch for several wallets: see _read_commands. Those of a wallet follow
-- each other, in their order; wallet_of has the wallet of each, and position where it stood.
create or replace function baseledger._parse_several(
  p_commands jsonb,
  out commands baseledger._command[],
  out wallet_of text[],
  out positions integer[],
  out priced boolean                  -- some have usage
)
language plpgsql
stable
as $$
declare
  v_shared boolean;
begin
  perform baseledger._check_commands(p_commands);
  select array_agg(r.command order by r.wallet_id collate "C", r.place),
      array_agg(r.wallet_id order by r.wallet_id collate "C", r.place),
      array_agg(r.place::integer order by r.wallet_id collate "C", r.place),
      -- Whatever the wallets: keys are seldom the same in two of them.
      count(distinct r.idempotency_key collate "C") < count(r.idempotency_key)
        or count(distinct r.reservation_id collate "C") < count(r.reservation_id),
      bool_or(r.usage is not null)
    into commands, wallet_of, positions, v_shared, priced
    from baseledger._read_commands(p_commands, false, true) as r;
  if v_shared then
    commands := baseledger._link_commands(commands, wallet_of);
  end if;
  commands := coalesce(commands, '{}');
  priced := coalesce(priced, false);
end
$$;

revoke all on function baseledger._parse_several from public;
