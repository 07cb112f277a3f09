-- How far settlements may take available below zero. A domain for the reason given in _unit.sql.
create domain baseledger._overdraft_limit as bigint check (value >= 0);
