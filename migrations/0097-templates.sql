-- The html of an item is a template: {{field}}, and {{#field}} … {{/field}} for what stands there only with a value. A template with
-- fields is read token by token, and refused unless each field surely stands in text, or in a quoted attribute that holds mere
-- text or an address. A browser forgives more than this reads; such templates are refused too, so that no field can stand in another place there.
create function entra_sync.section_problem(part text, open text[]) returns text[]
language plpgsql immutable as $$
declare
  kind constant text := coalesce(substring(part from '^\{\{[ \t]*([#/])'), '');
  field constant text := substring(part from '[a-zA-Z][a-zA-Z0-9_]*');
begin
  if field is null then
    return array['the html has a {{ that begins no field',
      'Write {{field}}, {{#field}} or {{/field}}, with a name of letters, digits and _, and a single { as &#123;.'];
  elsif kind = '#' and cardinality(open) >= 20 then
    return array['the html nests {{#field}} deeper than 20', 'Close an outer one first.'];
  elsif kind = '/' and field is distinct from open[cardinality(open)] then
    return array[format('{{/%s}} of the html closes no {{#%1$s}}', left(field, 80)),
      'Close each {{#field}} by its {{/field}}, the inner one first, within the same text or attribute.'];
  end if;
  return null;
end $$;

create function entra_sync.sections_after(part text, open text[]) returns text[]
language sql immutable as $$
  select case substring(part from '^\{\{[ \t]*([#/])')
    when '#' then open || substring(part from '[a-zA-Z][a-zA-Z0-9_]*')
    when '/' then open[1:cardinality(open) - 1] else open end
$$;

create function entra_sync.left_open(open text[]) returns text[]
language sql immutable as $$
  select array[format('{{#%s}} of the html has no {{/%1$s}}', left(open[cardinality(open)], 80)),
    'Close each {{#field}} by its {{/field}}, the inner one first, within the same text or attribute.']
   where cardinality(open) > 0
$$;

create function entra_sync.misplaced(place text) returns text[]
language sql immutable as $$
  select array['a {{field}} of the html stands ' || place,
    'Put it into text, or into an attribute in quotes such as alt, title, or href of a link.']
$$;

create function entra_sync.tag_problem(tag text) returns text[]
language plpgsql immutable as $$
declare
  attribute constant text := '([^ \t\n\f\r/>"''<=]+)(?:[ \t\n\f\r]*=[ \t\n\f\r]*("[^"]*"|''[^'']*''|[^ \t\n\f\r"''<>=`]+))?';
  element constant text := lower(substring(tag from '^</?([^ \t\n\f\r/>]*)'));
  pair text[];
  part text;
  open text[];
  problem text[];
begin
  if strpos(element, '{{') > 0 then
    return entra_sync.misplaced('in the name of a tag');
  elsif element in ('style', 'script', 'title', 'textarea', 'xmp', 'plaintext', 'iframe', 'noembed', 'noframes',
    'noscript', 'svg', 'math') and left(tag, 2) <> '</' then
    return array[format('the html has <%s> beside a {{field}}', element),
      'A browser reads the content of this element by other rules. Leave it out; style, script and title may stand where no < is in them.'];
  elsif strpos(tag, '{{') = 0 then
    return null;
  end if;
  for pair in select m from regexp_matches(substr(tag, length(element) + 2), attribute, 'g') m loop
    if strpos(pair[1], '{{') > 0 then
      return entra_sync.misplaced('in the name of an attribute');
    elsif strpos(pair[2], '{{') = 0 or pair[2] is null then
      continue;
    elsif pair[2] !~ '^["'']' then
      return entra_sync.misplaced('in the unquoted attribute ' || left(lower(pair[1]), 40));
    elsif lower(pair[1]) !~ '^(?:title|alt|aria-[a-z]+|data-[-a-z0-9_]+|lang|dir|id|class|name|width|height|align|valign|color|bgcolor|border|face|size|datetime|abbr|summary)$'
      and not (lower(pair[1]) = 'href' and element in ('a', 'area')) then
      return entra_sync.misplaced('in the attribute ' || left(lower(pair[1]), 40));
    end if;
    open := '{}';
    for part in select m[1] from regexp_matches(pair[2], '\{\{[ \t]*[#/]?[ \t]*[a-zA-Z][a-zA-Z0-9_]*[ \t]*\}\}|\{\{+', 'g') m loop
      problem := entra_sync.section_problem(part, open);
      if problem is not null then
        return problem;
      end if;
      open := entra_sync.sections_after(part, open);
    end loop;
    if cardinality(open) > 0 then
      return entra_sync.left_open(open);
    end if;
  end loop;
  return null;
end $$;

create function entra_sync.template_problem(html text) returns text[]
language plpgsql immutable as $$
declare
  attribute constant text := '[^ \t\n\f\r/>"''<=]+(?:[ \t\n\f\r]*=[ \t\n\f\r]*(?:"[^"]*"|''[^'']*''|[^ \t\n\f\r"''<>=`]+))?';
  rest constant text := '(?:[ \t\n\f\r/]+(?:' || attribute || ')?)*>';
  -- The longest alternative counts, and no token but text can be read from two places of another. Each ends at the next < or quote, so
  -- that all are found in one pass.
  token constant text := '[^<{]+|\{+|<[ \t\n\f\r0-9=]?'
    || '|\{\{[ \t]*[#/]?[ \t]*[a-z][a-z0-9_]*[ \t]*\}\}'
    || '|<!---->|<!--(?:[^->]|-[^->])(?:[^-]|-[^-])*-->'
    || '|<!doctype(?:[^<>"'']|"[^"<>]*"|''[^''<>]*'')*>|<!\[[^<>]*>'
    || '|</[a-z][^ \t\n\f\r/>"''<=]*[ \t\n\f\r]*>'
    || '|<style' || rest || '[^<]*</style[ \t\n\f\r]*>|<script' || rest || '[^<]*</script[ \t\n\f\r]*>'
    || '|<title' || rest || '[^<]*</title[ \t\n\f\r]*>'
    || '|<[a-z][^ \t\n\f\r/>"''<=]*' || rest;
  piece text;
  place integer := 0;
  open text[] := '{}';
  problem text[];
begin
  if coalesce(strpos(html, '{{'), 0) = 0 then
    return null;
  end if;
  for piece in select m[1] from regexp_matches(html, token, 'gi') m loop
    if left(piece, 2) = '{{' then
      problem := entra_sync.section_problem(piece, open);
      if problem is null then
        open := entra_sync.sections_after(piece, open);
      end if;
    elsif piece = '<' then
      problem := entra_sync.broken_tag(substr(html, place + 1, 1000));
    elsif piece ~ '^<!' then
      if strpos(piece, '{{') > 0 then
        problem := entra_sync.misplaced('in a comment');
      end if;
    elsif piece ~* '^<(?:style|script|title)[ \t\n\f\r/>].*</(?:style|script|title)[ \t\n\f\r]*>$' then
      if strpos(piece, '{{') > 0 then
        problem := entra_sync.misplaced('in style, script or title');
      end if;
    elsif piece ~ '^<[^ \t\n\f\r0-9=]' then
      problem := entra_sync.tag_problem(piece);
    end if;
    if problem is not null then
      return array[format('%s (line %s)', problem[1], 1 + length(regexp_replace(left(html, place), '[^\n]+', '', 'g'))), problem[2]];
    end if;
    place := place + length(piece);
  end loop;
  return entra_sync.left_open(open);
end $$;
comment on function entra_sync.template_problem is 'The first reason to refuse a template, with its cure, else null. A template without a field is never refused.';

create function entra_sync.broken_tag(tail text) returns text[]
language sql immutable as $$
  select case
    when tail ~ '^</?[ \t\n\f\r]*\{\{' then entra_sync.misplaced('in the name of a tag')
    when tail ~ '^<!' then array['the html has a comment that a {{field}} may stand in',
      'End it by -->, and write no -- and no > at its begin within it.']
    when tail ~* '^</?[a-z][^<>]*\{\{' then entra_sync.misplaced('in a tag that cannot be read')
    when tail ~* '^</?[a-z]' then array['the html has a tag that cannot be read beside a {{field}}',
      'Put the values of its attributes into quotes, with a space before each name, and end it by >.']
    else array['the html has a < that begins no tag', 'Write &lt; for it.'] end
$$;

create or replace function directory.put_item(tenant_id uuid, slot text, item text, title text, html text, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant constant uuid := put_item.tenant_id;
  of_slot constant text := put_item.slot;
  name constant text := put_item.item;
  problem text[];
  known jsonb;
  given constant jsonb := jsonb_build_object('slot', put_item.slot, 'item', put_item.item, 'title', put_item.title,
    'html_sha256', encode(sha256(convert_to(put_item.html, 'UTF8')), 'hex'));
begin
  perform entra_sync.begin_assigning(actor);
  perform entra_sync.require_name('slot', of_slot);
  perform entra_sync.require_name('item', name);
  perform entra_sync.require_length('title', put_item.title, 1000);
  perform entra_sync.require_length('html', put_item.html, 262144);
  problem := entra_sync.template_problem(put_item.html);
  if problem is not null then
    perform entra_sync.refuse_argument('html', problem[1], problem[2], '{"type": "text"}');
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
drop function entra_sync.html_problem;
comment on column entra_sync.items.html is 'A template, {{field}} in it. Never where a browser would take a value for more than text or the address of a link (entra_sync.template_problem).';
revoke execute on all functions in schema entra_sync from public;
