-- Slots, items and assignments as applications write them. Each function is one step of the caller's transaction: it locks the tenant,
-- writes, lets `assigned` follow and tells the feed, or changes nothing.
create function entra_sync.refuse_argument(argument text, problem text, cure text, facts jsonb default '{}')
  returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES005', message = problem, hint = cure, column = argument,
    detail = entra_sync.error_detail('ES005', argument, facts);
end $$;

create function entra_sync.refuse_unknown(what text, wanted uuid) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES004', message = format('there is no %s %s', what, coalesce(wanted::text, 'null')),
    hint = format('Take %s_id from directory.%ss. Where directory.tenant is set, or required of the role, it must name its tenant.', what, what);
end $$;

create function entra_sync.refuse_item(what text, wanted text, problem text, cure text) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES010', message = format(problem, entra_sync.quoted(wanted)), hint = cure,
    column = what,
    detail = entra_sync.error_detail('ES010', what);
end $$;

create function entra_sync.require_name(argument text, value text) returns void
language plpgsql as $$
begin
  if coalesce(value, '') !~ '\S' or length(value) > 200 then
    perform entra_sync.refuse_argument(argument, format('the %s has no name', argument),
      'It takes a text of at most 200 characters.',
      '{"type": "text", "max_length": 200}');
  end if;
end $$;

create function entra_sync.require_length(argument text, value text, most integer) returns void
language plpgsql as $$
begin
  if length(value) > most then
    perform entra_sync.refuse_argument(argument, format('the %s is too long', argument),
      format('It takes at most %s characters.', to_char(most, 'FM999,999')), jsonb_build_object('type', 'text',
        'max_length', most));
  end if;
end $$;

create function entra_sync.html_problem(html text) returns text
language plpgsql immutable as $$
declare
  tag constant text := '<[a-z][^\s/>]*(?:[\s/]+|[^\s/>][^\s/>=]*(?:\s*=\s*(?:"[^"]*"|''[^'']*''|[^\s>"''][^\s>]*))?)*>';
  attribute constant text := '([^\s/>][^\s/>=]*)(?:\s*=\s*("[^"]*"|''[^'']*''|[^\s>"''][^\s>]*))?';
  one text;
  pair text[];
begin
  if strpos(html, '{{') = 0 then
    return null;
  elsif html ~ '</?\s*\{\{' then
    return 'in the name of a tag';
  end if;
  -- Up to their end these hold code, not text.
  for one in select p from regexp_split_to_table(html, '<(?=(?:style|script)[\s/>])', 'i') with ordinality s (p, n)
    where n > 1 loop
    if strpos(regexp_replace(one, '</(style|script).*$', '', 'i'), '{{') > 0 then
      return 'in style or script';
    end if;
  end loop;
  for one in select m[1] from regexp_matches(html, '(' || tag || ')', 'gi') m where strpos(m[1], '{{') > 0 loop
    if one ~* '^<[^\s/>]*\{\{' then
      return 'in the name of a tag';
    end if;
    for pair in select m from regexp_matches(regexp_replace(one, '^<[a-z][^\s/>]*', '', 'i'), attribute, 'g') m loop
      if strpos(pair[1], '{{') > 0 then
        return 'in the name of an attribute';
      elsif strpos(pair[2], '{{') > 0 and pair[2] !~ '^["'']' then
        return format('in the unquoted attribute %s', left(lower(pair[1]), 40));
      elsif strpos(pair[2], '{{') > 0 and lower(pair[1]) ~ '^(src|srcset|style|on.*)$' then
        return format('in the attribute %s', left(lower(pair[1]), 40));
      end if;
    end loop;
  end loop;
  -- A tag that does not end here ends in what is put behind it.
  if regexp_replace(html, tag, '', 'gi') ~* '<[a-z].*\{\{' then
    return 'in a tag that does not end';
  end if;
  return null;
end $$;
comment on function entra_sync.html_problem is 'Where a template has a {{field}} that a browser would take for more than text, else null: in src, srcset, style, an event''s attribute, one without quotes, or a name. A value in quotes can be escaped; these cannot.';

create function entra_sync.lock_tenant(wanted uuid, against_edits boolean) returns uuid
language plpgsql as $$
declare
  tenant uuid;
  callers constant text := entra_sync.limit_wait();
begin
  if against_edits then
    select t.tenant_id into tenant from entra_sync.tenants t
     where t.tenant_id = wanted and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id) for update;
  else
    select t.tenant_id into tenant from entra_sync.tenants t
     where t.tenant_id = wanted and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id) for no key update;
  end if;
  perform set_config('lock_timeout', callers, true);
  if tenant is null then
    perform entra_sync.refuse_unknown_tenant(wanted);
  end if;
  return tenant;
