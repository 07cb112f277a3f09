// Who may use a wallet, and with which labels.
import type { Rule } from "./mutant.ts";

export const access: readonly Rule[] = [
  {
    rule: "A key decides alone, wherever one is set",
    tests: ["restricted.sql", "test/security/access.test.ts"],
    mutants: [
      {
        about: "a wrong key falls back to the grant of the session",
        of: "_find_access",
        search: "if c_secret is not null then",
        replace:
          "if c_secret is not null and exists (select from baseledger.keys k where k.wallet_id = p_wallet_id and k.secret_sha256 = sha256(convert_to(c_secret, 'UTF8'))) then",
      },
      {
        about: "an operator's key does not count",
        of: "_find_access",
        search: "if c_secret is not null then",
        replace: "if c_secret is not null and not baseledger._has_role('baseledger_operator') then",
      },
      {
        about: "an auditor's key does not count",
        of: "_find_reader",
        search: "nullif(current_setting('baseledger.key', true), '') is null and",
        replace: "",
      },
      {
        about: "a key that has expired still works",
        of: "_find_access",
        search: "and coalesce(v_key.expires_at, 'infinity') > clock_timestamp()",
        replace: "",
      },
      {
        about: "a revoked key still works",
        of: "_find_access",
        search: "and v_key.revoked_at is null",
        replace: "",
        tests: ["revoke_key.sql"],
      },
      {
        about: "a key opens every wallet",
        of: "_find_access",
        search: "k.wallet_id = p_wallet_id and",
        replace: "",
      },
      {
        about: "the stored hash of a key is one",
        of: "_find_access",
        search: "sha256(convert_to(c_secret, 'UTF8'))",
        replace:
          "decode(case when c_secret ~ '^[0-9a-f]{64}$' then c_secret else encode(sha256(convert_to(c_secret, 'UTF8')), 'hex') end, 'hex')",
      },
      {
        about: "an empty key is a wrong one",
        of: "_find_access",
        search: "nullif(current_setting('baseledger.key', true), '')",
        replace: "current_setting('baseledger.key', true)",
      },
      {
        about: "events do not name the key",
        of: "_find_access",
        search: "baseledger._describe_actor(v_key.key_id)",
        replace: "baseledger._describe_actor(null)",
      },
    ],
  },
  {
    rule: "Without a key it is the session's role, or else the role in effect, by exact name",
    tests: ["restricted.sql", "test/security/access.test.ts"],
    mutants: [
      {
        about: "a member of a role has what the role has",
        of: "_find_access",
        search: "g.role_name in (session_user, current_setting('role'))",
        replace:
          "exists (select from pg_roles r where r.rolname = g.role_name and pg_has_role(case current_setting('role') when 'none' then session_user::text else current_setting('role') end, r.oid, 'member'))",
      },
      {
        about: "the role in effect has no grant",
        of: "_find_access",
        search: "g.role_name in (session_user, current_setting('role'))",
        replace: "g.role_name = session_user",
      },
      {
        about: "the session's role has no grant",
        of: "_find_access",
        search: "g.role_name in (session_user, current_setting('role'))",
        replace:
          "g.role_name = case current_setting('role') when 'none' then session_user::text else current_setting('role') end",
      },
      {
        about: "the role in effect comes first",
        of: "_find_access",
        search: "order by g.role_name = session_user desc",
        replace: "order by g.role_name = session_user",
      },
      {
        about: "a grant opens every wallet",
        of: "_find_access",
        search: "g.wallet_id = p_wallet_id and",
        replace: "",
      },
      {
        about: "operators need a grant",
        of: "_find_access",
        search: "if baseledger._has_role('baseledger_operator') then",
        replace: "if false then",
      },
      {
        about: "who has been an operator stays one",
        of: "_has_role",
        search:
          "case pg_catalog.current_setting('role') when 'none' then session_user::text else pg_catalog.current_setting('role') end",
        replace: "session_user",
      },
      {
        about: "auditors need a grant",
        of: "_find_reader",
        search: "and baseledger._has_role('baseledger_auditor')",
        replace: "and false",
      },
      {
        about: "auditors may spend",
        of: "_find_access",
        search: "if baseledger._has_role('baseledger_operator') then",
        replace:
          "if baseledger._has_role('baseledger_operator') or baseledger._has_role('baseledger_auditor') then",
      },
      {
        about: "events do not name the role in effect",
        of: "_describe_actor",
        search: "|| coalesce(' as ' || quote_ident(c_role), '')",
        replace: "",
      },
      {
        about: "names of roles are not quoted",
        of: "_describe_actor",
        search: "return quote_ident(session_user)",
        replace: "return session_user",
      },
    ],
  },
  {
    rule: "Access is looked at before the lock and again under it",
    tests: ["test/security/access.test.ts"],
    mutants: [
      {
        about: "access is looked at only under the lock",
        of: "_lock_guarded",
        search: "perform baseledger._admit(p_wallet_id, p_commands);",
        replace: "null;",
      },
      {
        about: "access is looked at only before the lock",
        of: "_lock_guarded",
        search: "commands := baseledger._admit(p_wallet_id, p_commands);",
        replace:
          "commands := baseledger._apply_access(p_wallet_id, (select row(true, coalesce(a.labels, '{}'), coalesce(a.free_labels, '{}'), a.actor)::baseledger._access from baseledger._find_access(p_wallet_id) as a), p_commands);",
      },
      {
        about: "a batch over several wallets locks those of others",
        of: "_lock_several",
        search: "or (baseledger._find_access(w.wallet_id)).allowed",
        replace: "or true",
      },
      {
        about: "a batch over several wallets gives no labels",
        of: "_execute",
        search: "if v_wallet.restricted and v_asked > 0 then",
        replace: "if false then",
        tests: ["limit_windows.sql"],
      },
      {
        about: "an unknown wallet is told from one that is not open",
        of: "_lock_guarded",
        search: "if v_asks and v_restricted is distinct from false then",
        replace: "if v_asks and v_restricted then",
      },
      {
        about: "a restricted wallet is used like an open one",
        of: "_execute",
        search: "w.restricted or w.closed or p_priced",
        replace: "w.closed or p_priced",
        tests: ["restricted.sql"],
      },
    ],
  },
  {
    rule: "Who has no access gets what an unknown wallet gets",
    tests: ["restricted.sql", "test/security/access.test.ts"],
    mutants: [
      {
        about: "a batch of a stranger is refused command by command",
        of: "_admit",
        search: "if not v_access.allowed and not exists (",
        replace: "if false and not exists (",
      },
      {
        about: "an empty batch tells that there is a wallet",
        of: "_execute_batch",
        search: "and (not w.restricted or (baseledger._find_access(p_wallet_id)).allowed)",
        replace: "",
      },
      {
        about: "a wallet that is not open is busy",
        of: "_refuse_unlocked",
        search: "not w.restricted or baseledger._may_send(",
        replace: "true or baseledger._may_send(",
      },
      {
        about: "a batch over several wallets refuses what one has opened for good",
        of: "_may_send",
        search: "or coalesce(baseledger._is_own(p_wallet_id, v_access, p_reservation_id), false)",
        replace: "",
      },
      {
        about: "a batch over several wallets refuses to repeat",
        of: "_may_send",
        search:
          "or coalesce(baseledger._owns_key(p_wallet_id, v_access, p_idempotency_key), false)",
        replace: "",
      },
      {
        about: "balances are shown to all",
        of: "balance",
        search: "and (not w.restricted or baseledger._may_read(p_wallet_id))",
        replace: "",
      },
      {
        about: "reservations are shown to all",
        of: "reservation",
        search: "and (not w.restricted or baseledger._may_read(p_wallet_id))",
        replace: "",
      },
      {
        about: "limits are shown to all",
        of: "limits",
        search: "and (not w.restricted or baseledger._may_read(p_wallet_id))",
        replace: "",
      },
      {
        about: "the detail of a refusal is another",
        of: "_apply_access",
        search: "v_command.detail := jsonb_build_object('wallet_id', p_wallet_id);",
        replace: "v_command.detail := '{}';",
      },
    ],
  },
  {
    rule: "Who has opened a reservation may end and repeat it",
    tests: ["restricted.sql", "test/security/access.test.ts"],
    mutants: [
      {
        about: "an opener loses his reservation with his grant",
        of: "_is_own",
        search: "o.actor = p_access.actor or",
        replace: "",
      },
      {
        about: "who has lost his access opens another one",
        of: "_apply_access",
        search: "or v_command.op in ('reserve', 'charge') or baseledger._is_own",
        replace: "or baseledger._is_own",
      },
      {
        about: "who has lost his access learns which reservations there are not",
        of: "_apply_access",
        search: "or baseledger._is_own(p_wallet_id, p_access, v_command.reservation_id) is null",
        replace: "",
      },
      {
        about: "a revoked key acts on all that has its labels",
        of: "_is_own",
        search: "or p_access.allowed and o.labels",
        replace: "or o.labels",
      },
      {
        about: "a revoked key without labels sees all",
        of: "_apply_access",
        search: "p_access.allowed and p_access.labels = '{}';",
        replace: "p_access.labels = '{}';",
      },
      {
        about: "a revoked key repeats the commands of operators",
        of: "_owns_key",
        search: "p_access.allowed and p_access.labels = '{}'",
        replace: "p_access.labels = '{}'",
        tests: ["revoke_key.sql"],
      },
    ],
  },
  {
    rule: "Fixed labels show only what has them",
    tests: ["restricted.sql", "test/security/access.test.ts"],
    mutants: [
      {
        about: "labels are contained the wrong way round",
        of: "_is_own",
        search: "o.labels @> p_access.labels",
        replace: "p_access.labels @> o.labels",
      },
      {
        about: "any label in common is enough",
        of: "_is_own",
        search: "o.labels @> p_access.labels",
        replace:
          "exists (select from jsonb_each(p_access.labels) as l where o.labels @> jsonb_build_object(l.key, l.value))",
      },
      {
        about: "what a reservation says of itself decides",
        of: "_find_opening",
        search: "baseledger._labels(e.details, e.metadata)",
        replace: "e.metadata",
      },
      {
        about: "fixed labels show everything",
        of: "_apply_access",
        search: "p_access.allowed and p_access.labels = '{}';",
        replace: "p_access.allowed;",
      },
      {
        about: "another's reservation is settled",
        of: "_apply_access",
        search: "and not baseledger._is_own(p_wallet_id, p_access, v_command.reservation_id)",
        replace: "and false",
      },
      {
        about: "another's reservation is shown",
        of: "reservation",
        search: "or v_restricted and not baseledger._is_own(",
        replace: "or false and not baseledger._is_own(",
      },
      {
        about: "another's receipt is shown",
        of: "receipt",
        search: "not v_restricted or baseledger._owns_key(",
        replace: "true or baseledger._owns_key(",
      },
      {
        about: "a used key tells what was asked for",
        of: "_apply_access",
        search: "when true then continue;",
        replace: "when true, false then continue;",
      },
      {
        about: "the key of a credit tells what was asked for",
        of: "_owns_key",
        search: "p_access.allowed and p_access.labels = '{}'",
        replace: "p_access.allowed",
      },
      {
        about: "who has fixed labels does not see what he could choose",
        of: "_known_values",
        search: "when not p_access.free_labels && array['*', b.name] then ''",
        replace: "else ''",
        tests: ["limits.sql"],
      },
      {
        about: "who has fixed labels sees what he cannot choose",
        of: "_known_values",
        search: "when not p_access.free_labels && array['*', b.name] then ''",
        replace: "",
        tests: ["limits.sql"],
      },
      {
        about: "limits show the counters of others",
        of: "_known_values",
        search: "when p_access.labels -> b.name is not null then p_access.labels ->> b.name",
        replace: "",
        tests: ["limits.sql"],
      },
    ],
  },
  {
    rule: "Labels are the metadata that one may choose, and the fixed ones over it",
    tests: ["restricted.sql", "test/security/access.test.ts"],
    mutants: [
      {
        about: "a free label overrides a fixed one",
        of: "_apply_access",
        search: "end || p_access.labels;",
        replace: "end; v_labels := p_access.labels || v_labels;",
        tests: ["limit_windows.sql"],
      },
      {
        about: "a label that is not free counts",
        of: "_apply_access",
        search: "where m.key = any (p_access.free_labels)",
        replace: "",
      },
      {
        about: "a star is a label's name",
        of: "_apply_access",
        search: "when p_access.free_labels = '{*}' then v_command.metadata",
        replace: "when false then v_command.metadata",
      },
      {
        about: "labels are repeated that are the metadata",
        of: "_apply_access",
        search: "if v_labels <> v_command.metadata then",
        replace: "if true then",
      },
      {
        about: "charges have no labels",
        of: "_apply_access",
        search: "if v_command.refused is null and v_command.op in ('reserve', 'charge') then",
        replace: "if v_command.refused is null and v_command.op = 'reserve' then",
      },
      {
        about: "labels replace what else the event says",
        of: "_apply_access",
        search: "v_command.details := coalesce(v_command.details, '{}') ||",
        replace: "v_command.details :=",
      },
    ],
  },
  {
    rule: "Grants and keys are given and taken back by events",
    tests: ["allow.sql", "disallow.sql", "create_key.sql", "revoke_key.sql"],
    mutants: [
      {
        about: "a grant leaves the wallet open",
        of: "allow",
        search: "perform baseledger._restrict(p_wallet_id);",
        replace: "",
      },
      {
        about: "a key leaves the wallet open",
        of: "create_key",
        search: "perform baseledger._restrict(p_wallet_id);",
        replace: "",
      },
      {
        about: "a closed wallet gets grants",
        of: "_restrict",
        search: "if v_wallet.closed then",
        replace: "if false then",
      },
      {
        about: "a grant that is given again keeps its labels",
        of: "allow",
        search: "set labels = excluded.labels,",
        replace: "set",
      },
      {
        about: "a grant that is given again keeps its free labels",
        of: "allow",
        search: "free_labels = excluded.free_labels,",
        replace: "",
      },
      {
        about: "a role that there is not gets a grant",
        of: "allow",
        search: "if not exists (select from pg_roles r where r.rolname = p_role) then",
        replace: "if false then",
      },
      {
        about: "a retry grants again what was taken back",
        of: "allow",
        search: "if v_receipt.replayed then",
        replace: "if false then",
      },
      {
        about: "one grant takes all others with it",
        of: "disallow",
        search: "and g.role_name = p_role",
        replace: "",
      },
      {
        about: "a grant that there is not is taken back",
        of: "disallow",
        search: "if not found then",
        replace: "if false then",
      },
      {
        about: "a retry takes back a later grant",
        of: "disallow",
        search: "if not v_receipt.replayed then",
        replace: "if true then",
      },
      {
        about: "a key is revoked twice",
        of: "revoke_key",
        search: "and k.revoked_at is null",
        replace: "",
      },
      {
        about: "a key is revoked in all wallets",
        of: "revoke_key",
        search: "k.wallet_id = p_wallet_id and k.key_id = p_key_id and",
        replace: "",
      },
      {
        about: "a key is made that has expired",
        of: "create_key",
        search: "if v_expires_at <= clock_timestamp() then",
        replace: "if false then",
      },
      {
        about: "a retry tells another secret",
        of: "create_key",
        search: "return row(v_key_id, null, v_expires_at, true)::baseledger.created_key;",
        replace: "return row(v_key_id, v_secret, v_expires_at, true)::baseledger.created_key;",
      },
      {
        about: "the event has the secret",
        of: "create_key",
        search: "'secret_sha256', encode(sha256(convert_to(v_secret, 'UTF8')), 'hex')",
        replace: "'secret_sha256', v_secret",
      },
      {
        about: "labels may be anything",
        of: "_require_labels",
        search: "jsonb_typeof(l.value) <> 'string' or",
        replace: "",
      },
      {
        about: "names of labels may be empty",
        of: "_require_labels",
        search: "or octet_length(l.key) not between 1 and 255",
        replace: "",
      },
      {
        about: "values of labels may be empty",
        of: "_require_labels",
        search: "or octet_length(l.value #>> '{}') not between 1 and 255",
        replace: "",
      },
      {
        about: "there may be any number of labels",
        of: "_require_labels",
        search: "select count(*) > 16 or bool_or(",
        replace: "select bool_or(",
      },
      {
        about: "free labels may be null",
        of: "_require_labels",
        search: "where f.name is null or octet_length",
        replace: "where octet_length",
      },
      {
        about: "there may be any number of free labels",
        of: "_require_labels",
        search: "or cardinality(p_free_labels) > 16",
        replace: "",
      },
    ],
  },
];
