-- A batch for one wallet. Locks the wallet's row once, writes it once.
create or replace function baseledger.post(p_wallet_id text, p_commands jsonb)
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
  v_parsed := baseledger._parse_commands(p_commands, false);
  foreach v_receipt in array baseledger._execute_batch(
    p_wallet_id, v_parsed.commands, v_parsed.priced
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post is
  e'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (reserve, settle, cancel, extend or charge) and the parameters of '
  'that function without p_; amounts are numbers or strings, ttl is seconds or an interval; usage '
  'may stand in place of amount, and what has no price is refused with LGPRC. '
  'Returns one row a command, in order: its receipt, or its refusal (the code in refused, the '
  'reason in detail); a refused command does not stop the others. A retry of a command with the '
  'same key gets its first receipt. Raises LGARG if p_commands is no such array, and LGWNF.'
  '\np_commands: At most 10,000. @commands(reserve, settle, cancel, extend, charge)';
revoke all on function baseledger.post from public;
grant execute on function baseledger.post to baseledger_agent, baseledger_operator;