end $$;
comment on function entra_sync.lock_tenant is 'The tenant, locked in line with commits; against_edits: and with edits of accounts, whose uncommitted values a new assignment by field would not see.';

create function entra_sync.begin_assigning(actor text) returns void
language plpgsql as $$
begin
  perform entra_sync.require_actor(actor);
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise exception using errcode = '25001',
      message = 'slots, items and assignments are written in read committed transactions only',
      hint = 'An older snapshot does not show what was committed meanwhile: begin isolation level read committed.';
  end if;
end $$;

create function entra_sync.lock_for_all() returns void
language plpgsql as $$
begin
  if entra_sync.narrowed_to() is not null then
    perform entra_sync.refuse_unknown_tenant(null);
  end if;
end $$;
comment on function entra_sync.lock_for_all is 'Rows of all tenants are written by roles that see all of them.';

create function entra_sync.tell_of_rule(tenant uuid, actor text, kind text, before jsonb, after jsonb,
  account uuid default null, of_group uuid default null)
returns void language sql as $$
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, group_id, before, after)
  values (entra_sync.own_batch(tenant), tenant, actor, kind, account, of_group, before, after)
$$;

create function entra_sync.flat_difference(mine jsonb, other jsonb) returns jsonb
language sql immutable as $$
  select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(mine) e where e.value is distinct
    from other -> e.key
$$;
comment on function entra_sync.flat_difference is 'What `mine` says where the two differ.';

create function entra_sync.rule_facts(r entra_sync.assignments) returns jsonb
language sql stable as $$
  select jsonb_build_object('assignment_id', r.assignment_id, 'slot', r.slot, 'item', r.item,
    'target', case r.target when 'group' then jsonb_build_object('group', r.group_id) when 'account'
      then jsonb_build_object('account', r.account_id)
                            when 'field' then jsonb_build_object('field', r.field, 'in', r.field_values)
                              else '{"everyone": true}' end,
    'priority', r.priority, 'except', r.is_exception, 'starts_at', r.starts_at, 'ends_at', r.ends_at)
$$;
comment on function entra_sync.rule_facts is 'An assignment as change rows tell it.';

create function entra_sync.require_item(tenant uuid, slot text, item text, held boolean) returns void
language plpgsql as $$
begin
  if held then
    perform from entra_sync.slots s where s.slot = require_item.slot and (s.tenant_id = tenant
      or s.tenant_id is null) for share;
  else
    perform from entra_sync.slots s where s.slot = require_item.slot and (s.tenant_id = tenant or s.tenant_id is null);
  end if;
  if not found then
    perform entra_sync.refuse_item('slot', slot, 'there is no slot %s',
      'directory.slots lists those there are; put_slot makes one.');
  end if;
  if item is null then
    return;
  end if;
  if held then
    perform from entra_sync.items i
     where i.slot = require_item.slot and i.item = require_item.item and (i.tenant_id = tenant
       or i.tenant_id is null) for share;
  else
    perform from entra_sync.items i
     where i.slot = require_item.slot and i.item = require_item.item and (i.tenant_id = tenant or i.tenant_id is null);
  end if;
  if not found then
    perform entra_sync.refuse_item('item', item, 'the slot has no item %s',
      'directory.items lists those there are; put_item makes one.');
  end if;
end $$;
comment on function entra_sync.require_item is 'ES010 without the slot or, unless null, the item. `held`: slot and item stay until the transaction ends.';

create function entra_sync.given_time(options jsonb, key text) returns timestamptz
language plpgsql stable set timezone = 'UTC' as $$
begin
  if jsonb_typeof(options -> key) = 'null' then
    return null;
  end if;
  if jsonb_typeof(options -> key) = 'string'
     and options ->> key ~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?)?$' then
    return (options ->> key)::timestamptz;
  end if;
  raise invalid_datetime_format;
exception when invalid_datetime_format or datetime_field_overflow then
  perform entra_sync.refuse_argument(key, format('%s is no time', key),
    'It takes a time such as "2026-12-01T08:00:00Z" (without a zone: UTC), or null.',
    '{"type": "time"}');
end $$;

create function entra_sync.with_options(given entra_sync.assignments, options jsonb) returns entra_sync.assignments
language plpgsql stable as $$
declare
  r entra_sync.assignments := given;
  key text;
