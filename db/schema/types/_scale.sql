-- The scale of a wallet: decimal digits of its smallest step. A domain for the reason given in
-- _unit.sql.
create domain baseledger._scale as smallint check (value between 0 and 18);
