-- Whether a text is an address that alerts can be sent to: http or https, with a host, without
-- credentials, and only of visible ASCII characters. The worker reads it as browsers do, for which
-- a backslash is a slash: none is allowed, so that both see the same host.
create or replace function baseledger._is_webhook_url(p_url text)
returns boolean
language sql
immutable
as $$
  select coalesce(
    pg_catalog.length(p_url) <= 2048
      and p_url !~ '[^!-~]'
      and pg_catalog.strpos(p_url, E'\\') = 0
      and p_url ~* '^https?://([^]:/?#@[]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?([/?#].*)?$',
    false
  )
$$;

revoke all on function baseledger._is_webhook_url from public;