begin
  if jsonb_typeof(options) is distinct from 'object' then
    perform entra_sync.refuse_argument('options', 'options must be an object',
      'Give the options by name: {"priority": 10}.', '{"type": "object"}');
  end if;
  for key in select jsonb_object_keys(options) loop
    case key
      when 'priority' then
        if jsonb_typeof(options -> key) not in ('number', 'null')
          or (options ->> key)::numeric <> trunc((options ->> key)::numeric)
           or abs((options ->> key)::numeric) > 1000000 then
          perform entra_sync.refuse_argument(key, 'priority does not fit',
            'It takes a whole number between -1,000,000 and 1,000,000.',
            '{"type": "number"}');
        end if;
        r.priority := coalesce((options ->> key)::numeric::integer, 0);
      when 'except' then
        if jsonb_typeof(options -> key) not in ('boolean', 'null') then
          perform entra_sync.refuse_argument(key, 'except does not fit', 'It takes true or false.',
            '{"type": "boolean"}');
        end if;
        r.is_exception := coalesce((options ->> key)::boolean, false);
      when 'starts_at' then
        r.starts_at := entra_sync.given_time(options, key);
      when 'ends_at' then
        r.ends_at := entra_sync.given_time(options, key);
      else
        perform entra_sync.refuse_argument('options', format('there is no option %s', entra_sync.quoted(key)),
          'The options are: priority, except, starts_at, ends_at.',
            '{"options": ["priority", "except", "starts_at", "ends_at"]}');
    end case;
  end loop;
  if r.ends_at <= r.starts_at then
    perform entra_sync.refuse_argument('ends_at', 'ends_at is not after starts_at', 'Give a later end, or null.',
      '{"type": "time"}');
  end if;
  return r;
end $$;

