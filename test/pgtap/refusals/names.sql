-- Names of wallets, units, keys and reservations. Two different names must not look the same by
-- accident, so that a name must begin and end with a visible character.
begin;
select plan(64);

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'r');
end
$$;

create temp table hidden (what text, character text);
insert into hidden values
  ('a blank', ' '), ('a tab', E'\t'), ('a newline', E'\n'), ('an escape', E'\x1b'),
  ('the first control', E'\x01'), ('a delete', E'\x7f'), ('a next line', E'\u0085'),
  ('a no-break space', E'\u00a0'), ('a soft hyphen', E'\u00ad'), ('a grapheme joiner', E'\u034f'),
  ('an ogham blank', E'\u1680'), ('an en space', E'\u2002'), ('a zero-width space', E'\u200b'),
  ('a zero-width joiner', E'\u200d'), ('a left-to-right mark', E'\u200e'),
  ('a line separator', E'\u2028'), ('an override', E'\u202e'), ('a word joiner', E'\u2060'),
  ('an isolate', E'\u2066'), ('an empty braille cell', E'\u2800'),
  ('an ideographic space', E'\u3000'), ('a filler', E'\u3164'), ('a variation', E'\ufe0f'),
  ('a byte order mark', E'\ufeff'), ('a tag', E'\U000e0041');

-- The result of a call for a name that is the character, begins, ends with it, and contains it.
create function pg_temp.ends(p_call text, p_character text)
returns text
language plpgsql
as $$
declare
  v_ends text := '';
  v_name text;
begin
  foreach v_name in array array[
    p_character, p_character || 'x', 'x' || p_character, 'x' || p_character || 'x'
  ] loop
    begin
      execute 'select * from baseledger.' || replace(p_call, '$', quote_literal(v_name));
      raise exception using errcode = 'TAP00';
    exception
      when sqlstate 'TAP00' then v_ends := v_ends || ' fine';
      when others then v_ends := v_ends || ' ' || sqlstate;
    end;
  end loop;
  return ltrim(v_ends);
end
$$;

select is(
  pg_temp.ends(c.call, h.character), 'LGARG LGARG LGARG fine',
  h.what || ' is refused at the ends of ' || c.what
) from hidden h
  cross join (values
    ('an id of a wallet', 'open_wallet($)'),
    ('a key', $$credit('w', 1, $)$$)
  ) as c(what, call);
select is(pg_temp.ends(c.call, E'\u200b'), 'LGARG LGARG LGARG fine',
  'a zero-width space is refused at the ends of ' || c.what)
  from (values
    ('the unit of a wallet', $$open_wallet('new', $)$$),
    ('the id of a reservation', $$reserve('w', 1, 'key', p_reservation_id => $)$$),
    ('the id of a charge', $$charge('w', 1, 'key', $)$$)
  ) as c(what, call);
select is(
  tap.posted('w', jsonb_build_array(
    jsonb_build_object('op', 'reserve', 'amount', 1, 'idempotency_key', E'\u00a0a'),
    jsonb_build_object('op', 'reserve', 'amount', 1, 'idempotency_key', 'b',
      'reservation_id', E'b\u200b'),
    jsonb_build_object('op', 'charge', 'amount', 1, 'idempotency_key', E'c\u200bc')
  )),
  array['LGARG', 'LGARG', '#4 charged 1: 899/100/1'], 'a batch has the same rule'
);

-- Any other name is accepted and kept byte by byte.
select is(
  tap.brief(baseledger.charge('w', 1, name)),
  format('#%s charged 1: %s/100/%s', 4 + n, 899 - n, 1 + n),
  'a name is kept byte by byte: ' || name
) from unnest(array['é', E'e\u0301', '日本', '🙂', 'a b', '-~']) with ordinality as x(name, n);

-- Names that are older than the rule.
do $$
begin
  perform tap.tamper($t$update baseledger.events set reservation_id = E' r\u200b'
    where reservation_id = 'r'$t$);
  perform tap.tamper($t$update baseledger.reservations set reservation_id = E' r\u200b'
    where reservation_id = 'r'$t$);
  perform tap.rehash('w');
end
$$;
select is(
  tap.brief(baseledger.settle('w', E' r\u200b', 40, 's', false)), '#11 settled 40: 893/60/47',
  'a reservation with an older id can be settled'
);
select is(
  tap.brief(baseledger.cancel('w', E' r\u200b', 'c')), '#12 cancelled 60: 953/0/47',
    'a reservation with an older id can be cancelled'
);
select is(
  tap.brief(baseledger.refund('w', E' r\u200b', 40, 'f')), '#13 refunded 40: 993/0/7',
  'a reservation with an older id can be refunded'
);
set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
