-- The pages of a groups round wait as they came, one row a slice of a member list, and not a row a member.
create table entra_sync.stage_slices (
  round_id bigint not null,
  group_object_id uuid not null,
  digest uuid not null,
  slice bigint generated always as identity,
  member_type "char" not null,
  removed boolean not null,
  members uuid[] not null,
  primary key (round_id, group_object_id, digest)
);
-- Ids do not shrink, so trying to compress them is wasted.
alter table entra_sync.stage_slices alter column members set storage external;
comment on table entra_sync.stage_slices is 'Slices of member lists as pages told them, each once however often it came. Unfolded into stage_members at the end of the walk where memberships are stored already; a first load reads them as they are.';
comment on column entra_sync.stage_slices.slice is 'Of two that name one member, the higher one has the last word (rule 4).';
comment on table entra_sync.stage_members is 'The last word of the round on each membership, of lists that were read whole and of slices that were unfolded (rules 4, 8). entra_sync.staged_members adds the slices that were not.';

create view entra_sync.staged_members as
select m.round_id, m.group_object_id, m.member_object_id, m.member_type, m.removed from entra_sync.stage_members m
union all
select x.round_id, x.group_object_id, x.member_object_id, x.member_type, x.removed
  from (select distinct on (s.round_id, s.group_object_id, u.member_object_id)
               s.round_id, s.group_object_id, u.member_object_id, s.member_type, s.removed
          from entra_sync.stage_slices s cross join lateral unnest(s.members) as u (member_object_id)
         order by s.round_id, s.group_object_id, u.member_object_id, s.slice desc) x
 where not exists (select from entra_sync.stage_members m where m.round_id = x.round_id
                    and m.group_object_id = x.group_object_id and m.member_object_id = x.member_object_id);
comment on view entra_sync.staged_members is 'What a round says of memberships, whether its slices are unfolded yet or not.';

create or replace function entra_sync.drop_stage() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if old.stream = 'users' then
    delete from entra_sync.stage_users where round_id = old.round_id;
  else
    delete from entra_sync.stage_groups where round_id = old.round_id;
    delete from entra_sync.stage_slices where round_id = old.round_id;
  end if;
  delete from entra_sync.stage_members where round_id = old.round_id;
  return null;
end $$;

-- A round of groups that was begun with a row a member cannot be gone on with by slices: what came later has the last word.
delete from entra_sync.rounds where stream = 'groups';

-- Every writing transaction locks the row of its tenant first, so the check of each account and group says nothing new.
alter table entra_sync.accounts drop constraint accounts_tenant_id_fkey;
alter table entra_sync.groups drop constraint groups_tenant_id_fkey;

create function entra_sync.drop_copy() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from entra_sync.accounts where tenant_id = old.tenant_id;
  delete from entra_sync.groups where tenant_id = old.tenant_id;
  return null;
end $$;
revoke execute on function entra_sync.drop_copy() from public;
create trigger drop_copy after delete on entra_sync.tenants for each row execute function entra_sync.drop_copy();
comment on function entra_sync.drop_copy is 'A tenant takes its accounts and groups with it.';