create function entra_sync.given_id(target jsonb, key text, value jsonb) returns uuid
language plpgsql immutable as $$
begin
  if jsonb_typeof(value) is distinct from 'string' or value #>> '{}' !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
    then
    perform entra_sync.refuse_argument('target', format('%s is no id', key),
      'Take group_id from directory.groups, account_id from directory.accounts.',
      '{"type": "uuid"}');
  end if;
  return (value #>> '{}')::uuid;
end $$;

create function entra_sync.rules_given(tenant uuid, slot text, item text, target jsonb, options jsonb, actor text)
  returns entra_sync.assignments[]
language plpgsql stable as $$
declare
  r entra_sync.assignments;
  made entra_sync.assignments[] := '{}';
  one jsonb;
  keys constant text[] := case when jsonb_typeof(target) = 'object' then array(select jsonb_object_keys(target)
    order by 1) end;
begin
  r.tenant_id := tenant;
  r.slot := slot;
  r.item := item;
  r.created_by := actor;
  r.updated_at := now();
  r.priority := 0;
  r.is_exception := false;
  r := entra_sync.with_options(r, coalesce(options, '{}'));
  if keys = '{everyone}' and target -> 'everyone' = 'true' then
    r.target := 'everyone';
    return array[r];
  elsif keys = '{group}' then
    r.target := 'group';
    r.group_id := entra_sync.given_id(target, 'group', target -> 'group');
    if not exists (
      select from entra_sync.groups g where g.group_id = r.group_id and g.tenant_id = tenant and g.removed_at is null)
        then
      perform entra_sync.refuse_unknown('group', r.group_id);
    end if;
    return array[r];
  elsif keys = '{field,in}' then
    r.target := 'field';
    if jsonb_typeof(target -> 'field') <> 'string'
       or not exists (select from entra_sync.field_rules f where f.tenant_id = tenant
         and f.field = target ->> 'field') then
      perform entra_sync.refuse_unknown_field(tenant, target ->> 'field');
    end if;
    if jsonb_typeof(target -> 'in') <> 'array' or jsonb_array_length(target -> 'in') not between 1 and 1000
       or exists (select from jsonb_array_elements(target -> 'in') e where jsonb_typeof(e) <> 'string'
         or length(e #>> '{}') > 1000) then
      perform entra_sync.refuse_argument('target', 'in does not fit',
        'It takes a list of 1 to 1,000 texts of at most 1,000 characters.',
        '{"type": "text[]", "max_items": 1000, "max_length": 1000}');
    end if;
    r.field := target ->> 'field';
    r.field_values := array(select jsonb_array_elements_text(target -> 'in'));
    return array[r];
  elsif keys = '{account}' or keys = '{accounts}' and jsonb_typeof(target -> 'accounts') = 'array' then
    if keys = '{accounts}' and jsonb_array_length(target -> 'accounts') not between 1 and 1000 then
      perform entra_sync.refuse_argument('target', format('accounts names %s accounts',
        jsonb_array_length(target -> 'accounts')),
        'It takes 1 to 1,000 accounts. Give more of them in further calls.', '{"type": "text[]", "max_items": 1000}');
    end if;
    r.target := 'account';
    for one in select e.value from jsonb_array_elements(case when keys = '{account}'
      then jsonb_build_array(target -> 'account')
                                                             else target -> 'accounts' end) with ordinality e (value,
                                                               n) order by e.n loop
      r.account_id := entra_sync.given_id(target, keys[1], one);
      if not exists (
        select from entra_sync.accounts a where a.account_id = r.account_id and a.tenant_id = tenant
          and a.removed_at is null) then
        perform entra_sync.refuse_unknown_account(r.account_id);
      end if;
      if not exists (select from unnest(made) m where m.account_id = r.account_id) then
        made := made || r;
      end if;
    end loop;
    return made;
  end if;
  perform entra_sync.refuse_argument('target', 'the target does not fit',
    'It takes one of {"everyone": true}, {"group": ID}, {"account": ID}, {"accounts": [IDS]}, {"field": NAME, "in": [VALUES]}.', '{"type": "object"}');
end $$;
comment on function entra_sync.rules_given is 'The assignments that the arguments mean, without id and age. ES002, ES004, ES005.';

create function entra_sync.note_assigning(tenant uuid) returns void
language sql as $$
  update entra_sync.tenants t set assigned_at = null, assign_next_at = null, assigned_winners = null
   where t.tenant_id = tenant and t.assigned_at is not null
     and not exists (select from entra_sync.assignments r where r.tenant_id = tenant)
$$;
comment on function entra_sync.note_assigning is 'A tenant whose last assignment went pays nothing any more.';

create function entra_sync.lock_rule(wanted uuid) returns entra_sync.assignments
language plpgsql as $$
declare
  r entra_sync.assignments;
begin
  select x.* into r from entra_sync.assignments x
   where x.assignment_id = wanted and x.tenant_id = coalesce(entra_sync.narrowed_to(), x.tenant_id);
  if r.tenant_id is not null then
    perform entra_sync.lock_tenant(r.tenant_id, false);
    select x.* into r from entra_sync.assignments x where x.assignment_id = wanted;
  end if;
  if r.assignment_id is null then
    perform entra_sync.refuse_unknown('assignment', wanted);
  end if;
  return r;
end $$;

create function directory.put_slot(tenant_id uuid, slot text, winners integer, title text, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant constant uuid := put_slot.tenant_id;
  name constant text := put_slot.slot;
  known jsonb;
  given constant jsonb := jsonb_build_object('slot', put_slot.slot, 'winners', put_slot.winners, 'title',
    put_slot.title);
begin
  perform entra_sync.begin_assigning(actor);
  perform entra_sync.require_name('slot', name);
  perform entra_sync.require_length('title', put_slot.title, 1000);
  if (put_slot.winners between 1 and 100) is not true then
    perform entra_sync.refuse_argument('winners', 'winners does not fit',
      'It takes a whole number between 1 and 100.', '{"type": "number"}');
  end if;
  if tenant is null then
    perform entra_sync.lock_for_all();
  else
    perform entra_sync.lock_tenant(tenant, false);
    select jsonb_build_object('slot', s.slot, 'winners', s.winners, 'title', s.title) into known
      from entra_sync.slots s where s.tenant_id = tenant and s.slot = name;
  end if;
  insert into entra_sync.slots as s (tenant_id, slot, winners, title)
    values (tenant, name, put_slot.winners, put_slot.title)
  on conflict (tenant_id, slot) do update set winners = excluded.winners, title = excluded.title
   where (s.winners, s.title) is distinct from (excluded.winners, excluded.title);
  if found and tenant is not null then
    perform entra_sync.tell_of_rule(tenant, put_slot.actor, case when known is null then 'slot.created'
      else 'slot.changed' end,
      case when known is not null then jsonb_build_object('slot', name) || entra_sync.flat_difference(known, given) end,
      case when known is null then given else jsonb_build_object('slot', name) || entra_sync.flat_difference(given,
        known) end);
    if entra_sync.assigning_due(tenant) then
      perform entra_sync.follow_assignments(tenant, '{}', false, entra_sync.own_batch(tenant), null, put_slot.actor);
    end if;
  end if;
end $$;
comment on function directory.put_slot is 'Makes or changes a slot: how many items of it one account gets. tenant_id null: of all tenants, which follow one by one. ES004, ES005.';

create function directory.put_item(tenant_id uuid, slot text, item text, title text, html text, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant constant uuid := put_item.tenant_id;
  of_slot constant text := put_item.slot;
  name constant text := put_item.item;
  problem text;
  known jsonb;
  given constant jsonb := jsonb_build_object('slot', put_item.slot, 'item', put_item.item, 'title', put_item.title,
    'html_sha256', encode(sha256(convert_to(put_item.html, 'UTF8')), 'hex'));
begin
  perform entra_sync.begin_assigning(actor);
  perform entra_sync.require_name('slot', of_slot);
  perform entra_sync.require_name('item', name);
  perform entra_sync.require_length('title', put_item.title, 1000);
  perform entra_sync.require_length('html', put_item.html, 262144);
  problem := entra_sync.html_problem(put_item.html);
  if problem is not null then
    perform entra_sync.refuse_argument('html', 'a {{field}} of the html stands ' || problem,
      'Put it into text, or into an attribute in quotes that is not src, srcset, style or an event.',
        '{"type": "text"}');
  end if;
  if tenant is null then
    perform entra_sync.lock_for_all();
  else
    perform entra_sync.lock_tenant(tenant, false);
    select jsonb_build_object('slot', i.slot, 'item', i.item, 'title', i.title, 'html_sha256',
      encode(sha256(convert_to(i.html, 'UTF8')), 'hex'))
      into known from entra_sync.items i where i.tenant_id = tenant and i.slot = of_slot and i.item = name;
  end if;
  perform entra_sync.require_item(tenant, of_slot, null, true);
  insert into entra_sync.items as i (tenant_id, slot, item, title, html)
    values (tenant, of_slot, name, put_item.title, put_item.html)
  on conflict (tenant_id, slot, item) do update set title = excluded.title, html = excluded.html, updated_at = now()
   where (i.title, i.html) is distinct from (excluded.title, excluded.html);
  if found and tenant is not null then
    perform entra_sync.tell_of_rule(tenant, put_item.actor, case when known is null then 'item.created'
      else 'item.changed' end,
      case when known is not null then jsonb_build_object('slot', of_slot, 'item',
        name) || entra_sync.flat_difference(known, given) end,
      case when known is null then given else jsonb_build_object('slot', of_slot, 'item',
        name) || entra_sync.flat_difference(given, known) end);
  end if;
end $$;
comment on function directory.put_item is 'Makes or changes an item of a slot. tenant_id null: of all tenants. ES004, ES005, ES010 (no such slot).';

create function directory.assign(tenant_id uuid, slot text, item text, target jsonb, options jsonb, actor text)
  returns setof uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant uuid;
  rules entra_sync.assignments[];
  ids uuid[];
  one entra_sync.assignments;
begin
  perform entra_sync.begin_assigning(actor);
  tenant := entra_sync.lock_tenant(assign.tenant_id, jsonb_typeof(assign.target) = 'object'
    and jsonb_exists(assign.target, 'field'));
  perform entra_sync.require_item(tenant, assign.slot, coalesce(assign.item, ''), true);
  rules := entra_sync.rules_given(tenant, assign.slot, assign.item, assign.target, assign.options, assign.actor);
  if (select count(*) from entra_sync.assignments r where r.tenant_id = tenant) + cardinality(rules) > 10000 then
    perform entra_sync.refuse_argument('target', 'the tenant would have more than 10,000 assignments',
      'A tenant takes 10,000. Assign to groups or fields instead of accounts, or unassign what has ended.',
        '{"max_items": 10000}');
  end if;
  with written as (
    insert into entra_sync.assignments
           (tenant_id, slot, item, target, group_id, account_id, field, field_values, is_exception, priority,
             starts_at, ends_at, created_by)
    select r.tenant_id, r.slot, r.item, r.target, r.group_id, r.account_id, r.field, r.field_values, r.is_exception,
      r.priority,
           r.starts_at, r.ends_at, r.created_by
      from unnest(rules) with ordinality r order by r.ordinality
    returning *
  )
  select array_agg(w.assignment_id order by w.seq) into ids from written w;
  rules := array(select r from entra_sync.assignments r where r.assignment_id = any(ids) order by r.seq);
  foreach one in array rules loop
    perform entra_sync.tell_of_rule(tenant, assign.actor, 'assignment.created', null, entra_sync.rule_facts(one),
      one.account_id, one.group_id);
  end loop;
  perform entra_sync.follow_assignments(
    tenant, entra_sync.reached_by(tenant, rules), true, entra_sync.own_batch(tenant), null, assign.actor);
  return query select unnest(ids);
end $$;
comment on function directory.assign is 'Gives an item to a target, and returns the id of each assignment it made: one, or one an account of `accounts`. ES002, ES004, ES005, ES010 (no such slot or item).';

create function directory.change_assignment(assignment_id uuid, options jsonb, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  old entra_sync.assignments;
  r entra_sync.assignments;
begin
  perform entra_sync.begin_assigning(actor);
  old := entra_sync.lock_rule(change_assignment.assignment_id);
  r := entra_sync.with_options(old, options);
  if r is not distinct from old then
    return;
  end if;
  update entra_sync.assignments x
     set priority = r.priority, is_exception = r.is_exception, starts_at = r.starts_at, ends_at = r.ends_at,
       updated_at = now()
   where x.assignment_id = old.assignment_id;
  perform entra_sync.tell_of_rule(old.tenant_id, actor, 'assignment.changed',
    jsonb_build_object('assignment_id', old.assignment_id) || entra_sync.flat_difference(entra_sync.rule_facts(old),
      entra_sync.rule_facts(r)),
    jsonb_build_object('assignment_id', old.assignment_id) || entra_sync.flat_difference(entra_sync.rule_facts(r),
      entra_sync.rule_facts(old)),
    old.account_id, old.group_id);
  perform entra_sync.follow_assignments(
    old.tenant_id, entra_sync.reached_by(old.tenant_id, array[r]), true, entra_sync.own_batch(old.tenant_id), null,
      actor);
end $$;
comment on function directory.change_assignment is 'Sets the named options of an assignment; null sets an option''s default. Its age stays. ES004, ES005.';

create function directory.unassign(assignment_id uuid, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  old entra_sync.assignments;
begin
  perform entra_sync.begin_assigning(actor);
  old := entra_sync.lock_rule(unassign.assignment_id);
  -- It ends before it goes, so that the change rows can still name its item.
  update entra_sync.assignments x set ends_at = '-infinity' where x.assignment_id = old.assignment_id;
  perform entra_sync.tell_of_rule(
    old.tenant_id, actor, 'assignment.removed', entra_sync.rule_facts(old), jsonb_build_object('assignment_id',
      old.assignment_id),
    old.account_id, old.group_id);
  perform entra_sync.follow_assignments(
    old.tenant_id, entra_sync.reached_by(old.tenant_id, array[old]), true, entra_sync.own_batch(old.tenant_id), null,
      actor);
  delete from entra_sync.assignments x where x.assignment_id = old.assignment_id;
  perform entra_sync.note_assigning(old.tenant_id);
end $$;
comment on function directory.unassign is 'Takes an assignment back. ES004.';

create function directory.move_assignments(from_group_id uuid, to_group_id uuid, actor text) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant uuid;
  rules entra_sync.assignments[];
  moved entra_sync.assignments;
  old entra_sync.assignments;
  touched integer[];
begin
  perform entra_sync.begin_assigning(actor);
  select g.tenant_id into tenant from entra_sync.groups g
   where g.group_id = to_group_id and g.removed_at is null
     and g.tenant_id = coalesce(entra_sync.narrowed_to(), g.tenant_id);
  if tenant is not null then
    perform entra_sync.lock_tenant(tenant, false);
  end if;
  if not exists (
    select from entra_sync.groups g where g.group_id = to_group_id and g.tenant_id = tenant and g.removed_at is null)
      then
    perform entra_sync.refuse_unknown('group', to_group_id);
  end if;
  rules := array(
    select r from entra_sync.assignments r where r.tenant_id = tenant and r.group_id = from_group_id order by r.seq);
  -- A purged group is known by its assignments alone.
  if rules = '{}' and not exists (select from entra_sync.groups g where g.group_id = from_group_id
    and g.tenant_id = tenant) then
    perform entra_sync.refuse_unknown('group', from_group_id);
  end if;
  if rules = '{}' or from_group_id = to_group_id then
    return 0;
  end if;
  touched := entra_sync.reached_by(tenant, rules);
  foreach old in array rules loop
    moved := old;
    moved.group_id := to_group_id;
    perform entra_sync.tell_of_rule(tenant, actor, 'assignment.changed',
      jsonb_build_object('assignment_id', old.assignment_id, 'target', entra_sync.rule_facts(old) -> 'target'),
      jsonb_build_object('assignment_id', old.assignment_id, 'target', entra_sync.rule_facts(moved) -> 'target'),
        null, to_group_id);
  end loop;
  update entra_sync.assignments r set group_id = to_group_id, updated_at = now() where r.tenant_id = tenant
    and r.group_id = from_group_id;
  touched := touched || entra_sync.reached_by(tenant, array[moved]);
  perform entra_sync.follow_assignments(
    tenant, array(select distinct x from unnest(touched) x order by 1), true, entra_sync.own_batch(tenant), null,
      actor);
  return cardinality(rules);
end $$;
comment on function directory.move_assignments is 'Gives another group all assignments of a group, also of one that was purged, and returns how many. Their ages stay. ES004.';

create function directory.drop_item(tenant_id uuid, slot text, item text, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant constant uuid := drop_item.tenant_id;
  of_slot constant text := drop_item.slot;
  name constant text := drop_item.item;
  known entra_sync.items;
begin
  perform entra_sync.begin_assigning(actor);
  if tenant is null then
    perform entra_sync.lock_for_all();
  else
    perform entra_sync.lock_tenant(tenant, false);
  end if;
  select i.* into known from entra_sync.items i
   where i.tenant_id is not distinct from tenant and i.slot = of_slot and i.item = name for update;
  if known.item is null then
    perform entra_sync.refuse_item('item', name, 'the slot has no item %s', 'directory.items lists those there are.');
  end if;
  -- In a statement of its own: an assignment may have held the item until now.
  if exists (
    select from entra_sync.assignments r
     where r.slot = of_slot and r.item = name and r.tenant_id = coalesce(tenant, r.tenant_id)
       and not exists (select from entra_sync.items i
                        where i.slot = of_slot and i.item = name and i.tenant_id is distinct from tenant
                          and (i.tenant_id = r.tenant_id or i.tenant_id is null))) then
    perform entra_sync.refuse_item('item', name, 'the item %s is assigned',
      'Unassign it first: directory.assignments lists where.');
  end if;
  delete from entra_sync.items i where i.tenant_id is not distinct from tenant and i.slot = of_slot and i.item = name;
  if tenant is not null then
    perform entra_sync.tell_of_rule(tenant, drop_item.actor, 'item.removed', jsonb_build_object('slot', of_slot,
      'item', name, 'title', known.title),
      jsonb_build_object('slot', of_slot, 'item', name));
  end if;
end $$;
comment on function directory.drop_item is 'Drops an item. ES004, ES010: there is none, or it is assigned and nothing of all tenants stands behind it.';

create function directory.drop_slot(tenant_id uuid, slot text, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant constant uuid := drop_slot.tenant_id;
  name constant text := drop_slot.slot;
  known entra_sync.slots;
begin
  perform entra_sync.begin_assigning(actor);
  if tenant is null then
    perform entra_sync.lock_for_all();
  else
    perform entra_sync.lock_tenant(tenant, false);
  end if;
  select s.* into known from entra_sync.slots s where s.tenant_id is not distinct from tenant and s.slot = name
    for update;
  if known.slot is null then
    perform entra_sync.refuse_item('slot', name, 'there is no slot %s', 'directory.slots lists those there are.');
  end if;
  if exists (
    select from (select r.tenant_id from entra_sync.assignments r where r.slot = name
                 union all select i.tenant_id from entra_sync.items i where i.slot = name) x
     where (tenant is null or x.tenant_id = tenant)
       and not exists (select from entra_sync.slots s
                        where s.slot = name and s.tenant_id is distinct from tenant
                          and (s.tenant_id = x.tenant_id or s.tenant_id is null))) then
    perform entra_sync.refuse_item('slot', name, 'the slot %s is used',
      'Drop its items and assignments first: directory.items and directory.assignments list them.');
  end if;
  delete from entra_sync.slots s where s.tenant_id is not distinct from tenant and s.slot = name;
  if tenant is not null then
    perform entra_sync.tell_of_rule(tenant, drop_slot.actor, 'slot.removed', jsonb_build_object('slot', name,
      'winners', known.winners, 'title', known.title),
      jsonb_build_object('slot', name));
    if entra_sync.assigning_due(tenant) then
      perform entra_sync.follow_assignments(tenant, '{}', false, entra_sync.own_batch(tenant), null, drop_slot.actor);
    end if;
  end if;
end $$;
comment on function directory.drop_slot is 'Drops a slot. ES004, ES010: there is none, or it has items or assignments and nothing of all tenants stands behind it.';

create type directory.assignment_candidate as (
  rank integer,
  item text,
  assignment_id uuid,
  target text,
  via_group_id uuid,
  priority integer,
  outcome text,
  why text
);

create function directory.explain_assignment(account_id uuid, slot text) returns setof directory.assignment_candidate
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  account entra_sync.accounts;
  moment timestamptz;
  most integer;
begin
  select a.* into account from entra_sync.accounts a
   where a.account_id = explain_assignment.account_id and a.removed_at is null
     and a.tenant_id = coalesce(entra_sync.narrowed_to(), a.tenant_id);
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(explain_assignment.account_id);
  end if;
  perform entra_sync.require_item(account.tenant_id, explain_assignment.slot, null, false);
  select t.assigned_at into moment from entra_sync.tenants t where t.tenant_id = account.tenant_id;
  most := entra_sync.slot_winners(account.tenant_id) ->> explain_assignment.slot;
  return query
    with candidate as (
      select r.*, entra_sync.in_force(r, moment) as counts,
             row_number() over (order by r.is_exception desc, case r.target when 'account' then 1 when 'group' then 2
               when 'field' then 3 else 4 end,
                                         r.priority desc, r.seq) as place
        from entra_sync.assignments r
       where r.tenant_id = account.tenant_id and r.slot = explain_assignment.slot
         and case r.target
               when 'everyone' then true
               when 'account' then r.account_id = account.account_id
               when 'group' then exists (
                 select from entra_sync.groups g join entra_sync.effective_members e on e.group_no = g.group_no
                  where g.group_id = r.group_id and e.account_no = account.account_no)
               else entra_sync.field_words((account.profile - account.cleared) -> r.field)
                    && array(select entra_sync.folded(v) from unnest(r.field_values) v) end
    ), judged as (
      select c.*, s.rank as won,
             exists (select from candidate x where x.is_exception and x.counts and x.item = c.item) as excepted,
             exists (select from candidate x where not x.is_exception and x.counts and x.item = c.item
               and x.place < c.place) as repeated
        from candidate c left join entra_sync.assigned s on s.account_no = account.account_no and s.seq = c.seq
    )
    select j.won::integer, j.item, j.assignment_id, j.target, j.group_id, j.priority, o.outcome,
           case o.outcome
             when 'scheduled' then format('it starts at %s', to_char(j.starts_at at time zone 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
             when 'ended' then format('it ended at %s', to_char(j.ends_at at time zone 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
             when 'exception' then 'it takes the item away'
             when 'excepted' then 'an exception takes the item away'
             when 'wins' then format('it is number %s of %s', j.won, most)
             when 'repeated' then 'an assignment before it gives the same item'
             else format('the slot has %s, and assignments before it fill it', case most when 1 then '1 winner'
               else most || ' winners' end) end
      from judged j
     cross join lateral (select case
       when j.starts_at > moment then 'scheduled' when j.ends_at <= moment then 'ended' when j.is_exception
         then 'exception'
       when j.excepted then 'excepted' when j.won is not null then 'wins' when j.repeated then 'repeated'
         else 'beaten' end as outcome) o
     order by j.place;
end $$;
comment on function directory.explain_assignment is 'Every assignment of the slot that reaches the account, in order, with what comes of it and why. ES004, ES010.';

create type directory.assignment_preview as (
  account_id uuid,
  before jsonb,
  after jsonb
);

create function directory.preview_assignment(tenant_id uuid, slot text, item text, target jsonb, options jsonb)
  returns setof directory.assignment_preview
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_nestloop = off
  set enable_seqscan = off set jit = off
  as $$
#variable_conflict use_column
declare
  tenant constant uuid := preview_assignment.tenant_id;
  of_slot constant text := preview_assignment.slot;
  winners jsonb;
  moment timestamptz;
  rules entra_sync.assignments[];
  given entra_sync.assignments[];
  reached integer[];
begin
  if not exists (
    select from entra_sync.tenants t where t.tenant_id = tenant
      and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(tenant);
  end if;
  perform entra_sync.require_item(tenant, of_slot, coalesce(preview_assignment.item, ''), false);
  given := entra_sync.rules_given(tenant, of_slot, preview_assignment.item, preview_assignment.target,
    preview_assignment.options, '');
  select greatest(t.assigned_at, clock_timestamp(), given[1].starts_at) into moment from entra_sync.tenants t
    where t.tenant_id = tenant;
  rules := array(
    select r from entra_sync.assignments r
     where r.tenant_id = tenant and r.slot = of_slot and entra_sync.in_force(r, moment));
  winners := entra_sync.slot_winners(tenant);
  reached := entra_sync.reached_by(tenant, given);
  -- Younger than all others, as it will be.
  for i in 1 .. cardinality(given) loop
    given[i].seq := 9000000000000000000 + i;
  end loop;
  return query
    with before as (
      select w.account_no, jsonb_agg(w.item order by w.rank) as items
        from entra_sync.assigned_by(tenant, reached, rules, winners) w group by 1
    ), after as (
      select w.account_no, jsonb_agg(w.item order by w.rank) as items
        from entra_sync.assigned_by(tenant, reached, rules || array(select g from unnest(given) g
          where entra_sync.in_force(g, moment)), winners) w
       group by 1
    )
    select a.account_id, jsonb_build_object(of_slot, coalesce(b.items, '[]')), jsonb_build_object(of_slot,
      coalesce(f.items, '[]'))
      from before b full join after f on f.account_no = b.account_no
      join entra_sync.accounts a on a.account_no = coalesce(b.account_no, f.account_no) and a.tenant_id = tenant
     where f.items is distinct from b.items
     order by 1;
end $$;
comment on function directory.preview_assignment is 'The accounts whose items of the slot would change if this were assigned, as of its start, with the items before and after. Nothing is written. ES002, ES004, ES005, ES010.';
revoke execute on all functions in schema entra_sync from public;
revoke execute on function directory.put_slot(uuid, text, integer, text, text), directory.put_item(uuid, text, text,
  text, text, text),
  directory.assign(uuid, text, text, jsonb, jsonb, text), directory.change_assignment(uuid, jsonb, text),
    directory.unassign(uuid, text),
  directory.move_assignments(uuid, uuid, text), directory.drop_item(uuid, text, text, text), directory.drop_slot(uuid,
    text, text),
  directory.explain_assignment(uuid, text), directory.preview_assignment(uuid, text, text, jsonb, jsonb) from public;
