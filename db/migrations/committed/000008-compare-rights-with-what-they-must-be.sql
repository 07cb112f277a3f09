--! Previous: sha1:13c56da2223036fb637346cee46b5f53815b5316
--! Hash: sha1:2dceae7f4455d6b24094807cc5cbac8db3137190
--! Message: Compare rights with what they must be

-- Who may do what: one list of it, what differs from it, and functions that look at their own rights.

-- Internal: a right that a role must have.
--   kind  schema | function | view
create type baseledger._right as (
  kind text,
  name text,
  grantee text,
  privilege text
);

-- Internal: a right that is not what it must be, and the statement that mends it.
--   open  somebody may do what he must not; otherwise somebody lacks a right
create type baseledger._rights_difference as (
  object text,
  expected text,
  found text,
  open boolean,
  cure text
);

comment on column baseledger.discrepancy.wallet_id is
  'The wallet; null when it concerns the rights of the whole ledger.';

--! Included functions/_rights.sql
-- What each role may do: the one list of all rights. Nobody has any other right on an object of
-- the schema, but for the owner, and for roles of the host that it grants a view or a public
-- function. Each file grants what stands here; _rights_differences compares, and `baseledger
-- migrate` mends.
create or replace function baseledger._rights()
returns setof baseledger._right
language sql
immutable
as $$
  select r.kind, n.name, r.grantee, r.privilege
    from (
      values
        ('schema', 'USAGE', 'baseledger_agent', '{baseledger}'::text[]),
        ('schema', 'USAGE', 'baseledger_operator', '{baseledger}'),
        ('schema', 'USAGE', 'baseledger_auditor', '{baseledger}'),
        ('schema', 'USAGE', 'baseledger_worker', '{baseledger}'),
        ('function', 'EXECUTE', 'baseledger_agent',
          '{balance,cancel,charge,extend,post,reserve,settle}'),
        ('function', 'EXECUTE', 'baseledger_operator',
          '{balance,cancel,charge,extend,post,reserve,settle,
            balance_at,credit,freeze_wallet,open_wallet,post_funds,refund,statement,transfer,
            unfreeze_wallet,withdraw}'),
        ('function', 'EXECUTE', 'baseledger_auditor',
          '{balance,balance_at,statement,verify,verify_rights}'),
        ('function', 'EXECUTE', 'baseledger_worker', '{expire_due,next_due}'),
        ('view', 'SELECT', 'baseledger_auditor',
          '{journal,open_reservations,postings,reservation_history,wallet_balances}')
    ) as r (kind, privilege, grantee, names)
    cross join lateral pg_catalog.unnest(r.names) as n (name)
$$;

