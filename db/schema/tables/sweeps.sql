-- When sweeps looked at the clock: see _clock_jumped.
create table baseledger.sweeps (
  looked_at timestamptz not null,
  constraint sweeps_pkey primary key (looked_at)
);

comment on table baseledger.sweeps is
  'When a sweep of any worker has looked at the clock: the last few times, at least 5 seconds '
  'apart.';
