-- The combination of a limit that labels belong to: their values, in the order of its `by`. Only a
-- string of 1 to 255 bytes is a value; anything else is the empty one. Not inlined: it has more
-- expressions than the statements that need it.
create or replace function baseledger._label_values(p_labels jsonb, p_by text[])
returns text[]
language plpgsql
immutable
parallel safe
as $$
declare
  v_values text[] := '{}';
  v_name text;
begin
  foreach v_name in array p_by loop
    v_values := v_values || case
      when jsonb_typeof(p_labels -> v_name) = 'string'
        and octet_length(p_labels ->> v_name) <= 255
        then p_labels ->> v_name
      else ''
    end;
  end loop;
  return v_values;
end
$$;

revoke all on function baseledger._label_values from public;
