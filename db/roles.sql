-- The roles of BaseLedger. Roles belong to the server, not to a database, so this file stands
-- outside the migrations; it is idempotent and is run before them.
--
-- None of them can log in: grant them to the login roles of your services, e.g.
--   grant baseledger_agent to my_service;
--
-- baseledger_owner     owns every object; the functions run with its rights
-- baseledger_agent     reserve, settle, cancel, extend, charge, post, balance
-- baseledger_operator  all of that, and open, credit, withdraw, refund, transfer, freeze, ...
-- baseledger_auditor   reads every view, statement, balance_at, verify; changes nothing
-- baseledger_worker    the sweep of due reservations

do $roles$
declare
  v_role text;
begin
  foreach v_role in array array[
    'baseledger_owner', 'baseledger_agent', 'baseledger_operator',
    'baseledger_auditor', 'baseledger_worker'
  ] loop
    -- Looked for first: one who may not create roles can install where they are there already.
    continue when exists (select from pg_roles where rolname = v_role);
    begin
      execute format('create role %I nologin', v_role);
    exception
      -- unique_violation: two installations at once, in two databases of one server
      when duplicate_object or unique_violation then
        null;
    end;
  end loop;
end
$roles$;
