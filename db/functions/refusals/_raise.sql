-- Raises a refusal: the SQLSTATE, a message for a person, the detail as JSON for a program, and
-- what to do. The one place for messages and hints; db/ERRORS.md is the catalogue.
create or replace function baseledger._raise(p_code text, p_detail jsonb)
returns void
language plpgsql
volatile
as $$
declare
  v_message text;
  v_hint text;
begin
  case p_code
    when 'LGARG' then
      v_message := format(
        'invalid argument: %s%s %s', p_detail ->> 'place' || ': ', p_detail ->> 'field',
        p_detail ->> 'reason'
      );
      v_hint := 'Correct the argument; sending the same again will be refused again.';
    when 'LGWNF' then
      -- The same, whether or not there is such a wallet.
      v_message := format(
        'wallet not found, or not open to %s: %s',
        coalesce(nullif(current_setting('role'), 'none'), session_user), p_detail ->> 'wallet_id'
      );
      v_hint := 'Check the id, and baseledger.key if you use one. An operator opens a wallet with '
        'baseledger.open_wallet, and a restricted one to others with baseledger.allow.';
    when 'LGBSY' then
      v_message := format('wallet is busy: %s', p_detail ->> 'wallet_id');
      v_hint := 'Another session has locked it: send the command again, or with post, which waits.';
    when 'LGRNF' then
      v_message := format('reservation not found: %s', p_detail ->> 'reservation_id');
      v_hint := 'Check the id; reservation ids belong to their wallet.';
    when 'LGRID' then
      v_message := format('reservation id already taken: %s', p_detail ->> 'reservation_id');
      v_hint := 'Choose another p_reservation_id. To repeat a command, repeat its idempotency key.';
    when 'LGNSF' then
      v_message := format(
        'insufficient funds: %s asked for, %s available, %s reserved',
        p_detail ->> 'requested', p_detail ->> 'available', p_detail ->> 'reserved'
      );
      v_hint := case
        when p_detail ->> 'shortfall' = '0'
          then 'More reservations are past their deadline than one command expires. Send it as a '
            'batch (post, post_funds), which keeps what each attempt has expired, or run the worker.'
        when p_detail ->> 'reason' = 'held'
          then 'Open reservations hold what is missing: retry when one has ended.'
        else 'Credit the wallet, or ask for less.'
      end;
    when 'LGLIM' then
      v_message := format(
        'limit %s reached: %s asked for, %s of %s used',
        p_detail ->> 'limit_id', p_detail ->> 'requested', p_detail ->> 'used',
        p_detail ->> 'amount'
      );
      v_hint := case
        when p_detail ->> 'reason' = 'held'
          then 'Open reservations hold what is missing: retry when one has ended.'
        when p_detail ->> 'resets_at' is not null
          then 'Retry in the next window, or ask for less.'
        else 'Ask for less; an operator changes the limit with baseledger.set_limit.'
      end;
    when 'LGPRC' then
      v_message := format(
        'no price: %s%s, %s: %s', p_detail ->> 'place' || ': ', p_detail ->> 'model',
        p_detail ->> 'variant',
        case p_detail ->> 'reason'
          when 'model' then 'unknown model'
          when 'variant' then 'unknown variant'
          when 'kind' then format('unknown kind of usage %s', p_detail ->> 'kind')
          when 'currency' then format(
            'it is in %s, and the wallet in %s', p_detail ->> 'currency', p_detail ->> 'unit'
          )
          when 'scale' then format(
            'the wallet has %s decimals, and needs at least 6', p_detail ->> 'scale'
          )
        end
      );
      v_hint := 'An operator sets prices with baseledger.set_price; see the view baseledger.prices.';
    when 'LGIDK' then
      v_message := case p_detail ->> 'field'
        -- The key belongs to another caller: the message has no details of the event.
        when 'idempotency_key' then 'idempotency key already in use'
        else format(
          'idempotency key reused with another %s: stored %s, given %s',
          p_detail ->> 'field', coalesce(p_detail ->> 'stored', 'none'),
          coalesce(p_detail ->> 'given', 'none')
        )
      end;
      v_hint := 'One key names one command: repeat it unchanged, or use a new key.';
    when 'LGEND' then
      v_message := format(
        'reservation %s already ended: %s', p_detail ->> 'reservation_id', p_detail ->> 'status'
      );
      v_hint := 'A reservation ends once. Spending beyond it is a charge, a return a refund.';
    when 'LGEXP' then
      v_message := format('reservation %s is past its deadline', p_detail ->> 'reservation_id');
      v_hint := 'Its funds are back. What was spent can still be settled; else reserve again.';
    when 'LGRFD' then
      v_message := format(
        'refund of %s exceeds the %s that reservation %s has settled and not had refunded',
        p_detail ->> 'requested', p_detail ->> 'refundable', p_detail ->> 'reservation_id'
      );
      v_hint := 'Refund at most what is refundable.';
    when 'LGOVD' then
      v_message := format(
        'over the overdraft limit: available would be %s, the limit is %s',
        p_detail ->> 'would_be', p_detail ->> 'overdraft_limit'
      );
      v_hint := 'Credit the wallet, then send the command again.';
    when 'LGOVF' then
      v_message := 'balance out of range';
      v_hint := 'Balances are 64-bit counts of the smallest step: use a smaller scale or amount.';
    when 'LGFRZ' then
      v_message := format('wallet is frozen: %s', p_detail ->> 'wallet_id');
      v_hint := 'Settling, cancelling and crediting go on; unfreeze_wallet ends it.';
    when 'LGCLO' then
      v_message := format('wallet is closed: %s', p_detail ->> 'wallet_id');
      v_hint := 'What is open can be ended, and funds withdrawn; reopen_wallet opens it again.';
    when 'LGIMM' then
      v_message := format(
        'the journal and the prices are append-only: %s refused', p_detail ->> 'operation'
      );
      v_hint := 'Correct a mistake with a new command: credit, withdraw, charge or refund; or with '
        'a new price.';
    when 'LGUNK' then
      v_message := format('unknown command: %s', p_detail ->> 'op');
      v_hint := 'See baseledger.post and baseledger.post_funds for the commands of a batch.';
  end case;
  raise exception using
    errcode = p_code, message = v_message, detail = p_detail::text, hint = v_hint;
end
$$;

revoke all on function baseledger._raise from public;
