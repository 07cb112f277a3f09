/**
 * The address that stands for libpq's variables, when they name a server or a database: both
 * drivers read what an address leaves out from PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, so
 * no character of a password can break it. They do not agree on PGSSLMODE, so that is in it.
 */
export function addressOfEnvironment(env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (!env.PGHOST && !env.PGDATABASE) return undefined;
  const mode = env.PGSSLMODE ? `?${new URLSearchParams({ sslmode: env.PGSSLMODE })}` : "";
  return `postgres:///${mode}`;
}
