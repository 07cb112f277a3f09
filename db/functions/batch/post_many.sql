-- A batch for several wallets. Locks those that nobody else has locked, and writes each row once.
create or replace function baseledger.post_many(p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_parsed record;
  v_receipts baseledger.receipt[];
begin
  v_parsed := baseledger._parse_several(p_commands);
  if v_parsed.commands = '{}' then
    return;
  end if;
  v_receipts := baseledger._execute(
    null, v_parsed.commands, p_wallet_ids => v_parsed.wallet_of,
    p_priced => v_parsed.priced
  );
  if array_position(v_receipts, null) is not null then
    v_receipts := baseledger._refuse_unlocked(
      v_receipts, v_parsed.commands, v_parsed.wallet_of
    );
  end if;
  return query
    select r.wallet_id, r.seq, r.event, r.reservation_id, r.amount, r.available, r.reserved,
        r.spent, r.expires_at, r.occurred_at, r.idempotency_key, r.replayed, r.refused, r.detail
      from unnest(v_receipts) with ordinality as r
      order by v_parsed.positions[r.ordinality];
end
$$;

comment on function baseledger.post_many is
  e'Carries out a batch of commands in several wallets. p_commands is a JSON array of at most '
  '10,000 objects, each with wallet_id, and else as for post. Those of one wallet are carried out '
  'in order; all that are granted commit together. Returns one row a command, in order: its '
  'receipt, or its refusal (the code in refused, the reason in detail), which stops no other. Waits '
  'for nobody: commands of a wallet that another session has locked, or in which more is due than '
  'one command expires, are refused with LGBSY, and nothing is done; send them again, here or with '
  'post, which waits. Those of a wallet that does not exist are refused with LGWNF, those of an '
  'unsound one with XX001. A retry of a command with the same key gets its first receipt. Raises '
  'LGARG if p_commands is no such array. Not for Citus: send a post to each wallet''s node there.'
  '\np_commands: At most 10,000. @commands(post)';
revoke all on function baseledger.post_many from public;
grant execute on function baseledger.post_many to baseledger_agent, baseledger_operator;
