-- The unit of a wallet. It never changes, so its check is a domain's: PostgreSQL evaluates the
-- checks of a table again with every change of a balance.
create domain baseledger._unit as text check (btrim(value) <> '' and length(value) <= 255);
