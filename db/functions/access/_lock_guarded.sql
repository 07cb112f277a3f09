-- Locks a wallet that is restricted or closed, or whose commands have usage, which is priced under
-- the lock. If it is restricted, the caller must have access, and his commands get what his access
-- makes of them. Access is looked at before, so that nobody else ever waits for the lock or holds
-- it, and again under it, as it may have been taken back meanwhile. Refuses who may not use the
-- wallet as if there were none.
create or replace function baseledger._lock_guarded(
  p_wallet_id text,
  p_commands baseledger._command[],
  p_priced boolean,
  out locked baseledger._locked_wallet[],
  out commands baseledger._command[],
  out actor text
)
returns record
language plpgsql
volatile
as $$
declare
  v_restricted boolean;
  v_asks constant boolean := exists (
    select from unnest(p_commands) as c
      where c.op in ('reserve', 'settle', 'cancel', 'extend', 'charge')
        -- What no batch knows is no operator's command.
        or c.op is null
        or c.refused = 'LGUNK'
  );
begin
  commands := p_commands;
  -- Of a wallet that there is not, as of one that is not open to the caller.
  select w.restricted into v_restricted
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id;
  if v_asks and v_restricted is distinct from false then
    perform baseledger._admit(p_wallet_id, p_commands);
  end if;
  select array[row(
      w.wallet_id, w.frozen, w.overdraft_limit, w.available, w.reserved, w.spent, w.seq, w.hash,
      w.last_event_at, w.next_deadline, false, 1, cardinality(p_commands), null, null, null,
      w.restricted, w.closed, w.limited, w.low_balances, w.below
    )::baseledger._locked_wallet] into locked
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
    for no key update;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  if locked[1].restricted then
    actor := (baseledger._find_access(p_wallet_id)).actor;
    if v_asks then
      commands := baseledger._admit(p_wallet_id, p_commands);
    end if;
  else
    actor := baseledger._describe_actor(null);
  end if;
  if p_priced then
    commands := baseledger._price_commands(
      p_wallet_id, null, commands, 1, cardinality(commands)
    );
  end if;
end
$$;

revoke all on function baseledger._lock_guarded from public;
