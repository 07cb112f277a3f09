-- The login of the worker: it sweeps, and creates the schema for graphile-worker's tables.
\getenv password WORKER_PASSWORD
create role worker login password :'password' in role baseledger_worker;
grant create on database baseledger to worker;
