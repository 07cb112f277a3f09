-- A batch for one wallet that may also move funds in and out. Locks the row once, writes it once.
create or replace function baseledger.post_funds(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_parsed record;
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.post_funds(text,jsonb)');
  v_parsed := baseledger._parse_commands(p_commands, true);
  foreach v_receipt in array baseledger._execute_batch(
    p_wallet_id, v_parsed.commands, v_parsed.priced
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post_funds is
  e'Carries out a batch of commands in one wallet, in order, also of those that move funds in and '
  'out. p_commands is a JSON array of at most 10,000 objects, each with op (those of post, and '
  'credit, withdraw, refund) and the parameters of that function without p_; amounts are numbers '
  'or strings, ttl is seconds or an interval; usage may stand in place of amount, as for post. '
  'Returns one row a command, in order: its receipt, '
  'or its refusal (the code in refused, the reason in detail); a refused command does not stop '
  'the others. A retry of a command with the same key gets its first receipt. Raises LGARG if '
  'p_commands is no such array, and LGWNF.'
  '\np_commands: At most 10,000. @commands(post, credit, withdraw, refund)';
revoke all on function baseledger.post_funds from public;
grant execute on function baseledger.post_funds to baseledger_operator;
