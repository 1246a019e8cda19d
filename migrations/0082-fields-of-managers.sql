-- A field may come from the document of the user's manager. Its value stands in mapped like every other one, and is set by the transaction
-- that changes the link or the manager. Whose value it is is noted, so that a purge of the manager finds what it has to blank.
alter table entra_sync.field_rules add column manager_path text[];
comment on column entra_sync.field_rules.manager_path is 'Where the value is in the document of the user''s manager; null: the field does not come from the manager.';
alter table entra_sync.accounts add column told_manager uuid;
comment on column entra_sync.accounts.told_manager is 'The account whose values stand in the fields that come from the manager; null: none of them has a value.';
create index accounts_by_told_manager on entra_sync.accounts (tenant_id, told_manager) where told_manager is not null;

alter table entra_sync.changes add column before_manager uuid, add column after_manager uuid, add column manager_fields text[];
comment on column entra_sync.changes.manager_fields is 'The fields in which before holds values of the account before_manager, and after those of after_manager.';
create index changes_by_before_manager on entra_sync.changes (before_manager) where before_manager is not null;
create index changes_by_after_manager on entra_sync.changes (after_manager) where after_manager is not null;

create function entra_sync.manager_fields(tenant uuid) returns text[]
language sql stable as $$
  select array(select r.field from entra_sync.field_rules r where r.tenant_id = tenant and r.manager_path is not null order by r.field)
$$;
comment on function entra_sync.manager_fields is 'The fields of the tenant that come from the manager.';

create function entra_sync.has_managers_values(tenant uuid) returns boolean
language sql stable as $$
  select exists (select from entra_sync.field_rules r where r.tenant_id = tenant and r.manager_path is not null)
      or exists (select from entra_sync.accounts a where a.tenant_id = tenant and a.told_manager is not null)
$$;

create function entra_sync.joined_facts(facts jsonb, more jsonb) returns jsonb
language sql immutable as $$
  select facts || more || coalesce((
    select jsonb_object_agg(part, (facts -> part) || (more -> part)) from unnest(array['profile', 'directory']) as part
     where jsonb_exists(facts, part) and jsonb_exists(more, part)), '{}')
$$;
comment on function entra_sync.joined_facts is 'The facts of two change rows of one account as one: of a field in both, `more` counts.';

create function entra_sync.blank_facts(facts jsonb, fields text[], is_whole boolean) returns jsonb
language sql immutable as $$
  select facts || coalesce((
    select jsonb_object_agg(part, case when is_whole then (facts -> part) - fields
             else (facts -> part) || coalesce((select jsonb_object_agg(f, null) from unnest(fields) as f where jsonb_exists(facts -> part, f)), '{}') end)
      from unnest(array['profile', 'directory']) as part where jsonb_exists(facts, part)), '{}')
$$;
comment on function entra_sync.blank_facts is 'The facts of a change row without the values of these fields. A row that tells everything leaves them out.';

create function entra_sync.note_managers_values(tenant uuid, batch bigint, account uuid) returns void
language plpgsql as $$
declare
  fields constant text[] := entra_sync.manager_fields(tenant);
begin
  if fields = '{}' then
    return;
  end if;
  update entra_sync.changes c
     set before_manager = case when x.is_before then a.told_manager else c.before_manager end,
         after_manager = case when x.is_after then a.told_manager else c.after_manager end,
         manager_fields = fields
    from entra_sync.accounts a
   cross join lateral (
     select bool_or(c2.before -> p.part -> f = a.mapped -> f) as is_before, bool_or(c2.after -> p.part -> f = a.mapped -> f) as is_after,
            c2.change_id
       from entra_sync.changes c2
      cross join unnest(fields) as f
      cross join (values ('profile'), ('directory')) as p (part)
      where c2.batch_id = batch and c2.account_id = a.account_id and c2.kind like 'account.%' and c2.after_manager is null
      group by c2.change_id) x
   where a.tenant_id = tenant and a.told_manager is not null and c.change_id = x.change_id and (x.is_before or x.is_after)
     and a.account_id = any(case when account is not null then array[account]
           else array(select distinct t.account_id from entra_sync.changes t where t.batch_id = batch and t.account_id is not null) end);
end $$;
comment on function entra_sync.note_managers_values is 'Notes in the change rows of the batch whose values they hold where the fields come from the manager. account: only the rows of this one.';

