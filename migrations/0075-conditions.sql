-- The condition that a user outside the scope fails, by its number (src/rules/scope.ts).
alter table entra_sync.stage_users add column condition smallint;
comment on column entra_sync.stage_users.condition is 'Where outside is set: the number of the condition that failed.';

alter table entra_sync.outside_scope add column condition smallint;
comment on column entra_sync.outside_scope.condition is 'The number of the condition that failed, by the settings of the last committed round; null: kept by an earlier release.';
comment on table entra_sync.outside_scope is 'Users whose properties put them outside the scope, by id alone: a scope group that names them need not ask for them again.';
