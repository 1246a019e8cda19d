-- A narrow number for each account, as groups have one: kept effective memberships are pairs of numbers. New accounts have it from
-- here on; 0045 numbers the others beside readers, and 0046 requires it.
create sequence entra_sync.account_numbers as integer;
alter table entra_sync.accounts add column account_no integer;
alter table entra_sync.accounts alter column account_no set default nextval('entra_sync.account_numbers');
comment on column entra_sync.accounts.account_no is 'Private and narrow: a kept effective membership is two numbers, not two ids.';