revoke all on function baseledger._rights from public;
--! EndIncluded functions/_rights.sql
--! Included functions/_rights_differences.sql
-- The rights that are not what they must be: too many (open = true), which may let somebody do
-- what he must not, or too few. cure is the statement that mends it. Reads only what everybody may
-- read in the catalog.
create or replace function baseledger._rights_differences()
returns setof baseledger._rights_difference
language sql
stable
as $$
  with
  ours (name) as (
    values ('baseledger_agent'), ('baseledger_operator'), ('baseledger_auditor'),
      ('baseledger_worker')
  ),
  -- Private is what no role but the owner may have any right on.
  objects as (
    select 'schema' as kind, n.nspname::text as name, 'schema ' || n.nspname as label,
        'schema ' || n.nspname as target, n.nspowner as owner,
        coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) as acl, false as private
      from pg_catalog.pg_namespace n
      where n.nspname = 'baseledger'
    union all
    select 'function', p.proname, 'function ' || p.oid::regprocedure,
        'routine ' || p.oid::regprocedure, p.proowner,
        coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proname ~ '^(_|tg_)'
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'baseledger'
    union all
    select case c.relkind when 'v' then 'view' else 'table' end, c.relname,
        case c.relkind when 'v' then 'view ' else 'table ' end || c.oid::regclass,
        'table ' || c.oid::regclass, c.relowner,
        coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)), c.relkind <> 'v'
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'baseledger' and c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select 'type', t.typname, 'type ' || t.oid::regtype, 'type ' || t.oid::regtype, t.typowner,
        null, false
      from pg_catalog.pg_type t
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      left join pg_catalog.pg_class c on c.oid = t.typrelid
      where n.nspname = 'baseledger' and (t.typtype in ('d', 'e', 'r') or c.relkind = 'c')
  ),
  granted as (
    select o.kind, o.name, o.label, o.target, o.private, a.privilege_type as privilege,
        case when a.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(a.grantee)::text end
          as grantee,
        a.is_grantable
      from objects o
      cross join lateral pg_catalog.aclexplode(o.acl) as a
      where a.grantee <> o.owner
    union all
    select 'column', c.relname, pg_catalog.format('column %s.%I', c.oid::regclass, f.attname),
        'table ' || c.oid::regclass, true,
        pg_catalog.format('%s (%I)', a.privilege_type, f.attname),
        case when a.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(a.grantee)::text end,
        a.is_grantable
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_attribute f on f.attrelid = c.oid
      cross join lateral pg_catalog.aclexplode(f.attacl) as a
      where n.nspname = 'baseledger' and a.grantee <> c.relowner
  )

  select o.label, 'owned by baseledger_owner',
      pg_catalog.format('owned by %I', pg_catalog.pg_get_userbyid(o.owner)),
      true, pg_catalog.format('alter %s owner to baseledger_owner', o.target)
    from objects o
    where pg_catalog.pg_get_userbyid(o.owner) <> 'baseledger_owner'
  union all
  -- What a host grants to roles of its own on views and public functions is its own affair.
  select g.label, pg_catalog.format('no %s for %s', g.privilege, g.grantee),
      pg_catalog.format('%s for %s', g.privilege, g.grantee),
      true, pg_catalog.format('revoke %s on %s from %s cascade', g.privilege, g.target, q.grantee)
    from granted g
    cross join lateral (
      select case g.grantee when 'public' then 'public' else pg_catalog.quote_ident(g.grantee) end
    ) as q (grantee)
    where (
        g.private or g.grantee = 'public' or g.grantee in (select name from ours)
        or g.kind = 'schema' and g.privilege <> 'USAGE'
      )
      and (g.kind, g.name, g.grantee, g.privilege) not in (
        select r.kind, r.name, r.grantee, r.privilege from baseledger._rights() r
      )
  union all
  select g.label, pg_catalog.format('%s for %s, not to be granted on', g.privilege, g.grantee),
      pg_catalog.format('%s for %s with grant option', g.privilege, g.grantee), true,
      pg_catalog.format('revoke grant option for %s on %s from %I cascade',
        g.privilege, g.target, g.grantee)
    from granted g
    join baseledger._rights() r
      on (r.kind, r.name, r.grantee, r.privilege) = (g.kind, g.name, g.grantee, g.privilege)
    where g.is_grantable
  union all
  select coalesce(o.label, r.kind || ' baseledger.' || r.name),
      pg_catalog.format('%s for %s', r.privilege, r.grantee),
      case when o.name is null then 'missing' else
        pg_catalog.format('no %s for %s', r.privilege, r.grantee)
      end,
      false, pg_catalog.format('grant %s on %s to %I', r.privilege, o.target, r.grantee)
    from baseledger._rights() r
    left join objects o on o.kind = r.kind and o.name = r.name
    where not exists (
      select from granted g
        where (g.label, g.kind, g.grantee, g.privilege)
          = (o.label, r.kind, r.grantee, r.privilege)
    )
  union all
  -- What the owner makes later is closed to the public, and to everybody.
  select 'default privileges on functions', 'no EXECUTE for public', 'EXECUTE for public', true,
      'alter default privileges for role baseledger_owner revoke execute on functions from public'
    where not exists (
      select from pg_catalog.pg_default_acl d
        where pg_catalog.pg_get_userbyid(d.defaclrole) = 'baseledger_owner'
          and d.defaclnamespace = 0
          and d.defaclobjtype = 'f'
          and not exists (
            select from pg_catalog.aclexplode(d.defaclacl) as a where a.grantee = 0
          )
    )
  union all
  select 'default privileges on ' || t.name,
      pg_catalog.format('no %s for %s', a.privilege_type, g.name),
      pg_catalog.format('%s for %s', a.privilege_type, g.name), true,
      pg_catalog.format(
        'alter default privileges for role baseledger_owner %s revoke %s on %s from %s',
        case when d.defaclnamespace <> 0 then 'in schema baseledger' end,
        a.privilege_type, t.name, g.name
      )
    from pg_catalog.pg_default_acl d
    join (values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions')) as t (letter, name)
      on t.letter::"char" = d.defaclobjtype
    left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
    cross join lateral pg_catalog.aclexplode(d.defaclacl) as a
    cross join lateral (
      select case when a.grantee = 0 then 'public'
        else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
    ) as g (name)
    where pg_catalog.pg_get_userbyid(d.defaclrole) = 'baseledger_owner'
      and (d.defaclnamespace = 0 or n.nspname = 'baseledger')
      and a.grantee <> d.defaclrole
      and not (a.grantee = 0 and d.defaclnamespace = 0 and t.letter = 'f')
  union all
  -- The roles themselves: nobody logs in as the owner, and none of them has more than its grants.
  select 'role ' || r.rolname, 'NOLOGIN', 'LOGIN', true, 'alter role baseledger_owner nologin'
    from pg_catalog.pg_roles r
    where r.rolname = 'baseledger_owner' and r.rolcanlogin
  union all
  select 'role ' || r.rolname, 'NO' || a.name, a.name, true,
      pg_catalog.format('alter role %I no%s', r.rolname, pg_catalog.lower(a.name))
    from pg_catalog.pg_roles r
    cross join lateral (
      values ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole),
        ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication),
        ('BYPASSRLS', r.rolbypassrls)
    ) as a (name, has)
    where (r.rolname = 'baseledger_owner' or r.rolname in (select name from ours)) and a.has
  union all
  select 'role ' || r.rolname, 'a member of no role', 'a member of ' || g.rolname, true,
      pg_catalog.format('revoke %I from %I', g.rolname, r.rolname)
        -- Since 16, each grantor's grant is one of its own.
        || case when exists (
            select from pg_catalog.pg_attribute a
              where a.attrelid = m.tableoid and a.attname = 'inherit_option'
          )
          then pg_catalog.format(' granted by %I', pg_catalog.pg_get_userbyid(m.grantor))
          else ''
        end
    from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles r on r.oid = m.member
    join pg_catalog.pg_roles g on g.oid = m.roleid
    where r.rolname = 'baseledger_owner' or r.rolname in (select name from ours)
