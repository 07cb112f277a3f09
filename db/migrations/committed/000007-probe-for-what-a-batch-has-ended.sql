--! Previous: sha1:2b0916e9be338d2f0e6c93666147b683f25dd28e
--! Hash: sha1:13c56da2223036fb637346cee46b5f53815b5316
--! Message: Probe for what a batch has ended

-- Before PostgreSQL 17, a statement that names a wallet and an array of reservations is planned as a
-- walk over all that the wallet has open, unless those are thought to be many. So they are, as soon
-- as there are statistics at all.
alter table baseledger.reservations alter column wallet_id set (n_distinct = 1);
