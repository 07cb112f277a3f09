# The server of docker-compose.yml with pgTAP and its runner, pg_prove.
FROM docker.io/library/postgres:18.4-bookworm
RUN apt-get update \
  && apt-get install --yes --no-install-recommends \
    postgresql-18-pgtap libtap-parser-sourcehandler-pgtap-perl \
  && rm -rf /var/lib/apt/lists/*