create function entra_sync.reports_touched(tenant uuid, batch bigint, round bigint, everyone boolean) returns setof uuid
language sql stable as $$
  select a.account_id from entra_sync.accounts a where everyone and a.tenant_id = tenant and a.state = 'managed' and a.removed_at is null
  union
  select a.account_id
    from (select s.entra_object_id as id from entra_sync.stage_users s where not everyone and s.round_id = round
          union
          select x.entra_object_id from entra_sync.changes c
           cross join lateral (select x.entra_object_id from entra_sync.accounts x where x.account_id = c.account_id offset 0) x
           where not everyone and c.batch_id = batch
             and c.kind in ('account.created', 'account.adopted', 'account.removed', 'account.restored')) o
   cross join lateral (
     select a.account_id from entra_sync.accounts a
      where a.tenant_id = tenant and a.entra_object_id = o.id and a.state = 'managed' and a.removed_at is null
     union all
     select a.account_id from entra_sync.accounts a
      where a.tenant_id = tenant and a.manager_object_id = o.id and a.state = 'managed' and a.removed_at is null) a
$$;
comment on function entra_sync.reports_touched is 'The accounts whose fields of the manager this transaction may change: those of the round, those that came or went, and their reports. Manual accounts keep what they show.';

create function entra_sync.follow_managers(tenant uuid, batch bigint, round bigint, everyone boolean, cycle bigint, actor text) returns integer
language plpgsql as $$
declare
  fields constant text[] := entra_sync.manager_fields(tenant);
  touched uuid[];
  told integer;
