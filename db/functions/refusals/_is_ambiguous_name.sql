-- Whether a name looks like another one, or like nothing: it is empty, or its first or last
-- character is white space, a control character, or one without width or ink. By code points, as
-- what a server takes for a blank depends on its locale. Two spellings of one letter (composed and
-- decomposed) stay two names, as bytes decide.
--
-- The usual name begins and ends with a printable ASCII character, which a comparison of bytes
-- finds without the regular expression. A SQL function without settings, so that it is inlined.
create or replace function baseledger._is_ambiguous_name(p_name text)
returns boolean
language sql
immutable
parallel safe
as $$
  select not (
      p_name collate "C" >= '!'
      and p_name collate "C" < E'\x7f'
      and pg_catalog.right(p_name, 1) collate "C" >= '!'
      and pg_catalog.right(p_name, 1) collate "C" < E'\x7f'
    )
    and p_name collate "C" ~ pg_catalog.replace(
      '^$|^[-]|[-]$',
      '-',
      E'\\u0001-\\u0020\\u007f-\\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5'
        '\\u180b-\\u180f\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u2800\\u3000\\u3164'
        '\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\U0001bca0-\\U0001bca3'
        '\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff'
    )
$$;

revoke all on function baseledger._is_ambiguous_name from public;