$$;

revoke all on function baseledger._rights_differences from public;
--! EndIncluded functions/_rights_differences.sql
--! Included functions/verify_rights.sql
-- What is open that must not be: who could move or read more than his role says. A right that
-- somebody lacks is not unsound. Reads the catalog only.
create or replace function baseledger.verify_rights()
returns setof baseledger.discrepancy
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select null::text, null::bigint, 'rights',
      d.object || ': ' || d.expected, d.object || ': ' || d.found
    from baseledger._rights_differences() d
    where d.open
$$;

comment on function baseledger.verify_rights is
  'Checks who owns the ledger''s objects and who may do what with them, and returns what is open '
  'that must not be, as after a restore without owners and rights: none = sound. verify of the '
  'whole ledger includes it. Reads only.';
revoke all on function baseledger.verify_rights from public;
grant execute on function baseledger.verify_rights to baseledger_auditor;
--! EndIncluded functions/verify_rights.sql
--! Included functions/verify.sql
-- Proves the ledger, or finds where it does not hold. Reads only; one snapshot for all of it, as
-- a stable function sees the one of its query. The whole ledger is read in portions of wallets,
-- so that memory does not grow with it.
create or replace function baseledger.verify(p_wallet_id text default null)
returns setof baseledger.discrepancy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
as $$
declare
  c_events constant bigint := 100000;     -- in a portion, if wallets are small
  v_first text collate "C" := '';
  v_last text collate "C";
