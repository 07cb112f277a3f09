-- Repairs rights that are not what they must be, as far as the user may. Run after migrations, also
-- when there are none to apply: a restore, or a well-meant GRANT, may have opened what must be
-- closed. Rights on objects are repaired as their owner, those of roles as the user.
do $rights$
declare
  v_role text := current_setting('role');
  v_difference record;
begin
  if to_regprocedure('baseledger._find_rights_differences()') is null then
    return;
  end if;
  set local role baseledger_owner;
  for v_difference in
    select d.object, d.found, d.cure from baseledger._find_rights_differences() d
  loop
    begin
      perform set_config(
        'role',
        case when v_difference.object like 'role %' then v_role else 'baseledger_owner' end,
        true
      );
      execute v_difference.cure;
    exception
      when insufficient_privilege or null_value_not_allowed then
        raise warning using
          message = format('%s: %s', v_difference.object, v_difference.found),
          hint = coalesce('Let a superuser run: ' || v_difference.cure, '');
    end;
  end loop;
  perform set_config('role', v_role, true);
end
$rights$;