begin
  if not entra_sync.has_managers_values(tenant) then
    return 0;
  end if;
  touched := array(select t from entra_sync.reports_touched(tenant, batch, round, everyone) as t order by t);
  -- In id order; a commit has locked them already, with the accounts of its round.
  perform from entra_sync.accounts a where not everyone and a.account_id = any(touched) order by a.account_id for update;
  with pair as materialized (
    select a.account_id, a.told_manager as old_told, case when w.want <> '{}' then m.account_id end as new_told, a.mapped as old_mapped,
           (a.mapped - fields) || w.want as new_mapped, a.overrides, entra_sync.account_facts(a) as old_facts
      from unnest(touched) as t (id)
     cross join lateral (select a.* from entra_sync.accounts a where a.account_id = t.id offset 0) a
      left join lateral (
        select m.account_id, m.source from entra_sync.accounts m
         where m.tenant_id = tenant and m.entra_object_id = a.manager_object_id and m.removed_at is null
           and m.account_id <> a.account_id offset 0) m on true
     cross join lateral (
       select coalesce(jsonb_object_agg(r.field, m.source #> r.manager_path)
                filter (where nullif(m.source #> r.manager_path, 'null') is not null), '{}') as want
         from entra_sync.field_rules r where r.tenant_id = tenant and r.manager_path is not null) w
     where (a.mapped - fields) || w.want <> a.mapped
        or a.told_manager is distinct from case when w.want <> '{}' then m.account_id end
  ), written as (
    update entra_sync.accounts a
       set mapped = p.new_mapped, told_manager = p.new_told,
           updated_at = case when p.new_mapped = p.old_mapped then a.updated_at else now() end
      from pair p where a.account_id = p.account_id
    returning p.*, entra_sync.account_facts(a) as new_facts
  ), fact as materialized (
    select w.account_id, w.old_told, w.new_told, w.new_facts,
           entra_sync.differing_facts(w.old_facts, w.new_facts) || entra_sync.under_overrides(w.old_mapped, w.new_mapped, w.overrides) as before,
           entra_sync.differing_facts(w.new_facts, w.old_facts) || entra_sync.under_overrides(w.new_mapped, w.old_mapped, w.overrides) as after
      from written w where w.new_mapped <> w.old_mapped
  ), row_of as materialized (
    -- The commit's own row of the account tells it too.
    select c.account_id, max(c.change_id) as change_id
      from entra_sync.changes c
     where c.batch_id = batch and c.kind in ('account.created', 'account.adopted', 'account.restored', 'account.updated')
     group by c.account_id
  ), joined as (
    update entra_sync.changes c
       set before = case when c.kind = 'account.created' then c.before else entra_sync.joined_facts(f.before, c.before) end,
           after = case when c.kind in ('account.created', 'account.restored') then f.new_facts
                        else entra_sync.joined_facts(c.after, f.after) end,
           before_manager = case when c.kind <> 'account.created' then f.old_told end, after_manager = f.new_told, manager_fields = fields
      from fact f join row_of o on o.account_id = f.account_id
     where c.change_id = o.change_id
  ), come as (
    insert into entra_sync.changes
           (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after, before_manager, after_manager, manager_fields)
    select batch, tenant, cycle, follow_managers.actor, 'account.updated', f.account_id, f.before, f.after, f.old_told, f.new_told, fields
      from fact f where not exists (select from row_of o where o.account_id = f.account_id)
    returning 1
  )
  select count(*)::integer into told from come;
  perform entra_sync.note_managers_values(tenant, batch, null);
  return told;
end $$;
comment on function entra_sync.follow_managers is 'Gives the accounts that this batch touched, and the reports of the managers among them, the values of their managers, with change rows (rule 41). Returns how many rows it wrote beside those of the batch. The tenant''s row is locked.';

create function entra_sync.forget_managers(tenant uuid, managers uuid[], batch bigint, cycle bigint, actor text) returns void
language plpgsql as $$
declare
  fields constant text[] := entra_sync.manager_fields(tenant);
begin
  update entra_sync.changes c
     set before = case when c.before_manager = any(managers) then entra_sync.blank_facts(c.before, c.manager_fields, false) else c.before end,
         after = case when c.after_manager = any(managers)
                      then entra_sync.blank_facts(c.after, c.manager_fields, c.kind in ('account.created', 'account.restored')) else c.after end,
         before_manager = case when c.before_manager <> all(managers) then c.before_manager end,
         after_manager = case when c.after_manager <> all(managers) then c.after_manager end
   where c.change_id = any(array(
     select b.change_id from entra_sync.changes b where b.before_manager = any(managers) and b.tenant_id = tenant
     union select b.change_id from entra_sync.changes b where b.after_manager = any(managers) and b.tenant_id = tenant));
  -- Manual accounts and removed ones kept the values that stood there when the manager went.
  with gone as (
    update entra_sync.accounts a set mapped = a.mapped - fields, told_manager = null, updated_at = now()
     where a.tenant_id = tenant and a.told_manager = any(managers)
    returning a.account_id, a.removed_at,
      (select jsonb_object_agg(f, null) from unnest(fields) as f where not jsonb_exists(a.overrides, f)) as blank
  )
  insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after)
  select batch, tenant, cycle, forget_managers.actor, 'account.updated', g.account_id,
         jsonb_build_object('profile', g.blank), jsonb_build_object('profile', g.blank)
    from gone g where g.removed_at is null and g.blank is not null;
end $$;
comment on function entra_sync.forget_managers is 'Blanks the values of purged accounts where other accounts show or showed them as their manager''s.';

create function entra_sync.follow_by_hand(account entra_sync.accounts, actor text) returns void
language plpgsql as $$
declare
  batch constant bigint := entra_sync.own_batch(account.tenant_id);
begin
  -- The batch of a person's edits has its row before its changes, so the items of the reports follow here.
  if entra_sync.follow_managers(account.tenant_id, batch, null, false, null, actor) > 0 and exists (
      select from entra_sync.tenants t where t.tenant_id = account.tenant_id and t.assigned_at is not null) then
    perform entra_sync.follow_assignments(account.tenant_id, array(
      select distinct a.account_no from entra_sync.changes c join entra_sync.accounts a on a.account_id = c.account_id
       where c.batch_id = batch and c.kind = 'account.updated' order by 1), false, batch, null, actor);
  end if;
end $$;
comment on function entra_sync.follow_by_hand is 'follow_managers, once a person has removed or restored an account.';

create or replace function entra_sync.write_account_change(account entra_sync.accounts, actor text, kind text, before jsonb, after jsonb) returns void
language plpgsql as $$
declare
  batch constant bigint := entra_sync.own_batch(account.tenant_id);
begin
  if kind = 'account.removed' then
    insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id, account_id)
    select batch, account.tenant_id, actor, 'membership.removed', g.group_id, account.account_id
      from entra_sync.memberships m
      join entra_sync.groups g on g.group_no = m.group_no and g.removed_at is null
     where m.tenant_id = account.tenant_id and m.member_object_id = account.entra_object_id;
  end if;
  insert into entra_sync.changes (batch_id, tenant_id, at, actor, kind, account_id, before, after)
  values (batch, account.tenant_id, case kind when 'account.edited' then account.updated_at else now() end,
          actor, kind, account.account_id, before, after);
  perform entra_sync.note_managers_values(account.tenant_id, batch, account.account_id);
  if exists (select from entra_sync.tenants t where t.tenant_id = account.tenant_id and t.assigned_at is not null) then
    if kind = 'account.removed' then
      perform entra_sync.keep_assigned(account.tenant_id, array[account.account_no], true, batch, null, actor);
    -- An edit of other fields holds no lock of the tenant that would let it follow.
    elsif kind <> 'account.edited' or entra_sync.rules_name(account.tenant_id, array(select jsonb_object_keys(after -> 'profile')))
    then
      perform entra_sync.follow_assignments(account.tenant_id, array[account.account_no], false, batch, null, actor);
    end if;
  end if;
end $$;

create or replace function directory.remove_account(account_id uuid, actor text, actor_role text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  roles text[];
  kept_for interval;
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_latest_snapshot();
  account := entra_sync.lock_account(remove_account.account_id, true);
  select t.manual_roles, t.retention into roles, kept_for from entra_sync.tenants t where t.tenant_id = account.tenant_id;
  if account.state = 'managed' then
    raise exception using errcode = 'ES007', message = format('account %s is managed by the directory: it is not removed by hand', account.account_id),
      hint = 'Delete the user in Entra ID, or take it out of the scope of the settings.';
  end if;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003', message = format('the role %s may not remove accounts', entra_sync.quoted(actor_role)),
      hint = 'manual.editableBy in the settings says who may'
        || case when roles = '{}' then ': no role.' else ': ' || array_to_string(roles, ', ') || '.' end,
      detail = entra_sync.error_detail('ES003', null, jsonb_build_object('roles', roles));
  end if;
  -- Before the account goes: its memberships are those that show now.
  perform entra_sync.write_account_change(account, actor, 'account.removed', null, jsonb_build_object('removed', 'by_hand'));
  update entra_sync.accounts a
     set removed_at = now(), removed_reason = 'by_hand', purge_at = now() + kept_for, updated_at = now()
   where a.account_id = account.account_id;
  -- The batch of a person's edits has its row before its changes.
  perform entra_sync.keep_effective(account.tenant_id, array[account.account_no]);
  perform entra_sync.follow_by_hand(account, remove_account.actor);
end $$;

create or replace function entra_sync.restore_locked(account entra_sync.accounts, actor text) returns jsonb
language plpgsql as $$
declare
  shown entra_sync.accounts;
  batch bigint;
  removed_in bigint;
begin
  if account.removed_at is null then
    raise exception using errcode = '55000', message = format('account %s is live: there is nothing to restore', account.account_id),
      hint = 'directory.removed_accounts shows the accounts that can be restored.';
  end if;
  if account.removed_reason <> 'by_hand' and not account.removal_approved then
    select c.cycle_id into removed_in from entra_sync.changes c
     where c.account_id = account.account_id and c.kind = 'account.removed' order by c.change_id desc limit 1;
    raise exception using errcode = 'ES007',
      message = format('account %s was removed by a cycle: it is not restored by hand', account.account_id),
      hint = 'Restore the user in Entra ID, or take it into the scope of the settings.'
        || coalesce(format(' entra-sync removals undo TENANT --cycle %s shows again what that cycle removed.', removed_in), '');
  end if;
  perform entra_sync.require_free_keys(account);
  batch := entra_sync.own_batch(account.tenant_id);
  shown := entra_sync.show_again(account, batch, restore_locked.actor);
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id, account_id)
  select batch, shown.tenant_id, restore_locked.actor, 'membership.added', g.group_id, shown.account_id
    from entra_sync.memberships m
    join entra_sync.groups g on g.group_no = m.group_no and g.removed_at is null
   where m.tenant_id = shown.tenant_id and m.member_object_id = shown.entra_object_id;
  -- The batch of a person's edits has its row before its changes.
  perform entra_sync.keep_effective(shown.tenant_id, array[shown.account_no]);
  if exists (select from entra_sync.tenants t where t.tenant_id = shown.tenant_id and t.assigned_at is not null) then
    perform entra_sync.follow_assignments(shown.tenant_id, array[shown.account_no], false, batch, null, restore_locked.actor);
  end if;
  perform entra_sync.follow_by_hand(shown, restore_locked.actor);
  return shown.profile - shown.cleared;
end $$;
revoke execute on all functions in schema entra_sync from public;