begin
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._no_wallet(p_wallet_id);
    end if;
    return query select * from baseledger._verify_events(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_wallets(p_wallet_id, p_wallet_id);
    return;
  end if;

  return query select * from baseledger.verify_rights();
  loop
    -- The last wallet of the next portion; none if the rest fits in.
    select min(p.wallet_id) into v_last
      from (
        select w.wallet_id, sum(w.seq) over (order by w.wallet_id) as events
          from (
            select l.wallet_id, l.seq from baseledger.wallets l
              where l.wallet_id >= v_first
              order by l.wallet_id
              limit 20000
          ) as w
      ) as p
      where p.events >= c_events;
    if v_last is null then
      select w.wallet_id into v_last from baseledger.wallets w
        where w.wallet_id >= v_first
        order by w.wallet_id
        offset 19999 limit 1;
    end if;
    -- Without a last wallet up to the end, and so past every wallet: events without one show.
    return query select * from baseledger._verify_events(v_first, v_last);
    return query select * from baseledger._verify_wallets(v_first, v_last);
    exit when v_last is null;
    v_first := v_last || chr(1);          -- the least text above it
  end loop;
end
$$;

comment on function baseledger.verify is
  'Checks a wallet, or without one the whole ledger, and returns what does not hold: none = sound. '
  'Finds gaps, edits, insertions, deletions, reordering and a cut tail by the hash chain; folds '
  'the events anew and compares each balance, the wallet''s row, the open reservations and the '
  'other side of each transfer; and, of the whole ledger, who could do more than his role says. '
  'Reads only. Refused with LGARG, LGWNF.';
revoke all on function baseledger.verify from public;
grant execute on function baseledger.verify to baseledger_auditor;
--! EndIncluded functions/verify.sql
--! Included functions/_require_closed.sql
-- Refuses to run a function that moves funds in or out when others than operators may call it, or
-- when it does not run as the owner: a restore without rights opens every function to the public,
-- and a lost REVOKE must not let an agent credit itself. It looks at the rights of the function
-- and not at those of the caller: the session may be that of an application whose own function
-- calls this one as an operator. What the public may do, an agent may do as well. (current_user is
-- the owner of the security definer function that calls this.)
create or replace function baseledger._require_closed(p_function regprocedure)
returns void
language plpgsql
stable
as $$
begin
  if current_user <> 'baseledger_owner'
    or has_function_privilege('baseledger_agent', p_function, 'execute')
    or has_function_privilege('baseledger_auditor', p_function, 'execute')
    or has_function_privilege('baseledger_worker', p_function, 'execute')
  then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format('permission denied: %s is open to others than operators', p_function),
      hint = 'Its owner or its rights were changed, as by a restore without them. '
        'Run: baseledger migrate';
  end if;
end
$$;

revoke all on function baseledger._require_closed from public;
--! EndIncluded functions/_require_closed.sql
--! Included functions/credit.sql
-- Adds funds. Locks the wallet's row.
create or replace function baseledger.credit(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform baseledger._require_closed('baseledger.credit(text,bigint,text,jsonb)');
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'credit', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.credit is
  'Adds p_amount (above 0, in the wallet''s smallest step) to available. A retry with the same key '
  'gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGOVF.';
revoke all on function baseledger.credit from public;
grant execute on function baseledger.credit to baseledger_operator;
--! EndIncluded functions/credit.sql
--! Included functions/freeze_wallet.sql
-- The kill switch. Locks the wallet's row.
create or replace function baseledger.freeze_wallet(
  p_wallet_id text,
  p_reason text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform baseledger._require_closed('baseledger.freeze_wallet(text,text,text,jsonb)');
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'freeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.freeze_wallet is
  'The kill switch: from now on no new reservations, larger holds, charges, withdrawals or '
  'transfers out; settling, cancelling, crediting go on. p_reason (1 to 1000 characters) goes on record. '
  'The key is optional: each call without one is an event, the wallet just stays frozen. Refused '
  'with LGARG, LGWNF, LGIDK.';
revoke all on function baseledger.freeze_wallet from public;
grant execute on function baseledger.freeze_wallet to baseledger_operator;
--! EndIncluded functions/freeze_wallet.sql
--! Included functions/open_wallet.sql
-- Opens a wallet. A second opening finds the first and compares the terms.
create or replace function baseledger.open_wallet(
  p_wallet_id text,
  p_unit text default 'USD',
  p_scale integer default 9,
  p_overdraft_limit bigint default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_terms jsonb := jsonb_build_object(
    'unit', p_unit, 'scale', p_scale, 'overdraft_limit', p_overdraft_limit
  );
  v_event baseledger.events;
  v_difference jsonb;
begin
  perform baseledger._require_closed('baseledger.open_wallet(text,text,integer,bigint,jsonb)');
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('unit', p_unit);
  if p_scale is null or p_scale not between 0 and 18 then
    perform baseledger._raise('LGARG', baseledger._argument_detail('scale'));
  end if;
  if p_overdraft_limit < 0 then
    perform baseledger._raise('LGARG', baseledger._argument_detail('overdraft_limit'));
  end if;

  if baseledger._invalid_field(
    'open', null, null, null, null, null, coalesce(p_metadata, '{}'), null
  ) is not null then
    perform baseledger._raise('LGARG', baseledger._argument_detail('metadata'));
  end if;

  insert into baseledger.wallets (wallet_id, unit, scale, overdraft_limit, hash, last_event_at)
    values (
      p_wallet_id, p_unit, p_scale, p_overdraft_limit, decode(repeat('00', 32), 'hex'), '-infinity'
    )
    on conflict (wallet_id) do nothing;
  if found then
    return baseledger._single(p_wallet_id, baseledger._make_command(
      'open', null, p_metadata => p_metadata, p_details => v_terms
    ));
  end if;

  select * into v_event from baseledger.events e where e.wallet_id = p_wallet_id and e.seq = 1;
  v_difference := baseledger._difference(v_event.details, v_terms);
  if v_difference is not null then
    perform baseledger._raise('LGIDK', v_difference);
  end if;
  return row(
    v_event.wallet_id, v_event.seq, v_event.event, null, v_event.amount, v_event.available,
    v_event.reserved, v_event.spent, null, v_event.occurred_at, null, true, null, null
  )::baseledger.receipt;
end
$$;

comment on function baseledger.open_wallet is
  'Opens a wallet for amounts counted in the smallest step of p_unit: p_scale (0 to 18) decimal '
  'digits, so 9 for USD means nano-dollars. Settlements may take available down to '
  '-p_overdraft_limit; null = without limit, 0 = never below zero. Idempotent by id: opened again '
  'on the same terms, it returns the first receipt with replayed = true (metadata stays as it '
  'was). Refused with LGARG, and LGIDK when unit, scale or overdraft limit differ.';
revoke all on function baseledger.open_wallet from public;
grant execute on function baseledger.open_wallet to baseledger_operator;
--! EndIncluded functions/open_wallet.sql
--! Included functions/post_funds.sql
-- A batch for one wallet that may also move funds in and out. Locks the row once, writes it once.
create or replace function baseledger.post_funds(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_closed('baseledger.post_funds(text,jsonb)');
  foreach v_receipt in array baseledger._batch(
    p_wallet_id,
    baseledger._read_commands(
      p_commands,
      '{reserve,settle,cancel,extend,charge,credit,withdraw,refund}'
    )
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post_funds is
  'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (those of post, and credit, withdraw, refund) and the parameters '
  'of that function without p_; amounts are numbers or strings, ttl is seconds or an interval. '
  'Returns one row a command, in order: its receipt, or its refusal (the code in refused, the '
  'reason in detail); a refused command does not stop the others. A retry of a command with the '
  'same key gets its first receipt. Raises LGARG if p_commands is no such array, and LGWNF.';
revoke all on function baseledger.post_funds from public;
grant execute on function baseledger.post_funds to baseledger_operator;
--! EndIncluded functions/post_funds.sql
--! Included functions/refund.sql
-- Takes spending back. Locks the wallet's row.
create or replace function baseledger.refund(
  p_wallet_id text,
  p_reservation_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform baseledger._require_closed('baseledger.refund(text,text,bigint,text,jsonb)');
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'refund', p_idempotency_key, p_reservation_id, p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.refund is
  'Takes p_amount (above 0) from spent back to available, in all never more than the reservation '
  'has settled. A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, '
  'LGIDK, LGRNF, LGRFD (more than is refundable), LGOVF.';
revoke all on function baseledger.refund from public;
grant execute on function baseledger.refund to baseledger_operator;
--! EndIncluded functions/refund.sql
--! Included functions/transfer.sql
-- Moves funds between two wallets. Locks both rows, one statement each, in id order, so that
-- transfers in both directions do not deadlock.
create or replace function baseledger.transfer(
  p_from text,
  p_to text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id text;
  v_terms text[] := '{}'::text[];
  v_out baseledger.receipt;
begin
  perform baseledger._require_closed('baseledger.transfer(text,text,bigint,text,jsonb)');
  perform baseledger._require_id('from', p_from);
  perform baseledger._require_id('to', p_to);
  foreach v_id in array array[
    least(p_from collate "C", p_to collate "C"), greatest(p_from collate "C", p_to collate "C")
  ] loop
    select v_terms || array[w.unit, w.scale::text] into v_terms
      from baseledger.wallets w
      where w.wallet_id = v_id
      for no key update;
    if not found then
      perform baseledger._no_wallet(v_id);
    end if;
  end loop;
  if p_from = p_to or v_terms[1:2] <> v_terms[3:4] then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', 'to', 'reason', 'must be another wallet of the same unit and scale'
    ));
  end if;

  v_out := baseledger._single(p_from, baseledger._make_command(
    'transfer_out', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata,
    p_details => jsonb_build_object('to', p_to)
  ));
  if not v_out.replayed then
    perform baseledger._single(p_to, baseledger._make_command(
      'transfer_in', null, p_amount => p_amount, p_metadata => p_metadata,
      p_details => jsonb_build_object('from', p_from, 'from_seq', v_out.seq)
    ));
  end if;
  return v_out;
end
$$;

comment on function baseledger.transfer is
  'Moves p_amount (above 0) from the available funds of one wallet to those of another of the '
  'same unit and scale, never taking the sender below zero. Writes one event in each journal and '
  'returns the sender''s receipt; the key belongs to the sender''s wallet. A retry with the same '
  'key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ (sender frozen), LGNSF, '
  'LGOVF.';
revoke all on function baseledger.transfer from public;
grant execute on function baseledger.transfer to baseledger_operator;
--! EndIncluded functions/transfer.sql
--! Included functions/unfreeze_wallet.sql
-- Ends the kill switch. Locks the wallet's row.
create or replace function baseledger.unfreeze_wallet(
  p_wallet_id text,
  p_reason text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform baseledger._require_closed('baseledger.unfreeze_wallet(text,text,text,jsonb)');
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'unfreeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.unfreeze_wallet is
  'Ends a freeze. p_reason (1 to 1000 characters) goes on record. '
  'The key is optional: each call without one is an event, the wallet just stays open. Refused '
  'with LGARG, LGWNF, LGIDK.';
revoke all on function baseledger.unfreeze_wallet from public;
grant execute on function baseledger.unfreeze_wallet to baseledger_operator;
--! EndIncluded functions/unfreeze_wallet.sql
--! Included functions/withdraw.sql
-- Takes funds out. Locks the wallet's row.
create or replace function baseledger.withdraw(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform baseledger._require_closed('baseledger.withdraw(text,bigint,text,jsonb)');
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'withdraw', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.withdraw is
  'Takes p_amount (above 0) out of available, never below zero. A retry with the same key gets the '
  'first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ, LGNSF.';
revoke all on function baseledger.withdraw from public;
grant execute on function baseledger.withdraw to baseledger_operator;
--! EndIncluded functions/withdraw.sql
