-- A row of doctor.
create type baseledger.diagnosis as (
  "check" text,
  status text,
  found text,
  expected text,
  advice text
);
comment on type baseledger.diagnosis is 'What the doctor says of one thing.';
comment on column baseledger.diagnosis."check" is 'What was looked at. @notNull';
comment on column baseledger.diagnosis.status is 'fine, warning or wrong. @notNull';
comment on column baseledger.diagnosis.found is 'How it is. @notNull';
comment on column baseledger.diagnosis.expected is 'How it should be; null if that is not known.';
comment on column baseledger.diagnosis.advice is 'What to do; null if it is fine.';
