-- The doctor's checks of the server and its settings.
create or replace function baseledger._doctor_settings()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  c_short constant interval := '5 seconds';
  v_text text;
  v_cost float8;
  v_spared boolean;
begin
  select s.setting into v_text from pg_settings s where s.name = 'server_version';
  return next baseledger._make_diagnosis(
    'server',
    case when split_part(v_text, '.', 1) not in ('15', '16', '17', '18') then 'warning' end,
    'PostgreSQL ' || v_text, '15 to 18', 'Run a version that BaseLedger is tested with.'
  );

  -- To compile a plan takes 100 ms, a command less than one.
  select s.reset_val::float8 into v_cost
    from pg_settings s
    where s.name = 'jit_above_cost'
      and baseledger._is_jit_available()
      and exists (select from baseledger._read_settings('{jit}') as j where j.value = 'on');
  select 'jit=off' = any(p.proconfig) into v_spared
    from pg_proc p
    where p.oid = 'baseledger._execute'::regproc;
  return next baseledger._make_diagnosis(
    'jit',
    case when v_cost is not null and v_spared is not true then 'wrong'
      when v_cost between 0 and 99999 then 'warning' end,
    case when v_cost is null then 'off'
      when v_spared then format('on above a cost of %s; off in commands', v_cost)
      else 'on, in commands as well' end,
    'off, or on above a cost of 100000 and off in commands',
    'Run `baseledger migrate`. For queries on the views set jit = off, or raise jit_above_cost.'
  );

  v_text := baseledger._list_settings_off('{enable\_%}');
  return next baseledger._make_diagnosis(
    'planner', case when v_text is not null then 'warning' end, coalesce(v_text, 'as it comes'),
    'no enable_* switched off', 'Reset them: queries on the views may become slow.'
  );

  v_text := baseledger._list_settings_off('{fsync,full\_page\_writes,synchronous\_commit}');
  return next baseledger._make_diagnosis(
    'durability', case when v_text is not null then 'wrong' end, coalesce(v_text, 'on'),
    'fsync, full_page_writes and synchronous_commit on',
    'Switch them on: a crash may lose commands that were acknowledged, or the database.'
  );

  select string_agg(c.relname, ', ' order by c.relname) into v_text
    from pg_class c
    where c.relnamespace = 'baseledger'::regnamespace
      and array_to_string(c.reloptions, ',') ~ 'autovacuum_enabled=(off|false|no|0)';
  v_text := concat_ws('; ',
    baseledger._list_settings_off('{autovacuum,track\_counts}'),
    'autovacuum_enabled = off of ' || v_text
  );
  return next baseledger._make_diagnosis(
    'autovacuum', case when v_text <> '' then 'warning' end, coalesce(nullif(v_text, ''), 'on'),
    'on, for every table', 'Switch it on: tables and indexes grow, and commands become slow.'
  );

  select string_agg(format('statement_timeout = %s%s', s.value, ' for ' || s.whose), ', ')
    into v_text
    from baseledger._read_settings('{statement\_timeout}') as s
    where s.is_worker
      and case
        when s.value ~ '^[0-9]+$' then make_interval(secs => s.value::float8 / 1000)
        when s.value ~ '^[0-9.]+ *(us|ms|s|min|h|d)$' then s.value::interval
      end between interval '1 microsecond' and c_short;
  return next baseledger._make_diagnosis(
    'time-outs', case when v_text is not null then 'warning' end,
    coalesce(v_text, 'none too short'),
    'no statement_timeout below 5 s for the worker',
    'Set it to 0 for the worker''s login: sweeps are cut off before they have done their part.'
  );
end
$$;

revoke all on function baseledger._doctor_settings from public;
