# Runs the files of test/pgtap, mounted at /pgtap or in the given folder, with pg_prove. Each of
# them rolls back its changes.
set -eu
cd "${1:-/pgtap}"
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 <<'SQL'
drop schema if exists tap cascade;
create schema tap;
grant usage on schema tap to public;
create extension pgtap schema tap;
SQL
export PGOPTIONS='-c search_path=public,tap'
for file in _*.sql; do
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --file "$file"
done
exec pg_prove */*.sql
