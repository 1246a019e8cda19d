-- The schema as all migrations leave it, for reading: written by `npm run schema`, never run and never edited.
-- `directory` is the public contract (docs/contract.md), `entra_sync` is private. The queue's own schema,
-- entra_sync_jobs, belongs to pg-boss. Rights are given by `entra-sync grant`.

create schema directory;

create type directory.account_then as (
  tenant_id uuid,
  account_id uuid,
  entra_object_id uuid,
  state text,
  enabled boolean,
  user_principal_name text,
  mail text,
  profile jsonb,
  erased boolean
);

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

create type directory.assignment_preview as (
  account_id uuid,
  before jsonb,
  after jsonb
);

create type directory.change_row as (
  change_id bigint,
  tenant_id uuid,
  at timestamp with time zone,
  cycle_id bigint,
  actor text,
  kind text,
  account_id uuid,
  group_id uuid,
  member_group_id uuid,
  before jsonb,
  after jsonb
);

create type directory.feed_row as (
  "position" text,
  change_id bigint,
  tenant_id uuid,
  at timestamp with time zone,
  cycle_id bigint,
  actor text,
  kind text,
  account_id uuid,
  group_id uuid,
  member_group_id uuid,
  before jsonb,
  after jsonb
);

create type directory.found_row as (
  kind text,
  tenant_id uuid,
  account_id uuid,
  group_id uuid,
  entra_object_id uuid,
  display_name text,
  user_principal_name text,
  mail text,
  state text,
  fit text
);

create type directory.history_row as (
  change_id bigint,
  at timestamp with time zone,
  actor text,
  cycle_id bigint,
  kind text,
  field text,
  before jsonb,
  after jsonb
);

create type directory.managed_row as (
  account_id uuid,
  display_name text,
  mail text,
  via text,
  sort_name text
);

create type directory.membership_then as (
  tenant_id uuid,
  group_id uuid,
  member_kind text,
  account_id uuid,
  member_group_id uuid
);

create view directory.accounts with (security_barrier=true) as
 SELECT tenant_id,
    account_id,
    entra_object_id,
    state,
    enabled,
    user_principal_name,
    mail,
    display_name,
    profile,
    edited_fields,
    created_at,
    updated_at
   FROM ( SELECT a.tenant_id,
            a.account_id,
            a.entra_object_id,
            a.state,
            a.enabled,
            a.user_principal_name,
            a.mail,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text)) AS display_name,
            (a.profile - a.cleared) AS profile,
                CASE
                    WHEN (a.overrides = '{}'::jsonb) THEN '{}'::text[]
                    ELSE ARRAY( SELECT jsonb_object_keys(a.overrides) AS jsonb_object_keys)
                END AS edited_fields,
            a.created_at,
            a.updated_at
           FROM entra_sync.accounts a
          WHERE (
                CASE
                    WHEN (a.removed_at IS NULL) THEN true
                    ELSE NULL::boolean
                END AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL))
        UNION ALL
         SELECT a.tenant_id,
            a.account_id,
            a.entra_object_id,
            a.state,
            a.enabled,
            a.user_principal_name,
            a.mail,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text)) AS display_name,
            (a.profile - a.cleared) AS profile,
                CASE
                    WHEN (a.overrides = '{}'::jsonb) THEN '{}'::text[]
                    ELSE ARRAY( SELECT jsonb_object_keys(a.overrides) AS jsonb_object_keys)
                END AS edited_fields,
            a.created_at,
            a.updated_at
           FROM entra_sync.accounts a
          WHERE (
                CASE
                    WHEN (a.removed_at IS NULL) THEN true
                    ELSE NULL::boolean
                END AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (a.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) accounts;

create view directory.assigned with (security_barrier=true) as
 SELECT tenant_id,
    account_id,
    slot,
    rank,
    item,
    assignment_id,
    via_group_id
   FROM ( SELECT r.tenant_id,
            a.account_id,
            r.slot,
            (s.rank)::integer AS rank,
            r.item,
            r.assignment_id,
            r.group_id AS via_group_id
           FROM ((entra_sync.assigned s
             JOIN entra_sync.assignments r ON ((r.seq = s.seq)))
             JOIN entra_sync.accounts a ON ((a.account_no = s.account_no)))
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT r.tenant_id,
            a.account_id,
            r.slot,
            (s.rank)::integer AS rank,
            r.item,
            r.assignment_id,
            r.group_id AS via_group_id
           FROM ((entra_sync.assigned s
             JOIN entra_sync.assignments r ON ((r.seq = s.seq)))
             JOIN entra_sync.accounts a ON ((a.account_no = s.account_no)))
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (r.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) assigned;

create view directory.assignments with (security_barrier=true) as
 SELECT assignment_id,
    tenant_id,
    slot,
    item,
    target,
    group_id,
    account_id,
    field,
    field_values,
    "except",
    priority,
    starts_at,
    ends_at,
    state,
    group_name,
    created_by,
    updated_at
   FROM ( SELECT r.assignment_id,
            r.tenant_id,
            r.slot,
            r.item,
            r.target,
            r.group_id,
            r.account_id,
            r.field,
            r.field_values,
            r.is_exception AS "except",
            r.priority,
            r.starts_at,
            r.ends_at,
                CASE
                    WHEN (r.ends_at <= now()) THEN 'ended'::text
                    WHEN (((r.target = 'group'::text) AND (g.group_no IS NULL)) OR ((r.target = 'account'::text) AND (a.account_no IS NULL))) THEN 'orphaned'::text
                    WHEN ((g.removed_at IS NOT NULL) OR (a.removed_at IS NOT NULL)) THEN 'dormant'::text
                    WHEN (r.starts_at > now()) THEN 'scheduled'::text
                    ELSE 'active'::text
                END AS state,
            g.display_name AS group_name,
            r.created_by,
            r.updated_at
           FROM ((entra_sync.assignments r
             LEFT JOIN entra_sync.groups g ON (((g.group_id = r.group_id) AND (g.tenant_id = r.tenant_id))))
             LEFT JOIN entra_sync.accounts a ON (((a.account_id = r.account_id) AND (a.tenant_id = r.tenant_id))))
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT r.assignment_id,
            r.tenant_id,
            r.slot,
            r.item,
            r.target,
            r.group_id,
            r.account_id,
            r.field,
            r.field_values,
            r.is_exception AS "except",
            r.priority,
            r.starts_at,
            r.ends_at,
                CASE
                    WHEN (r.ends_at <= now()) THEN 'ended'::text
                    WHEN (((r.target = 'group'::text) AND (g.group_no IS NULL)) OR ((r.target = 'account'::text) AND (a.account_no IS NULL))) THEN 'orphaned'::text
                    WHEN ((g.removed_at IS NOT NULL) OR (a.removed_at IS NOT NULL)) THEN 'dormant'::text
                    WHEN (r.starts_at > now()) THEN 'scheduled'::text
                    ELSE 'active'::text
                END AS state,
            g.display_name AS group_name,
            r.created_by,
            r.updated_at
           FROM ((entra_sync.assignments r
             LEFT JOIN entra_sync.groups g ON (((g.group_id = r.group_id) AND (g.tenant_id = r.tenant_id))))
             LEFT JOIN entra_sync.accounts a ON (((a.account_id = r.account_id) AND (a.tenant_id = r.tenant_id))))
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (r.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) assignments;

create view directory.audit with (security_barrier=true) as
 SELECT audit_id,
    at,
    actor,
    role,
    via,
    act,
    tenant_id,
    account_id,
    detail,
    reference
   FROM ( SELECT a_1.audit_id,
            a_1.at,
            a_1.actor,
            a_1.role,
            a_1.via,
            a_1.act,
            a_1.tenant_id,
            a_1.account_id,
            a_1.detail,
            a_1.reference
           FROM entra_sync.audit a_1
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT a_1.audit_id,
            a_1.at,
            a_1.actor,
            a_1.role,
            a_1.via,
            a_1.act,
            a_1.tenant_id,
            a_1.account_id,
            a_1.detail,
            a_1.reference
           FROM entra_sync.audit a_1
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (a_1.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) a;
comment on view directory.audit is 'Each act and each look at a person, with its actor, by the web and by the command line. No grant gives it.';

create view directory.changes with (security_barrier=true) as
 SELECT change_id,
    tenant_id,
    at,
    cycle_id,
    actor,
    kind,
    account_id,
    group_id,
    member_group_id,
    before,
    after
   FROM ( SELECT c.change_id,
            c.tenant_id,
            c.at,
            c.cycle_id,
            c.actor,
            c.kind,
            c.account_id,
            c.group_id,
            c.member_group_id,
            c.before,
            c.after
           FROM entra_sync.change_rows c
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT c.change_id,
            c.tenant_id,
            c.at,
            c.cycle_id,
            c.actor,
            c.kind,
            c.account_id,
            c.group_id,
            c.member_group_id,
            c.before,
            c.after
           FROM entra_sync.change_rows c
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (c.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) changes;

create view directory.cycles with (security_barrier=true) as
 SELECT cycle_id,
    tenant_id,
    kind,
    started_at,
    finished_at,
    outcome,
    streams,
    settings_version,
    error_code,
    error_message
   FROM ( SELECT c.cycle_id,
            c.tenant_id,
            c.kind,
            c.started_at,
            c.finished_at,
            c.outcome,
            c.streams,
            c.settings_version,
            c.error_code,
            c.error_message
           FROM entra_sync.cycles c
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT c.cycle_id,
            c.tenant_id,
            c.kind,
            c.started_at,
            c.finished_at,
            c.outcome,
            c.streams,
            c.settings_version,
            c.error_code,
            c.error_message
           FROM entra_sync.cycles c
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (c.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) cycles;

create view directory.effective_memberships with (security_barrier=true) as
 SELECT tenant_id,
    group_id,
    account_id,
    is_direct
   FROM ( SELECT g.tenant_id,
            g.group_id,
            a.account_id,
            e.is_direct
           FROM ((entra_sync.effective_members e
             JOIN entra_sync.groups g ON ((g.group_no = e.group_no)))
             JOIN entra_sync.accounts a ON ((a.account_no = e.account_no)))
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            a.account_id,
            e.is_direct
           FROM ((entra_sync.effective_members e
             JOIN entra_sync.groups g ON ((g.group_no = e.group_no)))
             JOIN entra_sync.accounts a ON ((a.account_no = e.account_no)))
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (g.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)) AND (NOT ( SELECT (EXISTS ( SELECT
                           FROM entra_sync.large_tenants l
                          WHERE (l.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) AS "exists")))
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            a.account_id,
            e.is_direct
           FROM ((entra_sync.effective_members e
             JOIN entra_sync.groups g ON ((g.group_no = e.group_no)))
             JOIN entra_sync.accounts a ON ((a.account_no = e.account_no)))
          WHERE (( SELECT (EXISTS ( SELECT
                           FROM entra_sync.large_tenants l
                          WHERE (l.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) AS "exists") AND
                CASE
                    WHEN (g.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)) THEN true
                    ELSE NULL::boolean
                END)) effective_memberships;

create view directory.fields with (security_barrier=true) as
 SELECT tenant_id,
    field,
    owner,
    editable_by,
    mapped_from,
    max,
    pattern,
    label,
    help,
    kind,
    sort_order,
    private,
    shown
   FROM ( SELECT r.tenant_id,
            r.field,
            r.owner,
            r.editable_by,
            r.mapped_from,
            r.max_length AS max,
            r.pattern,
            r.label,
            r.help,
            COALESCE(r.kind,
                CASE r.value_type
                    WHEN 'text[]'::text THEN 'list'::text
                    ELSE 'text'::text
                END) AS kind,
            r.sort_order,
            r.private,
            r.shown
           FROM entra_sync.field_rules r
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT r.tenant_id,
            r.field,
            r.owner,
            r.editable_by,
            r.mapped_from,
            r.max_length AS max,
            r.pattern,
            r.label,
            r.help,
            COALESCE(r.kind,
                CASE r.value_type
                    WHEN 'text[]'::text THEN 'list'::text
                    ELSE 'text'::text
                END) AS kind,
            r.sort_order,
            r.private,
            r.shown
           FROM entra_sync.field_rules r
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (r.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) fields;

create view directory.groups with (security_barrier=true) as
 SELECT tenant_id,
    group_id,
    entra_object_id,
    state,
    display_name,
    description,
    mail,
    kind,
    is_dynamic,
    attributes,
    created_at,
    updated_at
   FROM ( SELECT g.tenant_id,
            g.group_id,
            g.entra_object_id,
            g.state,
            g.display_name,
            g.description,
            g.mail,
            g.kind,
            g.is_dynamic,
            g.attributes,
            g.created_at,
            g.updated_at
           FROM entra_sync.groups g
          WHERE (
                CASE
                    WHEN (g.removed_at IS NULL) THEN true
                    ELSE NULL::boolean
                END AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL))
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            g.entra_object_id,
            g.state,
            g.display_name,
            g.description,
            g.mail,
            g.kind,
            g.is_dynamic,
            g.attributes,
            g.created_at,
            g.updated_at
           FROM entra_sync.groups g
          WHERE (
                CASE
                    WHEN (g.removed_at IS NULL) THEN true
                    ELSE NULL::boolean
                END AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (g.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) groups;

create view directory.held_removals with (security_barrier=true) as
 SELECT tenant_id,
    list_id,
    account_id,
    group_id,
    display_name,
    reason,
    held_since,
    member_group_id
   FROM ( SELECT h.tenant_id,
            h.list_id,
            h.account_id,
            g.group_id,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text), g.display_name) AS display_name,
            h.reason,
            h.held_since,
            NULL::uuid AS member_group_id
           FROM ((entra_sync.held_removals h
             LEFT JOIN entra_sync.accounts a ON ((a.account_id = h.account_id)))
             LEFT JOIN entra_sync.groups g ON ((g.group_no = h.group_no)))
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT h.tenant_id,
            h.list_id,
            h.account_id,
            g.group_id,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text), g.display_name) AS display_name,
            h.reason,
            h.held_since,
            NULL::uuid AS member_group_id
           FROM ((entra_sync.held_removals h
             LEFT JOIN entra_sync.accounts a ON ((a.account_id = h.account_id)))
             LEFT JOIN entra_sync.groups g ON ((g.group_no = h.group_no)))
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (h.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))
        UNION ALL
         SELECT h.tenant_id,
            h.list_id,
            a.account_id,
            g.group_id,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text), n.display_name) AS display_name,
            'not_seen'::text AS reason,
            h.held_since,
            n.group_id AS member_group_id
           FROM (((entra_sync.held_memberships h
             JOIN entra_sync.groups g ON ((g.group_no = h.group_no)))
             LEFT JOIN entra_sync.accounts a ON (((a.tenant_id = h.tenant_id) AND (a.entra_object_id = h.member_object_id))))
             LEFT JOIN entra_sync.groups n ON (((n.tenant_id = h.tenant_id) AND (n.entra_object_id = h.member_object_id))))
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT h.tenant_id,
            h.list_id,
            a.account_id,
            g.group_id,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text), n.display_name) AS display_name,
            'not_seen'::text AS reason,
            h.held_since,
            n.group_id AS member_group_id
           FROM (((entra_sync.held_memberships h
             JOIN entra_sync.groups g ON ((g.group_no = h.group_no)))
             LEFT JOIN entra_sync.accounts a ON (((a.tenant_id = h.tenant_id) AND (a.entra_object_id = h.member_object_id))))
             LEFT JOIN entra_sync.groups n ON (((n.tenant_id = h.tenant_id) AND (n.entra_object_id = h.member_object_id))))
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (h.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) held_removals;
comment on view directory.held_removals is 'What waits for a person. With group_id and one of account_id and member_group_id it is a membership: of that member in the group.';

create view directory.items with (security_barrier=true) as
 SELECT tenant_id,
    slot,
    item,
    title,
    html,
    updated_at
   FROM ( SELECT i.tenant_id,
            i.slot,
            i.item,
            i.title,
            i.html,
            i.updated_at
           FROM entra_sync.items i
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT i.tenant_id,
            i.slot,
            i.item,
            i.title,
            i.html,
            i.updated_at
           FROM entra_sync.items i
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND ((i.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)) OR ((i.tenant_id IS NULL) AND (EXISTS ( SELECT
                   FROM entra_sync.tenants t
                  WHERE (t.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))))))) items;

create view directory.managers with (security_barrier=true) as
 SELECT tenant_id,
    account_id,
    manager_account_id,
    via
   FROM ( SELECT r.tenant_id,
            r.account_id,
            m_1.account_id AS manager_account_id,
            'line'::text AS via
           FROM (entra_sync.accounts r
             JOIN entra_sync.accounts m_1 ON (((m_1.tenant_id = r.tenant_id) AND (m_1.entra_object_id = r.manager_object_id))))
          WHERE ((r.manager_object_id IS NOT NULL) AND (r.removed_at IS NULL) AND (m_1.removed_at IS NULL) AND (m_1.account_id <> r.account_id) AND (EXISTS ( SELECT
                   FROM entra_sync.tenants_with_managers k
                  WHERE (k.tenant_id = r.tenant_id))) AND (r.tenant_id = COALESCE(( SELECT entra_sync.narrowed_to() AS narrowed_to), r.tenant_id)))
        UNION ALL
         SELECT DISTINCT b.tenant_id,
            p.account_id,
            m_1.account_id,
            'group'::text
           FROM ((((entra_sync.managed_by b
             JOIN entra_sync.groups h ON (((h.tenant_id = b.tenant_id) AND (h.entra_object_id = b.managers_id))))
             JOIN entra_sync.effective_members e ON ((e.group_no = h.group_no)))
             JOIN entra_sync.accounts m_1 ON ((m_1.account_no = e.account_no)))
             JOIN entra_sync.accounts p ON (((p.tenant_id = b.tenant_id) AND (p.removed_at IS NULL))))
          WHERE ((p.account_id <> m_1.account_id) AND ((b.people_id IS NULL) OR (EXISTS ( SELECT
                   FROM (entra_sync.groups g
                     JOIN entra_sync.effective_members x ON (((x.group_no = g.group_no) AND (x.account_no = p.account_no))))
                  WHERE ((g.tenant_id = b.tenant_id) AND (g.entra_object_id = b.people_id))))) AND (b.tenant_id = COALESCE(( SELECT entra_sync.narrowed_to() AS narrowed_to), b.tenant_id)))) m;
comment on view directory.managers is 'Each account with an account that manages it, both live: via line, the manager in Entra ID where the settings in force say managers: true, or via group, by managedBy of the settings. Direct reports only.';

create view directory.memberships with (security_barrier=true) as
 SELECT tenant_id,
    group_id,
    member_kind,
    account_id,
    member_group_id
   FROM ( SELECT g.tenant_id,
            g.group_id,
            'account'::text AS member_kind,
            a.account_id,
            NULL::uuid AS member_group_id
           FROM ((entra_sync.effective_members e
             JOIN entra_sync.groups g ON ((g.group_no = e.group_no)))
             JOIN entra_sync.accounts a ON ((a.account_no = e.account_no)))
          WHERE (e.is_direct AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL))
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            'account'::text AS member_kind,
            a.account_id,
            NULL::uuid AS member_group_id
           FROM ((entra_sync.effective_members e
             JOIN entra_sync.groups g ON ((g.group_no = e.group_no)))
             JOIN entra_sync.accounts a ON ((a.account_no = e.account_no)))
          WHERE (e.is_direct AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (g.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)) AND (NOT ( SELECT (EXISTS ( SELECT
                           FROM entra_sync.large_tenants l
                          WHERE (l.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) AS "exists")))
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            'account'::text AS member_kind,
            a.account_id,
            NULL::uuid AS member_group_id
           FROM ((entra_sync.effective_members e
             JOIN entra_sync.groups g ON ((g.group_no = e.group_no)))
             JOIN entra_sync.accounts a ON ((a.account_no = e.account_no)))
          WHERE (e.is_direct AND ( SELECT (EXISTS ( SELECT
                           FROM entra_sync.large_tenants l
                          WHERE (l.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) AS "exists") AND
                CASE
                    WHEN (g.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)) THEN true
                    ELSE NULL::boolean
                END)
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            'group'::text AS member_kind,
            NULL::uuid AS account_id,
            n.group_id AS member_group_id
           FROM (((entra_sync.group_closure c
             JOIN entra_sync.groups g ON ((g.group_no = c.ancestor_no)))
             JOIN entra_sync.groups n ON ((n.group_no = c.descendant_no)))
             JOIN entra_sync.member_groups m ON (((m.tenant_id = n.tenant_id) AND (m.member_object_id = n.entra_object_id) AND (g.group_no = ANY (m.group_nos)))))
          WHERE (
                CASE
                    WHEN ((g.removed_at IS NULL) AND (n.removed_at IS NULL)) THEN true
                    ELSE NULL::boolean
                END AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL))
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            'group'::text AS member_kind,
            NULL::uuid AS account_id,
            n.group_id AS member_group_id
           FROM (((entra_sync.group_closure c
             JOIN entra_sync.groups g ON ((g.group_no = c.ancestor_no)))
             JOIN entra_sync.groups n ON ((n.group_no = c.descendant_no)))
             JOIN entra_sync.member_groups m ON (((m.tenant_id = n.tenant_id) AND (m.member_object_id = n.entra_object_id) AND (g.group_no = ANY (m.group_nos)))))
          WHERE (
                CASE
                    WHEN ((g.removed_at IS NULL) AND (n.removed_at IS NULL)) THEN true
                    ELSE NULL::boolean
                END AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (g.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) memberships;

create view directory.photos with (security_barrier=true) as
 SELECT tenant_id,
    account_id,
    content_type,
    sha256,
    content,
    size,
    width,
    height,
    updated_at
   FROM ( SELECT p.tenant_id,
            p.account_id,
            p.content_type,
            p.sha256,
            p.content,
            octet_length(p.content) AS size,
            p.width,
            p.height,
            p.updated_at
           FROM (entra_sync.photos p
             JOIN entra_sync.accounts a ON ((a.account_id = p.account_id)))
          WHERE ((p.content IS NOT NULL) AND (a.removed_at IS NULL) AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL))
        UNION ALL
         SELECT p.tenant_id,
            p.account_id,
            p.content_type,
            p.sha256,
            p.content,
            octet_length(p.content) AS size,
            p.width,
            p.height,
            p.updated_at
           FROM (entra_sync.photos p
             JOIN entra_sync.accounts a ON ((a.account_id = p.account_id)))
          WHERE ((p.content IS NOT NULL) AND (a.removed_at IS NULL) AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (p.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) photos;
comment on view directory.photos is 'The photo of each live account that has one, as Entra ID gives it in the size of the settings: a JPEG or a PNG of at most 2 MiB. sha256 is that of content, in hex, and size its bytes. A change of it is account.photo_changed.';

create view directory.removed_accounts with (security_barrier=true) as
 SELECT tenant_id,
    account_id,
    entra_object_id,
    reason,
    removed_at,
    purge_at,
    display_name
   FROM ( SELECT a.tenant_id,
            a.account_id,
            a.entra_object_id,
            a.removed_reason AS reason,
            a.removed_at,
            a.purge_at,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text)) AS display_name
           FROM entra_sync.accounts a
          WHERE ((a.removed_at IS NOT NULL) AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL))
        UNION ALL
         SELECT a.tenant_id,
            a.account_id,
            a.entra_object_id,
            a.removed_reason AS reason,
            a.removed_at,
            a.purge_at,
            COALESCE((a.profile ->> 'displayName'::text), (a.source ->> 'displayName'::text)) AS display_name
           FROM entra_sync.accounts a
          WHERE ((a.removed_at IS NOT NULL) AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (a.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) removed_accounts;

create view directory.removed_groups with (security_barrier=true) as
 SELECT tenant_id,
    group_id,
    entra_object_id,
    reason,
    removed_at,
    purge_at,
    display_name
   FROM ( SELECT g.tenant_id,
            g.group_id,
            g.entra_object_id,
            g.removed_reason AS reason,
            g.removed_at,
            g.purge_at,
            g.display_name
           FROM entra_sync.groups g
          WHERE ((g.removed_at IS NOT NULL) AND g.copied AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL))
        UNION ALL
         SELECT g.tenant_id,
            g.group_id,
            g.entra_object_id,
            g.removed_reason AS reason,
            g.removed_at,
            g.purge_at,
            g.display_name
           FROM entra_sync.groups g
          WHERE ((g.removed_at IS NOT NULL) AND g.copied AND (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (g.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) removed_groups;

create view directory.set_aside with (security_barrier=true) as
 SELECT tenant_id,
    stream,
    entra_object_id,
    reason,
    first_seen_at,
    last_seen_at
   FROM ( SELECT s.tenant_id,
            s.stream,
            s.object_key AS entra_object_id,
            s.reason,
            s.first_seen_at,
            s.last_seen_at
           FROM entra_sync.set_aside s
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT s.tenant_id,
            s.stream,
            s.object_key AS entra_object_id,
            s.reason,
            s.first_seen_at,
            s.last_seen_at
           FROM entra_sync.set_aside s
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (s.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) set_aside;
comment on column directory.set_aside.entra_object_id is 'As Graph sent it (text): an id that is no GUID is one of the reasons to be here. ID/property: the object was taken, but for this property.';

create view directory.slots with (security_barrier=true) as
 SELECT tenant_id,
    slot,
    winners,
    title
   FROM ( SELECT s.tenant_id,
            s.slot,
            s.winners,
            s.title
           FROM entra_sync.slots s
          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
        UNION ALL
         SELECT s.tenant_id,
            s.slot,
            s.winners,
            s.title
           FROM entra_sync.slots s
          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND ((s.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)) OR ((s.tenant_id IS NULL) AND (EXISTS ( SELECT
                   FROM entra_sync.tenants t
                  WHERE (t.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))))))) slots;

create view directory.tenants with (security_barrier=true) as
 SELECT tenant_id,
    name,
    external_ref,
    status,
    paused,
    provisional,
    source_of_truth,
    held_removals,
    set_aside,
    last_success_at,
    next_cycle_at,
    last_error_code,
    last_error_message,
    notice,
    time_zone,
    help,
    portal,
    COALESCE(( SELECT (s.document -> 'previewImages'::text)
           FROM entra_sync.settings s
          WHERE (s.tenant_id = t.tenant_id)
          ORDER BY s.version DESC
         LIMIT 1), ( SELECT (s.document -> 'previewImages'::text)
           FROM entra_sync.settings s
          WHERE (s.tenant_id IS NULL)
          ORDER BY s.version DESC
         LIMIT 1), '[]'::jsonb) AS preview_images
   FROM ( SELECT t_1.tenant_id,
            t_1.name,
            t_1.external_ref,
            t_1.status,
            t_1.paused,
            t_1.provisional,
            t_1.source_of_truth,
            t_1.held_removals,
            t_1.set_aside,
            t_1.last_success_at,
            t_1.next_cycle_at,
            t_1.last_error_code,
            t_1.last_error_message,
            t_1.notice,
            COALESCE(( SELECT (s.document ->> 'timeZone'::text)
                   FROM entra_sync.settings s
                  WHERE (s.tenant_id = t_1.tenant_id)
                  ORDER BY s.version DESC
                 LIMIT 1), ( SELECT (s.document ->> 'timeZone'::text)
                   FROM entra_sync.settings s
                  WHERE (s.tenant_id IS NULL)
                  ORDER BY s.version DESC
                 LIMIT 1), 'UTC'::text) AS time_zone,
            ( SELECT NULLIF((s.document -> 'help'::text), 'null'::jsonb) AS "nullif"
                   FROM entra_sync.settings s
                  WHERE (s.tenant_id = t_1.tenant_id)
                  ORDER BY s.version DESC
                 LIMIT 1) AS help,
            (('{"people": true, "history": "90d", "managers": false}'::jsonb || COALESCE(( SELECT (s.document -> 'portal'::text)
                   FROM entra_sync.settings s
                  WHERE (s.tenant_id IS NULL)
                  ORDER BY s.version DESC
                 LIMIT 1), '{}'::jsonb)) || COALESCE(( SELECT (s.document -> 'portal'::text)
                   FROM entra_sync.settings s
                  WHERE (s.tenant_id = t_1.tenant_id)
                  ORDER BY s.version DESC
                 LIMIT 1), '{}'::jsonb)) AS portal
           FROM ( SELECT tenants.tenant_id,
                    tenants.name,
                    tenants.external_ref,
                    tenants.status,
                    tenants.paused,
                    tenants.provisional,
                    tenants.source_of_truth,
                    tenants.held_removals,
                    tenants.set_aside,
                    tenants.last_success_at,
                    tenants.next_cycle_at,
                    tenants.last_error_code,
                    tenants.last_error_message,
                    tenants.notice
                   FROM ( SELECT t_1_1.tenant_id,
                            t_1_1.name,
                            t_1_1.external_ref,
                            t_1_1.status,
                            t_1_1.paused,
                            t_1_1.provisional,
                            COALESCE(( SELECT (s.document ->> 'sourceOfTruth'::text)
                                   FROM entra_sync.settings s
                                  WHERE (s.tenant_id = t_1_1.tenant_id)
                                  ORDER BY s.version DESC
                                 LIMIT 1), ( SELECT (s.document ->> 'sourceOfTruth'::text)
                                   FROM entra_sync.settings s
                                  WHERE (s.tenant_id IS NULL)
                                  ORDER BY s.version DESC
                                 LIMIT 1), 'directory'::text) AS source_of_truth,
                            ((( SELECT count(*) AS count
                                   FROM entra_sync.held_removals h
                                  WHERE (h.tenant_id = t_1_1.tenant_id)) + ( SELECT count(*) AS count
                                   FROM entra_sync.held_memberships h
                                  WHERE (h.tenant_id = t_1_1.tenant_id))))::integer AS held_removals,
                            ( SELECT (count(*))::integer AS count
                                   FROM entra_sync.set_aside a
                                  WHERE (a.tenant_id = t_1_1.tenant_id)) AS set_aside,
                            t_1_1.last_success_at,
                            t_1_1.next_cycle_at,
                            t_1_1.last_error_code,
                            t_1_1.last_error_message,
                                CASE
                                    WHEN (t_1_1.notice_at > (now() - '7 days'::interval)) THEN t_1_1.notice
                                    ELSE NULL::text
                                END AS notice
                           FROM entra_sync.tenants t_1_1
                          WHERE (( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NULL)
                        UNION ALL
                         SELECT t_1_1.tenant_id,
                            t_1_1.name,
                            t_1_1.external_ref,
                            t_1_1.status,
                            t_1_1.paused,
                            t_1_1.provisional,
                            COALESCE(( SELECT (s.document ->> 'sourceOfTruth'::text)
                                   FROM entra_sync.settings s
                                  WHERE (s.tenant_id = t_1_1.tenant_id)
                                  ORDER BY s.version DESC
                                 LIMIT 1), ( SELECT (s.document ->> 'sourceOfTruth'::text)
                                   FROM entra_sync.settings s
                                  WHERE (s.tenant_id IS NULL)
                                  ORDER BY s.version DESC
                                 LIMIT 1), 'directory'::text) AS source_of_truth,
                            ((( SELECT count(*) AS count
                                   FROM entra_sync.held_removals h
                                  WHERE (h.tenant_id = t_1_1.tenant_id)) + ( SELECT count(*) AS count
                                   FROM entra_sync.held_memberships h
                                  WHERE (h.tenant_id = t_1_1.tenant_id))))::integer AS held_removals,
                            ( SELECT (count(*))::integer AS count
                                   FROM entra_sync.set_aside a
                                  WHERE (a.tenant_id = t_1_1.tenant_id)) AS set_aside,
                            t_1_1.last_success_at,
                            t_1_1.next_cycle_at,
                            t_1_1.last_error_code,
                            t_1_1.last_error_message,
                                CASE
                                    WHEN (t_1_1.notice_at > (now() - '7 days'::interval)) THEN t_1_1.notice
                                    ELSE NULL::text
                                END AS notice
                           FROM entra_sync.tenants t_1_1
                          WHERE ((( SELECT entra_sync.narrowed_to() AS narrowed_to) IS NOT NULL) AND (t_1_1.tenant_id = ( SELECT entra_sync.narrowed_to() AS narrowed_to)))) tenants) t_1) t;

CREATE OR REPLACE FUNCTION directory.account_history(account_id uuid)
 RETURNS SETOF directory.history_row
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select * from directory.account_history(account_history.account_id, null)
$function$;
comment on function directory.account_history(uuid) is 'account_history for a viewer who is not the account: values of private fields are not told.';

CREATE OR REPLACE FUNCTION directory.account_history(account_id uuid, viewer_account_id uuid)
 RETURNS SETOF directory.history_row
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  wanted constant uuid := account_history.account_id;
  only_tenant constant uuid := entra_sync.narrowed_to();
  hidden text[] := '{}';
begin
  if not exists (select from entra_sync.accounts a where a.account_id = wanted and a.tenant_id = coalesce(only_tenant, a.tenant_id))
     -- A purged account has its change rows alone.
     and not exists (select from entra_sync.changes c where c.account_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)) then
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  if account_history.viewer_account_id is distinct from wanted then
    hidden := entra_sync.private_fields((select a.tenant_id from entra_sync.accounts a where a.account_id = wanted));
  end if;
  return query
    select c.change_id, c.at, c.actor, c.cycle_id, c.kind, f.field, f.before, f.after
      from entra_sync.change_rows c
      left join lateral (
        select x.field, x.before, x.after
          from entra_sync.change_fields(entra_sync.without_private(c.before, hidden), entra_sync.without_private(c.after, hidden)) x
         where c.kind like 'account.%'
        union all
        select 'group', case when c.kind = 'membership.removed' then to_jsonb(c.group_id) end,
               case when c.kind = 'membership.added' then to_jsonb(c.group_id) end
         where c.kind like 'membership.%'
        union all
        select 'assigned.' || k.slot, c.before -> k.slot, c.after -> k.slot
          from jsonb_object_keys(c.after) as k (slot) where c.kind = 'assigned.changed'
        union all
        select 'assignment', c.before, c.after where c.kind like 'assignment.%'
        union all
        select 'removal', null, c.after where c.kind like 'removal.%') f on true
     where c.account_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by c.change_id desc, f.field;
end $function$;
comment on function directory.account_history(uuid,uuid) is 'What happened to an account, one row a field, newest first; groups joined and left, items assigned (assigned.SLOT), assignments to it, and held removals too. A value of a private field is {"private": true}, unless the viewer is the account itself. A purged account has its rows without values. ES004.';

CREATE OR REPLACE FUNCTION directory.accounts_after(tenant_id uuid, after uuid DEFAULT NULL::uuid, max integer DEFAULT 50)
 RETURNS SETOF directory.accounts
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
#variable_conflict use_column
declare
  asked constant uuid := accounts_after.tenant_id;
  wanted constant integer := coalesce(accounts_after.max, 50);
  ids uuid[];
begin
  if not exists (
    select from entra_sync.tenants t where t.tenant_id = asked and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(asked);
  elsif wanted < 1 or wanted > 1000 then
    raise exception using errcode = '22023', message = 'max must be between 1 and 1000';
  end if;
  ids := array(
    select a.account_id from entra_sync.accounts a
     where a.tenant_id = asked and a.removed_at is null and (accounts_after.after is null or a.account_id > accounts_after.after)
     order by a.account_id limit wanted);
  return query select a.* from directory.accounts a where a.account_id = any(ids) order by a.account_id;
end $function$;
comment on function directory.accounts_after(uuid,uuid,integer) is 'The next accounts of the tenant in the order of their ids, after this one or from the first: a page as cheap at any place. 22023, ES004.';

CREATE OR REPLACE FUNCTION directory.accounts_at(tenant_id uuid, at timestamp with time zone)
 RETURNS SETOF directory.account_then
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select * from directory.accounts_at(accounts_at.tenant_id, accounts_at.at, null)
$function$;
comment on function directory.accounts_at(uuid,timestamp with time zone) is 'accounts_at for a viewer who is no account: profiles without their private fields.';

CREATE OR REPLACE FUNCTION directory.accounts_at(tenant_id uuid, at timestamp with time zone, viewer_account_id uuid)
 RETURNS SETOF directory.account_then
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select t.tenant_id, t.account_id, t.entra_object_id, t.state, t.enabled, t.user_principal_name, t.mail,
         case when t.account_id = accounts_at.viewer_account_id then t.profile
              else t.profile - entra_sync.private_fields(accounts_at.tenant_id) end,
         t.erased
    from entra_sync.accounts_then(accounts_at.tenant_id, accounts_at.at) t
$function$;
comment on function directory.accounts_at(uuid,timestamp with time zone,uuid) is 'The live accounts of a tenant as they were: batches with committed_at <= at. A profile is without its private fields, unless the viewer is the account itself. An account that was purged since is told as erased, without values. ES004; ES006 where at is older than what is kept.';

CREATE OR REPLACE FUNCTION directory.accounts_of_group(group_id uuid, after uuid DEFAULT NULL::uuid, max integer DEFAULT 200)
 RETURNS SETOF directory.accounts
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
#variable_conflict use_column
declare
  asked constant uuid := accounts_of_group.group_id;
  wanted constant integer := coalesce(accounts_of_group.max, 200);
  few constant integer := 10000;
  found entra_sync.groups;
  is_large boolean;
  ids uuid[];
begin
  select g.* into found from entra_sync.groups g
   where g.group_id = asked and g.tenant_id = coalesce(entra_sync.narrowed_to(), g.tenant_id);
  if found.group_no is null then
    perform entra_sync.refuse_unknown('group', asked);
  elsif wanted < 1 or wanted > 1000 then
    raise exception using errcode = '22023', message = 'max must be between 1 and 1000';
  end if;
  -- Few accounts, read in the order of their ids, fill a page of a large group. A small group has fewer members than that.
  is_large := few < (
    select count(*) from (
      select from entra_sync.effective_members e
       where e.group_no = found.group_no and found.removed_at is null limit few + 1) c);
  if is_large then
    -- Planned for this group: the plan of an average one would look up all members.
    execute $q$
      select array(
        select a.account_id from entra_sync.effective_members e join entra_sync.accounts a on a.account_no = e.account_no
         where e.group_no = $1 and a.removed_at is null and ($2 is null or a.account_id > $2)
         order by a.account_id limit $3)$q$
      into ids using found.group_no, accounts_of_group.after, wanted;
  else
    ids := array(
      select a.account_id from entra_sync.accounts a
       where a.account_no = any(array(
               select e.account_no from entra_sync.effective_members e
                where e.group_no = found.group_no and found.removed_at is null))
         and a.removed_at is null and (accounts_of_group.after is null or a.account_id > accounts_of_group.after)
       order by a.account_id limit wanted);
  end if;
  return query select a.* from directory.accounts a where a.account_id = any(ids) order by a.account_id;
end $function$;
comment on function directory.accounts_of_group(uuid,uuid,integer) is 'The next accounts of the group, nested members too, in the order of their ids, after this one or from the first. None of a removed group. 22023, ES004.';

CREATE OR REPLACE FUNCTION directory.assign(tenant_id uuid, slot text, item text, target jsonb, options jsonb, actor text)
 RETURNS SETOF uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.assign(uuid,text,text,jsonb,jsonb,text) is 'Gives an item to a target, and returns the id of each assignment it made: one, or one an account of `accounts`. ES002, ES004, ES005, ES010 (no such slot or item).';

CREATE OR REPLACE FUNCTION directory.change_assignment(assignment_id uuid, options jsonb, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.change_assignment(uuid,jsonb,text) is 'Sets the named options of an assignment; null sets an option''s default. Its age stays. ES004, ES005.';

CREATE OR REPLACE FUNCTION directory.create_account(tenant_id uuid, profile jsonb, actor text)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  tenant uuid;
  account entra_sync.accounts;
  given jsonb;
  key text;
  new_value jsonb;
  type text;
  callers text;
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_object(profile, 'profile');
  profile := entra_sync.empty_as_null(profile);
  perform entra_sync.require_latest_snapshot();
  callers := entra_sync.limit_wait();
  select t.tenant_id into tenant from entra_sync.tenants t
   where t.tenant_id = create_account.tenant_id and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)
   for no key update;
  perform set_config('lock_timeout', callers, true);
  if tenant is null then
    raise exception using errcode = 'ES004', message = format('there is no tenant %s', coalesce(create_account.tenant_id::text, 'null')),
      hint = 'Take tenant_id from directory.tenants. Where directory.tenant is set, or required of the role, it must name this tenant.';
  end if;
  for key, new_value in select e.key, e.value from jsonb_each(profile) e loop
    select r.value_type into type from entra_sync.field_rules r where r.tenant_id = tenant and r.field = key;
    if type is null and key <> 'userPrincipalName' then
      perform entra_sync.refuse_unknown_field(tenant, key, array['userPrincipalName']);
    end if;
    perform entra_sync.require_fitting(key, new_value, coalesce(type, 'text'), key in ('mail', 'userPrincipalName'));
    perform entra_sync.require_within(tenant, key, new_value);
  end loop;
  given := coalesce((
    select jsonb_object_agg(e.key, e.value) from jsonb_each(profile) e
      join entra_sync.field_rules r on r.tenant_id = tenant and r.field = e.key
     where e.value <> 'null'), '{}');
  insert into entra_sync.accounts (tenant_id, state, user_principal_name, mail, overrides, edits)
  values (tenant, 'manual', entra_sync.trimmed(profile ->> 'userPrincipalName'), entra_sync.trimmed(profile ->> 'mail'), given,
          coalesce((select jsonb_object_agg(f, jsonb_build_object('by', actor, 'at', now())) from jsonb_object_keys(given) as f), '{}'))
  returning * into account;
  perform entra_sync.require_free_keys(account);
  perform entra_sync.write_account_change(account, actor, 'account.created', null, entra_sync.account_facts(account));
  return account.account_id;
end $function$;
comment on function directory.create_account(uuid,jsonb,text) is 'A new manual account; its fields, and userPrincipalName. ES002, ES004 (no such tenant), ES005, ES008.';

CREATE OR REPLACE FUNCTION directory.drop_item(tenant_id uuid, slot text, item text, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.drop_item(uuid,text,text,text) is 'Drops an item. ES004, ES010: there is none, or it is assigned and nothing of all tenants stands behind it.';

CREATE OR REPLACE FUNCTION directory.drop_slot(tenant_id uuid, slot text, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.drop_slot(uuid,text,text) is 'Drops a slot. ES004, ES010: there is none, or it has items or assignments and nothing of all tenants stands behind it.';

CREATE OR REPLACE FUNCTION directory.edit_account(account_id uuid, patch jsonb, actor text, actor_role text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_object(patch, 'patch');
  patch := entra_sync.empty_as_null(patch);
  return entra_sync.edit_locked(
    entra_sync.lock_to_edit(edit_account.account_id, array(select jsonb_object_keys(patch))), patch, actor, actor_role, null);
end $function$;
comment on function directory.edit_account(uuid,jsonb,text,text) is 'A person''s edit: sets fields of one account, all or nothing, and returns the new profile. null or "" clears. ES001 to ES005, ES008.';

CREATE OR REPLACE FUNCTION directory.edit_as(actor_account_id uuid, account_id uuid, patch jsonb, expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account entra_sync.accounts;
  role text;
begin
  -- An unknown account is told before anything of the patch, which is cut here and refused below.
  account := entra_sync.lock_to_edit(edit_as.account_id, case jsonb_typeof(patch) when 'object' then
    array(select k from jsonb_object_keys(patch) as k limit 500) else '{}' end);
  role := entra_sync.role_over(actor_account_id, account);
  perform entra_sync.require_object(patch, 'patch');
  return entra_sync.edit_locked(account, entra_sync.empty_as_null(patch), 'account:' || actor_account_id, role, expected_updated_at);
end $function$;
comment on function directory.edit_as(uuid,uuid,jsonb,timestamp with time zone) is 'An edit by an account, of itself (role user) or of an account that it manages (role manager); returns the new profile. ES004, ES003, then ES001, ES002, ES005, then ES009 where a field of the patch has changed since expected_updated_at: DETAIL holds field, yours and theirs; then ES008. null is no check.';

CREATE OR REPLACE FUNCTION directory.explain_account(account_id uuid)
 RETURNS TABLE(field text, value jsonb, origin text, owner text, editable_by text[], mapped_from text, directory_value jsonb, user_value jsonb, since timestamp with time zone, changed_by text)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account entra_sync.accounts;
begin
  select a.* into account from entra_sync.accounts a
   where a.account_id = explain_account.account_id and a.tenant_id = coalesce(entra_sync.narrowed_to(), a.tenant_id);
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(explain_account.account_id);
  end if;
  return query
    with touched as (
      select distinct on (k.name, e.edited) k.name, e.edited, c.change_id, c.at, c.actor
        from entra_sync.changes c
        cross join lateral (select c.kind = 'account.edited' as edited) e
        cross join lateral (
          select jsonb_object_keys(coalesce(c.before -> 'profile', '{}') || coalesce(c.after -> 'profile', '{}')
            || coalesce(c.before -> 'directory', '{}') || coalesce(c.after -> 'directory', '{}')) as name) k
       where c.account_id = account.account_id
       order by k.name, e.edited, c.change_id desc
    ), known as (
      select r.field as name from entra_sync.field_rules r where r.tenant_id = account.tenant_id
      union
      select jsonb_object_keys(account.profile || account.shelf)
    )
    select n.name, nullif(account.profile -> n.name, 'null'),
           e.origin,
           r.owner,
           coalesce(case account.state when 'managed' then r.editable_by else r.manual_editable_by end, '{}'),
           r.mapped_from, nullif(account.mapped -> n.name, 'null'),
           coalesce(account.overrides -> n.name, account.shelf -> n.name),
           coalesce(case e.origin when 'user' then (account.edits -> n.name ->> 'at')::timestamptz end, t.at, account.created_at),
           coalesce(case e.origin when 'user' then account.edits -> n.name ->> 'by' end, t.actor)
      from known n
      cross join lateral (
        select case when jsonb_exists(account.overrides, n.name) then 'user'
                    when nullif(account.mapped -> n.name, 'null') is not null then 'directory' else 'none' end as origin) e
      left join entra_sync.field_rules r on r.tenant_id = account.tenant_id and r.field = n.name
      -- What a person wrote once does not tell since when the directory says the same.
      left join lateral (
        select o.at, o.actor from touched o
         where o.name = n.name and not (o.edited and e.origin = 'directory')
         order by o.change_id desc limit 1) t on true
     order by n.name;
end $function$;
comment on function directory.explain_account(uuid) is 'Why each field of an account, live or removed, shows what it shows. A value of a person that is kept and not in force is in user_value, too. ES004.';

CREATE OR REPLACE FUNCTION directory.explain_assignment(account_id uuid, slot text)
 RETURNS SETOF directory.assignment_candidate
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.explain_assignment(uuid,text) is 'Every assignment of the slot that reaches the account, in order, with what comes of it and why. ES004, ES010.';

CREATE OR REPLACE FUNCTION directory.feed_position()
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select e.epoch || ':' || e.number || ':' || e.change || coalesce('_' || entra_sync.feed_ranges((
           select range_agg(int8range(b.batch_id, b.batch_id, '[]')) from entra_sync.batches b where b.number is null)), '')
    from entra_sync.feed_end() e
$function$;
comment on function directory.feed_position() is 'Where the feed stands now. Read it and the views in one repeatable read transaction, then follow with read_changes.';

CREATE OR REPLACE FUNCTION directory.find(tenant_id uuid, words text, max integer DEFAULT 20, with_removed boolean DEFAULT false)
 RETURNS SETOF directory.found_row
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  asked constant uuid := find.tenant_id;
  wanted constant integer := coalesce(find.max, 20);
begin
  if not exists (
    select from entra_sync.tenants t where t.tenant_id = asked and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(asked);
  elsif wanted < 1 or wanted > 1000 then
    raise exception using errcode = '22023', message = 'max must be between 1 and 1000';
  end if;
  return query select f.* from entra_sync.find_ranked(array[asked], find.words, wanted, coalesce(find.with_removed, false)) f;
end $function$;
comment on function directory.find(uuid,text,integer,boolean) is 'The accounts and groups that the words mean, best first: by object id or its beginning, by beginnings and parts of the words of name and address, without case and accents; the nearest where nothing fits. Removed ones where with_removed says so. ES004.';

CREATE OR REPLACE FUNCTION directory.group_history(group_id uuid)
 RETURNS SETOF directory.history_row
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  wanted constant uuid := group_history.group_id;
  only_tenant constant uuid := entra_sync.narrowed_to();
begin
  if not exists (select from entra_sync.groups g where g.group_id = wanted and g.tenant_id = coalesce(only_tenant, g.tenant_id))
     and not exists (select from entra_sync.changes c where c.group_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)) then
    raise exception using errcode = 'ES004', message = format('there is no group %s', coalesce(wanted::text, 'null')),
      hint = 'Take group_id from directory.groups. Where directory.tenant is set, or required of the role, it must name the group''s tenant.';
  end if;
  return query
    with mine as (
      select c.change_id, c.at, c.actor, c.cycle_id, c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after, c.tenant_id
        from entra_sync.changes c where c.group_id = wanted
      union all
      select m.change_id, c.at, c.actor, c.cycle_id, c.kind, c.account_id, m.group_id, c.member_group_id, c.before, c.after, c.tenant_id
        from entra_sync.changes c cross join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id)
       where c.group_ids @> array[wanted] and m.group_id = wanted
      union all
      select coalesce(m.change_id, c.change_id), c.at, c.actor, c.cycle_id, c.kind, c.account_id, coalesce(m.group_id, c.group_id),
             c.member_group_id, c.before, c.after, c.tenant_id
        from entra_sync.changes c left join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id) on true
       where c.member_group_id = wanted
    )
    select c.change_id, c.at, c.actor, c.cycle_id, c.kind, f.field, f.before, f.after
      from mine c
      left join lateral (
        select x.field, x.before, x.after from entra_sync.change_fields(c.before, c.after) x where c.kind like 'group.%'
        union all
        -- The history of a nested group names the group that holds it. Every other history names the member.
        select s.field, case when c.kind = 'membership.removed' then s.value end, case when c.kind = 'membership.added' then s.value end
          from (select case when c.member_group_id = wanted then 'group' else 'member' end as field,
                       to_jsonb(case when c.member_group_id = wanted then c.group_id else coalesce(c.account_id, c.member_group_id) end) as value) s
         where c.kind like 'membership.%'
        union all
        select 'assignment', c.before, c.after where c.kind like 'assignment.%'
        union all
        select 'removal', null, c.after where c.kind like 'removal.%') f on true
     where c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by c.change_id desc, f.field;
end $function$;
comment on function directory.group_history(uuid) is 'What happened to a group, one row a field, newest first: its members (member), the groups that hold it (group), and the assignments to it, too. ES004.';

CREATE OR REPLACE FUNCTION directory.latest_changes(tenant_id uuid, max integer DEFAULT 50)
 RETURNS SETOF directory.change_row
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
 SET enable_bitmapscan TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  asked constant uuid := latest_changes.tenant_id;
  wanted constant integer := coalesce(latest_changes.max, 50);
  tenant constant uuid := coalesce(asked, entra_sync.narrowed_to());
begin
  if asked is not null and not exists (
    select from entra_sync.tenants t where t.tenant_id = asked and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(asked);
  elsif wanted < 1 then
    raise exception using errcode = '22023', message = 'max must be at least 1';
  end if;
  return query
    select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after
      from entra_sync.batches b
     cross join lateral (
        -- Packed rows of one batch do not overlap: its last rows have its last changes.
        select coalesce(m.change_id, r.change_id) as change_id, r.tenant_id, r.at, r.cycle_id, r.actor, r.kind, r.account_id,
               coalesce(m.group_id, r.group_id) as group_id, r.member_group_id, r.before, r.after
          from (select * from entra_sync.changes x where x.batch_id = b.batch_id order by x.change_id desc limit wanted) r
          left join lateral unnest(r.change_ids, r.group_ids) m (change_id, group_id) on true
         order by 1 desc limit wanted
      ) c
     where tenant is null or b.tenant_id = tenant
     -- A batch without a number is newer than all others.
     order by b.number desc nulls first, c.change_id desc limit wanted;
end $function$;
comment on function directory.latest_changes(uuid,integer) is 'The last changes of a tenant (null: of all that the role sees), newest first in the order of the feed, 50 unless max says otherwise. It reads the newest batches alone. ES004.';

CREATE OR REPLACE FUNCTION directory.managed(manager_account_id uuid, words text DEFAULT NULL::text, after_name text DEFAULT NULL::text, after_account_id uuid DEFAULT NULL::uuid, max integer DEFAULT 50)
 RETURNS SETOF directory.managed_row
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select m.* from directory.managed(managed.manager_account_id, managed.words, managed.after_name,
    managed.after_account_id, managed.max, 'name', false) m
$function$;
comment on function directory.managed(uuid,text,text,uuid,integer) is 'The live accounts that an account manages, by name, at most max (50, and never more than 1,000), after the one with these sort_name and account_id. words: each begins a word of the name or address. ES004.';

CREATE OR REPLACE FUNCTION directory.managed(manager_account_id uuid, words text, after_name text, after_account_id uuid, max integer, order_by text, descending boolean)
 RETURNS SETOF directory.managed_row
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
#variable_conflict use_column
declare
  only_tenant constant uuid := entra_sync.narrowed_to();
  last constant text := U&'\+10FFFF';
  by_mail constant boolean := coalesce(managed.order_by, 'name') = 'mail';
  backwards constant boolean := coalesce(managed.descending, false);
  wanted constant text[] := array(
    select distinct w from unnest(entra_sync.words_asked(left(managed.words, 200))) as w where w <> '');
  -- At most so many names are read: one takes as long as a hundred rows of the index of words.
  few constant integer := 1000;
  manager entra_sync.accounts;
  everyone boolean;
  groups integer[];
  -- Whether the team is everyone, or more than a few.
  is_large boolean;
  page constant integer := greatest(1, least(coalesce(managed.max, 50), 1000));
  near integer[] := '{}';
  -- The accounts that may be; null: all of the tenant.
  numbers integer[];
  rarest text;
  holders integer;
  -- Whether these came by the words and are not most of the tenant, all are managed, and all have the words.
  are_found boolean := wanted <> '{}';
  managed_all boolean := true;
  named_all boolean := wanted = '{}';
begin
  if managed.order_by not in ('name', 'mail') then
    raise exception using errcode = '22023', message = 'order_by must be name or mail';
  end if;
  select a.* into manager from entra_sync.accounts a
   where a.account_id = managed.manager_account_id and a.tenant_id = coalesce(only_tenant, a.tenant_id)
     and a.removed_at is null;
  if manager.account_id is null then
    perform entra_sync.refuse_unknown_account(managed.manager_account_id);
  end if;
  if not exists (select from entra_sync.tenants_with_managers k where k.tenant_id = manager.tenant_id) then
    -- By groups alone: no account names it as the manager.
    manager.entra_object_id := null;
  end if;
  select coalesce(bool_or(b.people_id is null), false),
         coalesce(array_agg(distinct g.group_no) filter (where g.group_no is not null), '{}')
    into everyone, groups
    from entra_sync.managed_by b
    join entra_sync.groups h on h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
    join entra_sync.effective_members e on e.group_no = h.group_no and e.account_no = manager.account_no
    left join entra_sync.groups g on g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id
   where b.tenant_id = manager.tenant_id;

  is_large := everyone or few < (
    select count(*) from (
      (select from entra_sync.accounts r
        where r.tenant_id = manager.tenant_id and r.manager_object_id = manager.entra_object_id limit few + 1)
      union all
      (select from entra_sync.effective_members e where e.group_no = any(groups) limit few + 1)) c);
  if is_large and not named_all then
    select w.word, w.holders into rarest, holders
      from (select u.w as word, (select count(*) from (
              select from entra_sync.words x
               where x.tenant_id = manager.tenant_id and x.kind = 'a'
                 and x.word >= left(u.w, 64) and x.word < left(u.w, 64) || last limit few + 1) c) as holders
              from unnest(wanted) as u (w)) w
     order by w.holders, length(w.word) desc limit 1;
  end if;
  -- A large team, or a word that many accounts have, fills its page from the next accounts in the order.
  if is_large and (named_all or holders > few) then
    near := array(
      select o.account_no
        from unnest(entra_sync.next_by_order(manager.tenant_id, by_mail, backwards, managed.after_name,
                      managed.after_account_id, case when named_all then few else few / 2 end + page))
             with ordinality as u (id, place)
       cross join lateral (select c.* from entra_sync.accounts c where c.account_id = u.id offset 0) o
       where o.removed_at is null and o.account_no <> manager.account_no
         and (everyone or o.manager_object_id = manager.entra_object_id or exists (
           select from entra_sync.effective_members e
            where e.account_no = o.account_no and e.group_no = any(groups) offset 0))
         and (named_all or not exists (
           select from unnest(wanted) w where not exists (
             select from unnest(entra_sync.words_of(
                           entra_sync.account_name(o.profile, o.source, o.user_principal_name, o.mail))) x
              where starts_with(x, w))))
       order by u.place limit page);
  end if;

  if cardinality(near) = page then
    numbers := near;
    are_found := true;
    named_all := true;
  elsif not everyone and (named_all or not is_large) then
    numbers := array(
      select r.account_no from entra_sync.accounts r
       where r.tenant_id = manager.tenant_id and r.manager_object_id = manager.entra_object_id
      union
      select e.account_no from entra_sync.effective_members e where e.group_no = any(groups)
       order by 1);
  elsif not named_all then
    managed_all := everyone;
    if holders <= few then
      numbers := array(
        select distinct x.no from entra_sync.words x
         where x.tenant_id = manager.tenant_id and x.kind = 'a'
           and x.word >= left(rarest, 64) and x.word < left(rarest, 64) || last order by 1);
    else
      -- The index alone tells which accounts have all the words.
      named_all := true;
      numbers := array(
        select f.no from unnest(wanted) as u (w)
         cross join lateral (
           select distinct x.no from entra_sync.words x
            where x.tenant_id = manager.tenant_id and x.kind = 'a'
              and x.word >= left(u.w, 64) and x.word < left(u.w, 64) || last) f
         group by f.no having count(*) = cardinality(wanted) order by 1);
      -- Beyond that, reading the tenant once costs less than looking each account up.
      are_found := cardinality(numbers) <= 20 * few;
    end if;
  end if;

  return query
    select n.account_id, n.display_name, n.mail, n.via, n.sort_name from (
      select a.account_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName'), a.mail,
             case when a.manager_object_id = manager.entra_object_id then 'line' else 'group' end,
             case when by_mail then coalesce(entra_sync.folded(a.mail), '')
                  else entra_sync.sort_name(a.profile, a.source, a.user_principal_name, a.mail) end
        from (
          -- Each is looked up: before ANALYZE all accounts of the tenant would be read for them.
          select o.* from unnest(numbers) as u (no)
           cross join lateral (select c.* from entra_sync.accounts c where c.account_no = u.no offset 0) o
           where are_found
          union all
          select c.* from entra_sync.accounts c
           where not are_found and c.tenant_id = manager.tenant_id
             and (numbers is null or c.account_no = any(numbers))) a
       where a.tenant_id = manager.tenant_id and a.removed_at is null and a.account_no <> manager.account_no
         and (managed_all or a.manager_object_id = manager.entra_object_id or exists (
           select from entra_sync.effective_members e
            where e.account_no = a.account_no and e.group_no = any(groups) offset 0))
         and (named_all or not exists (
           select from unnest(wanted) w where not exists (
             select from unnest(entra_sync.words_of(
                           entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail))) x
              where starts_with(x, w))))
       offset 0) n (account_id, display_name, mail, via, sort_name)
     where case
       when managed.after_name is null then true
       when n.sort_name = managed.after_name
         then n.account_id > coalesce(managed.after_account_id, '00000000-0000-0000-0000-000000000000')
       when '' in (n.sort_name, managed.after_name) then n.sort_name = ''
       else backwards = (n.sort_name < managed.after_name) end
     order by n.sort_name = '', case when not backwards then n.sort_name end,
              case when backwards then n.sort_name end desc, n.account_id
     limit page;
end $function$;
comment on function directory.managed(uuid,text,text,uuid,integer,text,boolean) is 'As the one without an order: by name or mail, from the last if descending; without one, accounts are last. 22023, ES004.';

CREATE OR REPLACE FUNCTION directory.manages(manager_account_id uuid, account_id uuid)
 RETURNS text
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  only_tenant constant uuid := entra_sync.narrowed_to();
  manager entra_sync.accounts;
  account entra_sync.accounts;
begin
  select a.* into account from entra_sync.accounts a
   where a.account_id = manages.account_id and a.tenant_id = coalesce(only_tenant, a.tenant_id) and a.removed_at is null;
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(manages.account_id);
  end if;
  select a.* into manager from entra_sync.accounts a
   where a.account_id = manages.manager_account_id and a.tenant_id = account.tenant_id and a.removed_at is null;
  if manager.account_id is null then
    perform entra_sync.refuse_unknown_account(manages.manager_account_id);
  end if;
  return entra_sync.manages(manager, account);
end $function$;
comment on function directory.manages(uuid,uuid) is 'How the first account manages the second: line, else group (as directory.managers says), or null. ES004.';

CREATE OR REPLACE FUNCTION directory.memberships_at(tenant_id uuid, at timestamp with time zone)
 RETURNS SETOF directory.membership_then
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  tenant constant uuid := memberships_at.tenant_id;
  moment constant timestamptz := memberships_at.at;
begin
  perform entra_sync.require_time(tenant, moment);
  return query
    with first as materialized (
      select distinct on (c.group_id, c.account_id, c.member_group_id) c.group_id, c.account_id, c.member_group_id, c.kind
        from entra_sync.batches b join entra_sync.change_rows c on c.batch_id = b.batch_id
       where b.tenant_id = tenant and b.committed_at > moment and c.kind in ('membership.added', 'membership.removed')
       order by c.group_id, c.account_id, c.member_group_id, c.change_id
    )
    select tenant, m.group_id, m.member_kind, m.account_id, m.member_group_id from directory.memberships m
     where m.tenant_id = tenant
       and not exists (select from first f where f.group_id = m.group_id
                        and f.account_id is not distinct from m.account_id and f.member_group_id is not distinct from m.member_group_id)
    union all
    select tenant, f.group_id, case when f.account_id is null then 'group' else 'account' end, f.account_id, f.member_group_id
      from first f where f.kind = 'membership.removed';
end $function$;
comment on function directory.memberships_at(uuid,timestamp with time zone) is 'directory.memberships of a tenant as it was. ES004, ES006.';

CREATE OR REPLACE FUNCTION directory.move_assignments(from_group_id uuid, to_group_id uuid, actor text)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.move_assignments(uuid,uuid,text) is 'Gives another group all assignments of a group, also of one that was purged, and returns how many. Their ages stay. ES004.';

CREATE OR REPLACE FUNCTION directory.preview_assignment(tenant_id uuid, slot text, item text, target jsonb, options jsonb)
 RETURNS SETOF directory.assignment_preview
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_nestloop TO 'off'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
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
end $function$;
comment on function directory.preview_assignment(uuid,text,text,jsonb,jsonb) is 'The accounts whose items of the slot would change if this were assigned, as of its start, with the items before and after. Nothing is written. ES002, ES004, ES005, ES010.';

CREATE OR REPLACE FUNCTION directory.put_item(tenant_id uuid, slot text, item text, title text, html text, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.put_item(uuid,text,text,text,text,text) is 'Makes or changes an item of a slot. tenant_id null: of all tenants. ES004, ES005, ES010 (no such slot).';

CREATE OR REPLACE FUNCTION directory.put_slot(tenant_id uuid, slot text, winners integer, title text, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.put_slot(uuid,text,integer,text,text) is 'Makes or changes a slot: how many items of it one account gets. tenant_id null: of all tenants, which follow one by one. ES004, ES005.';

CREATE OR REPLACE FUNCTION directory.read_changes(after text, max integer DEFAULT 1000)
 RETURNS SETOF directory.feed_row
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  ranges constant text := '[0-9]{1,18}(-[0-9]{1,18})?(\.[0-9]{1,18}(-[0-9]{1,18})?)*';
  parts text[] := string_to_array(after, '_');
  head text[] := string_to_array(parts[1], ':');
  feed entra_sync.feed;
  feed_end record;
  until_number bigint;
  from_number bigint;
  from_change bigint;
  only_tenant constant uuid := entra_sync.narrowed_to();
  wanted integer := coalesce(max, 1000);
  found_rows integer;
  -- Batches that were read before those of lower numbers, and up to which number there are any.
  known int8multirange := '{}';
  known_until bigint;
  skipping text;
  -- The position may stand amid a page of unnumbered batches: that page, its half-read batch, and the tenant of that batch.
  page int8multirange := '{}';
  half bigint;
  half_tenant uuid;
  ids bigint[];
  lasts bigint[];
  fresh int8multirange;
  last_of_all bigint;
  whole text;
  amid text;
begin
  select * into strict feed from entra_sync.feed;
  select * into strict feed_end from entra_sync.feed_end();
  -- From null too, nothing before what was pruned: its positions would be refused at the next call.
  from_number := feed.pruned_number;
  from_change := feed.pruned_change;
  if after is not null then
    -- Up to there this server has what the position's epoch had.
    until_number := case when head[1] in (feed_end.epoch, feed.epoch) then feed_end.number
                         else (select e.last_number from entra_sync.feed_epochs e where e.epoch = head[1]) end;
    if after !~ ('^[0-9a-f]{8}:[0-9]{1,18}:[0-9]{1,18}(_' || ranges || '|_(' || ranges || ')?_' || ranges || '_[0-9]{1,18}_[0-9]{1,18})?$')
       or until_number is null
       or (head[2]::bigint, head[3]::bigint) < (feed.pruned_number, feed.pruned_change)
       or head[2]::bigint > until_number
       or (head[1] <> feed_end.epoch
           and not entra_sync.has_all(entra_sync.feed_batches(parts[2]) + entra_sync.feed_batches(parts[3]), until_number)) then
      raise exception using errcode = 'ES006',
        message = format('the feed position %s is too old or not of this database', left(quote_literal(after), 60)),
        hint = 'Read the views again, take directory.feed_position() and follow from there.';
    end if;
    from_number := head[2];
    from_change := head[3];
  end if;
  if wanted < 1 then
    raise exception using errcode = '22023', message = 'max must be at least 1';
  end if;

  if cardinality(parts) > 1 then
    known := entra_sync.feed_batches(parts[2]);
  end if;
  if cardinality(parts) = 5 then
    page := entra_sync.feed_batches(parts[3]);
    select known + coalesce(range_agg(int8range(b.batch_id, b.batch_id, '[]')) filter (where b.last_change < parts[4]::bigint), '{}'),
           max(b.batch_id) filter (where b.last_change = parts[4]::bigint)
      into known, half
      from unnest(page) r
      cross join lateral (
        select x.batch_id, entra_sync.batch_end(x.batch_id) as last_change
          from entra_sync.batches x where x.batch_id >= lower(r) and x.batch_id < upper(r)
           and (x.number > from_number or x.number is null) offset 0) b;
  end if;
  -- Where a batch that was read has a number by now, a position of a higher one need not name it any more.
  if known <> '{}' or half is not null then
    select coalesce(range_agg(int8range(b.batch_id, b.batch_id, '[]')), '{}'), max(coalesce(b.number, 9223372036854775807))
      into known, known_until
      from unnest(case when half is null then known else known + int8multirange(int8range(half, half, '[]')) end) r
      cross join lateral (
        select x.batch_id, x.number from entra_sync.batches x where x.batch_id >= lower(r) and x.batch_id < upper(r)
           and (x.number > from_number or x.number is null) offset 0) b;
    skipping := '_' || entra_sync.feed_ranges(known);
  end if;

  if half is not null then
    select b.tenant_id into half_tenant from entra_sync.batches b where b.batch_id = half;
    if half_tenant = coalesce(only_tenant, half_tenant) then
      return query
        select array_to_string(parts[1:4], '_') || '_' || c.change_id, c.*
          from entra_sync.batch_rows(half, parts[5]::bigint, only_tenant, wanted) c order by c.change_id;
      get diagnostics found_rows = row_count;
      wanted := wanted - found_rows;
    end if;
  end if;

  if wanted > 0 then
    return query
      select feed_end.epoch || ':' || b.number || ':' || c.change_id || case when b.number < known_until then skipping else '' end, c.*
        from entra_sync.batches b
        cross join lateral entra_sync.batch_rows(
          b.batch_id, case when b.number = from_number then from_change else 0 end, only_tenant, wanted) c
       where b.number >= from_number and b.tenant_id = coalesce(only_tenant, b.tenant_id) and not known @> b.batch_id
       order by b.number, c.change_id
       limit wanted;
    get diagnostics found_rows = row_count;
    wanted := wanted - found_rows;
  end if;

  -- Committed batches that have no number yet, in the order in which they will be numbered.
  if wanted > 0 then
    select array_agg(u.batch_id order by u.last_change), array_agg(u.last_change order by u.last_change), max(u.last_change) into ids, lasts, last_of_all
      from (select u.batch_id, u.last_change from entra_sync.unnumbered_batches u
             where u.last_change > 0 and u.tenant_id = coalesce(only_tenant, u.tenant_id) and not known @> u.batch_id
             -- Each holds a change, so the page needs no more of them, and its positions name no more.
             order by u.last_change limit wanted) u;
    if ids is not null then
      select coalesce(range_agg(int8range(b.batch_id, b.batch_id, '[]')), '{}') into known
        from entra_sync.batches b where b.number is null and known @> b.batch_id;
      select range_agg(int8range(u.batch_id, u.batch_id, '[]')) into fresh
        from entra_sync.unnumbered_batches u where u.last_change <= last_of_all and not known @> u.batch_id;
      skipping := feed_end.epoch || ':' || feed_end.number || ':' || feed_end.change || '_';
      whole := skipping || entra_sync.feed_ranges(known + fresh);
      amid := skipping || coalesce(entra_sync.feed_ranges(known), '') || '_' || entra_sync.feed_ranges(fresh) || '_';
      -- The limit ends the walk through the batches at the end of the page; the walk itself is in their order.
      return query
        select case when x.change_id = last_of_all then whole else amid || x.last_change || '_' || x.change_id end,
               x.change_id, x.tenant_id, x.at, x.cycle_id, x.actor, x.kind, x.account_id, x.group_id, x.member_group_id, x.before, x.after
          from (select u.place, u.last_change, c.*
                  from unnest(ids, lasts) with ordinality as u (batch_id, last_change, place)
                 cross join lateral entra_sync.batch_rows(u.batch_id, 0, only_tenant, wanted) c
                 limit wanted) x
         order by x.place, x.change_id;
    end if;
  end if;
end $function$;
comment on function directory.read_changes(text,integer) is 'Changes after a position, oldest first; null reads from the oldest from which on nothing is missing. ES006: the position is too old or of another database.';

CREATE OR REPLACE FUNCTION directory.remove_account(account_id uuid, actor text, actor_role text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.remove_account(uuid,text,text) is 'Removes a manual account; it can be restored until the retention has passed. ES003, ES004, ES007.';

CREATE OR REPLACE FUNCTION directory.request_cycle(tenant_id uuid, account_id uuid, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  tenant uuid;
  tenant_status text;
  callers text;
begin
  perform entra_sync.require_actor(actor);
  select t.tenant_id, t.status into tenant, tenant_status from entra_sync.tenants t
   where t.tenant_id = request_cycle.tenant_id and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id);
  if tenant is null then
    raise exception using errcode = 'ES004', message = format('there is no tenant %s', coalesce(request_cycle.tenant_id::text, 'null')),
      hint = 'Take tenant_id from directory.tenants. Where directory.tenant is set, or required of the role, it must name this tenant.';
  end if;
  if tenant_status = 'disconnected' then
    raise exception using errcode = '55000', message = 'the tenant is disconnected: nothing is read from its directory',
      hint = 'Reconnect it (entra-sync tenant reconnect), then ask again.';
  end if;
  if account_id is not null and not exists (
    select from entra_sync.accounts a where a.tenant_id = tenant and a.account_id = request_cycle.account_id) then
    perform entra_sync.refuse_unknown_account(request_cycle.account_id);
  end if;
  callers := entra_sync.limit_wait();
  insert into entra_sync.cycle_requests (tenant_id, account_id, actor)
  values (tenant, request_cycle.account_id, request_cycle.actor)
  on conflict do nothing;
  perform set_config('lock_timeout', callers, true);
end $function$;
comment on function directory.request_cycle(uuid,uuid,text) is 'Asks the worker for a cycle of the tenant now, or with account_id for one person. Asked again before it begins, it is one. ES004, 55000 (disconnected).';

CREATE OR REPLACE FUNCTION directory.restore_account(account_id uuid, actor text, actor_role text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account entra_sync.accounts;
  roles text[];
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_latest_snapshot();
  account := entra_sync.lock_removed(restore_account.account_id);
  select t.manual_roles into roles from entra_sync.tenants t where t.tenant_id = account.tenant_id;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003', message = format('the role %s may not restore accounts', entra_sync.quoted(actor_role)),
      hint = 'manual.editableBy in the settings says who may'
        || case when roles = '{}' then ': no role.' else ': ' || array_to_string(roles, ', ') || '.' end,
      detail = entra_sync.error_detail('ES003', null, jsonb_build_object('roles', roles));
  end if;
  return entra_sync.restore_locked(account, restore_account.actor);
end $function$;
comment on function directory.restore_account(uuid,text,text) is 'Shows an account again that was removed by hand or by an approved list of held removals, as a manual one, and returns its profile. ES003, ES004 (purged too), ES007 (a cycle removed it), ES008; 55000 for a live one.';

CREATE OR REPLACE FUNCTION directory.revert_account(account_id uuid, fields text[], actor text, actor_role text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account entra_sync.accounts;
  reverted text[];
  leftovers text[] := '{}';
  key text;
begin
  perform entra_sync.require_actor(actor);
  if fields is null and (actor_role in ('user', 'manager')) is not true then
    raise exception using errcode = 'ES003', message = format('the role %s may edit no field', entra_sync.quoted(actor_role)),
      hint = 'The roles are user and manager.',
      detail = entra_sync.error_detail('ES003', null, '{"roles": ["user", "manager"]}');
  end if;
  account := entra_sync.lock_to_edit(revert_account.account_id, coalesce(fields, array['mail', 'userPrincipalName']));
  -- A field that was taken out of the settings has no rule any more; on a manual account its value can be let go of.
  if account.state = 'manual' then
    leftovers := array(
      select f from jsonb_object_keys(account.overrides) as f
       where not exists (select from entra_sync.field_rules r where r.tenant_id = account.tenant_id and r.field = f)
         and exists (select from entra_sync.tenants t where t.tenant_id = account.tenant_id and actor_role = any(t.manual_roles)));
  end if;
  if fields is null then
    reverted := array(
      select r.field from entra_sync.field_rules r
       where r.tenant_id = account.tenant_id
         and actor_role = any(case account.state when 'managed' then r.editable_by else r.manual_editable_by end)) || leftovers;
  else
    reverted := fields;
    foreach key in array reverted loop
      if (key = any(leftovers)) is not true then
        perform entra_sync.require_editable(account, key, actor_role);
      end if;
    end loop;
  end if;
  -- Only of what is in force: of a value on the shelf the edit is kept with it.
  reverted := array(select f from unnest(reverted) as f where jsonb_exists(account.overrides, f));
  return entra_sync.store_edit(account, account.overrides - reverted, account.edits - reverted, account.shelf, reverted, actor);
end $function$;
comment on function directory.revert_account(uuid,text[],text,text) is 'Gives fields back to the directory''s value, null for all that the role may edit, and returns the new profile. ES001 to ES004, ES008.';

CREATE OR REPLACE FUNCTION directory.revert_as(actor_account_id uuid, account_id uuid, fields text[], expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account entra_sync.accounts;
  role text;
  changed text;
  profile jsonb;
begin
  account := entra_sync.lock_to_edit(revert_as.account_id, coalesce(fields[1:500], array['mail', 'userPrincipalName']));
  role := entra_sync.role_over(actor_account_id, account);
  changed := entra_sync.changed_since(account, coalesce(fields, array(select jsonb_object_keys(account.overrides))), expected_updated_at);
  profile := directory.revert_account(revert_as.account_id, revert_as.fields, 'account:' || actor_account_id, role);
  -- The other errors come first. This one takes back what was written.
  if changed is not null then
    perform entra_sync.refuse_conflict(account, changed, account.mapped -> changed);
  end if;
  return profile;
end $function$;
comment on function directory.revert_as(uuid,uuid,text[],timestamp with time zone) is 'revert_account by an account, of itself or of an account that it manages; ES009 where a field has changed since expected_updated_at, as in edit_as.';

CREATE OR REPLACE FUNCTION directory.unassign(assignment_id uuid, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
comment on function directory.unassign(uuid,text) is 'Takes an assignment back. ES004.';

CREATE OR REPLACE FUNCTION directory.undo_account(account_id uuid, change_id bigint, actor text, actor_role text, expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  undone entra_sync.changes;
  fields text[];
  account entra_sync.accounts;
  key text;
  type text;
  was jsonb;
  given jsonb := '{}';
  reverted text[] := '{}';
  hidden text;
begin
  perform entra_sync.require_actor(actor);
  select c.* into undone from entra_sync.changes c
   where c.change_id = undo_account.change_id and c.account_id = undo_account.account_id and c.kind = 'account.edited'
     and c.tenant_id = coalesce(entra_sync.narrowed_to(), c.tenant_id);
  fields := array(select f from jsonb_object_keys(coalesce(undone.after -> 'profile', '{}')) as f order by f);
  account := entra_sync.lock_to_edit(undo_account.account_id, fields);
  if fields = '{}' then
    raise exception using errcode = '22023',
      message = format('change %s is no edit of account %s',
        coalesce(undo_account.change_id::text, 'null'), account.account_id),
      hint = 'directory.account_history shows its edits: the kind is account.edited.';
  end if;
  -- To take back an edit shows the value before it. A manager has seen the value that an edit of the manager replaced.
  if actor_role <> 'user' and undone.actor is distinct from undo_account.actor then
    select min(f) into hidden from unnest(fields) as f where f = any (entra_sync.private_fields(account.tenant_id));
    if hidden is not null then
      raise exception using errcode = 'ES003', column = hidden,
        message = format('an edit of %s by another is taken back by the person alone', entra_sync.quoted(hidden)),
        hint = 'The field is private in the settings: its earlier values are for the person. Edit it instead.',
        detail = entra_sync.error_detail('ES003', hidden, '{"roles": ["user"]}');
    end if;
  end if;
  foreach key in array fields loop
    type := entra_sync.require_editable(account, key, actor_role);
    was := nullif(undone.before -> 'profile' -> key, 'null');
    -- A field that showed the directory's value before follows the directory again.
    if was is not distinct from nullif(entra_sync.directory_value_at(account, key, undone.change_id), 'null') then
      reverted := reverted || key;
    else
      perform entra_sync.require_fitting(key, coalesce(was, 'null'), type,
        account.state = 'manual' and key in ('mail', 'userPrincipalName'));
      given := given || jsonb_build_object(key, was);
    end if;
  end loop;
  foreach key in array fields loop
    if nullif(account.profile -> key, 'null') is distinct from nullif(undone.after -> 'profile' -> key, 'null') then
      perform entra_sync.refuse_changed_field(key,
        format('the field %s no longer shows what that edit gave', entra_sync.quoted(key)));
    end if;
  end loop;
  perform entra_sync.require_unchanged(account, fields, undo_account.expected_updated_at);
  return entra_sync.store_edit(account,
    (account.overrides - reverted) || given,
    (account.edits - reverted) || coalesce((
      select jsonb_object_agg(f, jsonb_build_object('by', undo_account.actor, 'at', now()))
        from jsonb_object_keys(given) as f
       where account.overrides -> f is distinct from given -> f), '{}'),
    account.shelf - array(select jsonb_object_keys(given)),
    fields, actor);
end $function$;
comment on function directory.undo_account(uuid,bigint,text,text,timestamp with time zone) is 'Takes one edit back: its fields show again what they showed before it, under the rules of an edit. Returns the new profile. ES001 to ES005, ES008; ES003 for a manager where the edit is of a private field and not of the same actor; ES009 where a field no longer shows what the edit gave, or changed since expected_updated_at; 22023 for a change that is no edit of the account.';

CREATE OR REPLACE FUNCTION directory.undo_edit(account_id uuid, change_id bigint, actor_account_id uuid, expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  account entra_sync.accounts;
begin
  -- The lock that undo_account needs: a stronger one would be too late.
  account := entra_sync.lock_to_edit(undo_edit.account_id, array(
    select jsonb_object_keys(coalesce(c.after -> 'profile', '{}')) from entra_sync.changes c
     where c.change_id = undo_edit.change_id and c.account_id = undo_edit.account_id and c.kind = 'account.edited'));
  return directory.undo_account(undo_edit.account_id, undo_edit.change_id, 'account:' || actor_account_id,
    entra_sync.role_over(actor_account_id, account), undo_edit.expected_updated_at);
end $function$;
comment on function directory.undo_edit(uuid,bigint,uuid,timestamp with time zone) is 'undo_account by an account, of itself or of an account that it manages. ES003 for a manager where the edit is of a private field and not the manager''s own.';

create schema entra_sync;

create sequence entra_sync.account_numbers;

create sequence entra_sync.batch_numbers;

create table entra_sync.accounts (
  account_id uuid not null default gen_random_uuid(),
  tenant_id uuid not null,
  entra_object_id uuid,
  state text not null,
  enabled boolean not null default true,
  user_principal_name text,
  mail text,
  source jsonb not null default '{}'::jsonb,
  mapped jsonb not null default '{}'::jsonb,
  overrides jsonb not null default '{}'::jsonb,
  profile jsonb generated always as ((mapped || overrides)) stored,
  removed_at timestamp with time zone,
  removed_reason text,
  purge_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  read_live_at timestamp with time zone,
  memberships_read_at timestamp with time zone,
  shelf jsonb not null default '{}'::jsonb,
  edits jsonb not null default '{}'::jsonb,
  suspended_at timestamp with time zone,
  removal_approved boolean not null default false,
  suspension_rejected boolean not null default false,
  cleared text[] not null default '{}'::text[],
  account_no integer not null default nextval('entra_sync.account_numbers'::regclass),
  manager_object_id uuid,
  told_manager uuid,
  constraint accounts_pkey PRIMARY KEY (account_id),
  constraint accounts_check CHECK (((removed_at IS NULL) = (removed_reason IS NULL))),
  constraint accounts_check1 CHECK (((removed_at IS NULL) = (purge_at IS NULL))),
  constraint accounts_removed_reason_check CHECK ((removed_reason = ANY (ARRAY['deleted_restorable'::text, 'deleted'::text, 'out_of_scope'::text, 'disabled'::text, 'not_seen'::text, 'by_hand'::text]))),
  constraint accounts_state_check CHECK ((state = ANY (ARRAY['managed'::text, 'manual'::text])))
);
CREATE INDEX accounts_by_mail ON entra_sync.accounts USING btree (tenant_id, entra_sync.folded(mail));
CREATE INDEX accounts_by_manager ON entra_sync.accounts USING btree (tenant_id, manager_object_id) WHERE (manager_object_id IS NOT NULL);
CREATE UNIQUE INDEX accounts_by_number ON entra_sync.accounts USING btree (account_no) INCLUDE (account_id);
CREATE UNIQUE INDEX accounts_by_object ON entra_sync.accounts USING btree (tenant_id, entra_object_id);
CREATE INDEX accounts_by_principal ON entra_sync.accounts USING btree (tenant_id, entra_sync.folded(user_principal_name));
CREATE INDEX accounts_by_told_manager ON entra_sync.accounts USING btree (tenant_id, told_manager) WHERE (told_manager IS NOT NULL);
CREATE INDEX accounts_due_by_hand ON entra_sync.accounts USING btree (purge_at) WHERE (removed_reason = 'by_hand'::text);
CREATE INDEX accounts_suspended ON entra_sync.accounts USING btree (tenant_id, suspended_at) WHERE (suspended_at IS NOT NULL);
CREATE INDEX accounts_to_purge ON entra_sync.accounts USING btree (tenant_id, purge_at) WHERE (purge_at IS NOT NULL);
CREATE CONSTRAINT TRIGGER change_as_late AFTER UPDATE OF updated_at ON entra_sync.accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.updated_at > now()) AND (new.updated_at = (old.updated_at + '00:00:00.001'::interval)))) EXECUTE FUNCTION entra_sync.change_as_late();
CREATE TRIGGER drop_effective AFTER DELETE ON entra_sync.accounts REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION entra_sync.drop_effective();
CREATE TRIGGER later_than_before BEFORE UPDATE OF updated_at ON entra_sync.accounts FOR EACH ROW WHEN (((new.updated_at <> old.updated_at) AND (new.updated_at < (old.updated_at + '00:00:00.001'::interval)))) EXECUTE FUNCTION entra_sync.later_than_before();
CREATE TRIGGER note_cleared BEFORE INSERT OR UPDATE OF overrides ON entra_sync.accounts FOR EACH ROW WHEN (((new.overrides <> '{}'::jsonb) OR (new.cleared <> '{}'::text[]))) EXECUTE FUNCTION entra_sync.note_cleared();
CREATE TRIGGER note_manager BEFORE INSERT OR UPDATE OF source ON entra_sync.accounts FOR EACH ROW WHEN ((jsonb_exists(new.source, 'manager'::text) OR (new.manager_object_id IS NOT NULL))) EXECUTE FUNCTION entra_sync.note_manager();
CREATE TRIGGER words_kept AFTER UPDATE ON entra_sync.accounts FOR EACH ROW WHEN ((((old.mapped IS DISTINCT FROM new.mapped) OR (old.overrides IS DISTINCT FROM new.overrides) OR (old.source IS DISTINCT FROM new.source) OR (old.user_principal_name IS DISTINCT FROM new.user_principal_name) OR (old.mail IS DISTINCT FROM new.mail)) AND ((entra_sync.account_name(old.profile, old.source, old.user_principal_name, old.mail) IS DISTINCT FROM entra_sync.account_name(new.profile, new.source, new.user_principal_name, new.mail)) OR (entra_sync.sort_name(old.profile, old.source, old.user_principal_name, old.mail) <> entra_sync.sort_name(new.profile, new.source, new.user_principal_name, new.mail))))) EXECUTE FUNCTION entra_sync.keep_account_words();
CREATE TRIGGER words_of_gone AFTER DELETE ON entra_sync.accounts REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION entra_sync.words_of_gone_accounts();
CREATE TRIGGER words_of_new AFTER INSERT ON entra_sync.accounts REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION entra_sync.words_of_new_accounts();
comment on column entra_sync.accounts.source is 'The user as Graph has it, selected properties with a value only: what "absent = unchanged" of later rounds is merged with (rule 3).';
comment on column entra_sync.accounts.mapped is 'What the field mapping makes of source.';
comment on column entra_sync.accounts.overrides is 'Values that people gave to fields, in force over the directory''s.';
comment on column entra_sync.accounts.read_live_at is 'When an on-demand read last saw the person live: the sweep of a round that began before ignores the account.';
comment on column entra_sync.accounts.memberships_read_at is 'When the person''s memberOf was last read whole, by the database''s clock before it was asked: member lists that are older end none of the person''s memberships.';
comment on column entra_sync.accounts.shelf is 'Values of people that are kept and not in force: of fields that the directory owns now, or that are not in the settings.';
comment on column entra_sync.accounts.edits is 'Who gave the values in overrides and shelf, and when: {"field": {"by": actor, "at": time}}.';
comment on column entra_sync.accounts.suspended_at is 'When a cycle suspended the account; null while it is enabled. Counts in the seven-day budget like a removal.';
comment on column entra_sync.accounts.removal_approved is 'Approved by a person: not part of the seven-day budget.';
comment on column entra_sync.accounts.suspension_rejected is 'A person decided against the suspension: not adopted again before Graph shows the person enabled.';
comment on column entra_sync.accounts.cleared is 'The fields of overrides whose value is null, kept by a trigger: what is shown is profile - cleared. No generated column, because that would write every account anew.';
comment on column entra_sync.accounts.account_no is 'Private and narrow: a kept effective membership is two numbers, not two ids.';
comment on column entra_sync.accounts.manager_object_id is 'The object id of the user''s manager, known or not, live or not: source ->> ''manager'', kept by a trigger.';
comment on column entra_sync.accounts.told_manager is 'The account whose values stand in the fields that come from the manager; null: none of them has a value.';

create table entra_sync.assigned (
  seq bigint not null,
  account_no integer not null,
  rank smallint not null,
  constraint assigned_pkey PRIMARY KEY (account_no, seq, rank)
);
CREATE INDEX assigned_by_assignment ON entra_sync.assigned USING btree (seq);
comment on table entra_sync.assigned is 'What each live account gets: the assignment that gives the item, and its rank in the slot (rule 37). Written by the transaction that changes a membership, an account, the nesting or an assignment. No foreign keys, as effective_members.';

create table entra_sync.assigned_touched (
  tenant_id uuid not null,
  account_no integer not null,
  constraint assigned_touched_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX assigned_touched_by_tenant ON entra_sync.assigned_touched USING btree (tenant_id);
comment on table entra_sync.assigned_touched is 'Accounts whose groups were changed by the nesting in this transaction. Emptied when its batch is written.';

create table entra_sync.assignments (
  assignment_id uuid not null default gen_random_uuid(),
  seq bigint not null generated always as identity,
  tenant_id uuid not null,
  slot text not null,
  item text not null,
  target text not null,
  group_id uuid,
  account_id uuid,
  field text,
  field_values text[],
  is_exception boolean not null,
  priority integer not null,
  starts_at timestamp with time zone,
  ends_at timestamp with time zone,
  created_by text not null,
  updated_at timestamp with time zone not null default now(),
  constraint assignments_pkey PRIMARY KEY (assignment_id),
  constraint assignments_check CHECK (((target = 'group'::text) = (group_id IS NOT NULL))),
  constraint assignments_check1 CHECK (((target = 'account'::text) = (account_id IS NOT NULL))),
  constraint assignments_check2 CHECK (((target = 'field'::text) = ((field IS NOT NULL) AND (field_values IS NOT NULL)))),
  constraint assignments_seq_key UNIQUE (seq),
  constraint assignments_target_check CHECK ((target = ANY (ARRAY['account'::text, 'group'::text, 'field'::text, 'everyone'::text]))),
  constraint assignments_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX assignments_by_account ON entra_sync.assignments USING btree (account_id) WHERE (account_id IS NOT NULL);
CREATE INDEX assignments_by_group ON entra_sync.assignments USING btree (group_id) WHERE (group_id IS NOT NULL);
CREATE INDEX assignments_by_item ON entra_sync.assignments USING btree (slot, item);
CREATE INDEX assignments_by_tenant ON entra_sync.assignments USING btree (tenant_id, slot, item);
comment on column entra_sync.assignments.seq is 'The age, which decides between two of the same target and priority. No two clocks agree, and a transaction has one time only.';
comment on column entra_sync.assignments.group_id is 'No foreign key: the assignment outlives its group, and says so (state).';

create table entra_sync.audit (
  audit_id bigint not null generated always as identity,
  at timestamp with time zone not null default clock_timestamp(),
  actor text not null,
  role text not null,
  via text not null,
  act text not null,
  tenant_id uuid,
  account_id uuid,
  detail jsonb not null default '{}'::jsonb,
  reference text,
  constraint audit_pkey PRIMARY KEY (audit_id),
  constraint audit_act_check CHECK ((act ~ '^[a-z_]+(\.[a-z_]+)*$'::text)),
  constraint audit_via_check CHECK ((via = ANY (ARRAY['web'::text, 'cli'::text])))
);
CREATE INDEX audit_by_account ON entra_sync.audit USING btree (account_id, audit_id) WHERE (account_id IS NOT NULL);
CREATE INDEX audit_by_tenant ON entra_sync.audit USING btree (tenant_id, audit_id);
CREATE INDEX audit_by_time ON entra_sync.audit USING btree (at);
CREATE TRIGGER audit_only_grows BEFORE DELETE OR UPDATE ON entra_sync.audit FOR EACH ROW EXECUTE FUNCTION entra_sync.audit_only_grows();
comment on table entra_sync.audit is 'Insert only: entra_sync.audit_only_grows. Rows are kept for 400 days; entra_sync.expire_audit deletes older ones.';
comment on column entra_sync.audit.actor is 'account:ID or entra:TENANT/ID of a sign-in, never a name; of the command line and web --local the name that was given.';
comment on column entra_sync.audit.tenant_id is 'No foreign key: what is left of an erased tenant is one row.';
comment on column entra_sync.audit.reference is 'The request of the web, which the log and the page of a defect name too.';

create table entra_sync.batches (
  batch_id bigint not null generated by default as identity,
  tenant_id uuid not null,
  number bigint,
  committed_at timestamp with time zone default clock_timestamp(),
  opened_by xid8,
  opened_at timestamp with time zone,
  constraint batches_pkey PRIMARY KEY (batch_id),
  constraint batches_number_key UNIQUE (number)
);
CREATE INDEX batches_by_age ON entra_sync.batches USING btree (tenant_id, committed_at);
CREATE INDEX batches_by_opener ON entra_sync.batches USING btree (opened_by, tenant_id) WHERE (opened_by IS NOT NULL);
CREATE INDEX batches_in_feed ON entra_sync.batches USING btree (tenant_id, number);
CREATE INDEX batches_unnumbered ON entra_sync.batches USING btree (batch_id) WHERE (number IS NULL);
CREATE TRIGGER keep_effective AFTER INSERT ON entra_sync.batches FOR EACH ROW EXECUTE FUNCTION entra_sync.keep_effective_of_batch();
CREATE TRIGGER tell_of_batch AFTER INSERT ON entra_sync.batches FOR EACH ROW EXECUTE FUNCTION entra_sync.tell_of_batch();
comment on column entra_sync.batches.number is 'The place in the feed, given by entra_sync.number_batches after the commit. Null until then: such a batch is read all the same.';
comment on column entra_sync.batches.committed_at is 'When the batch''s row was written, raised by the numbering so that it never falls in the order of the feed.';
comment on column entra_sync.batches.opened_by is 'The transaction whose later edits of the tenant belong to the batch as well. Null once it is numbered.';
comment on column entra_sync.batches.opened_at is 'When that transaction began: after a restore on another server, transactions get the same ids again.';

create table entra_sync.changes (
  change_id bigint not null generated always as identity,
  batch_id bigint not null,
  tenant_id uuid not null,
  at timestamp with time zone not null default now(),
  cycle_id bigint,
  actor text not null,
  kind text not null,
  account_id uuid,
  group_id uuid,
  member_group_id uuid,
  before jsonb,
  after jsonb,
  change_ids bigint[],
  group_ids uuid[],
  before_manager uuid,
  after_manager uuid,
  manager_fields text[],
  constraint changes_pkey PRIMARY KEY (change_id),
  constraint changes_of_memberships CHECK (((NOT (cardinality(change_ids) IS DISTINCT FROM cardinality(group_ids))) AND ((group_ids IS NULL) OR (group_id IS NULL)))) NOT VALID
);
CREATE INDEX changes_by_account ON entra_sync.changes USING btree (account_id, change_id) WHERE (account_id IS NOT NULL);
CREATE INDEX changes_by_after_manager ON entra_sync.changes USING btree (after_manager) WHERE (after_manager IS NOT NULL);
CREATE INDEX changes_by_batch ON entra_sync.changes USING btree (batch_id, change_id);
CREATE INDEX changes_by_before_manager ON entra_sync.changes USING btree (before_manager) WHERE (before_manager IS NOT NULL);
CREATE INDEX changes_by_group ON entra_sync.changes USING btree (group_id, change_id) WHERE (group_id IS NOT NULL);
CREATE INDEX changes_by_groups ON entra_sync.changes USING gin (group_ids) WHERE (group_ids IS NOT NULL);
CREATE INDEX changes_by_member_group ON entra_sync.changes USING btree (member_group_id, change_id) WHERE (member_group_id IS NOT NULL);
CREATE INDEX changes_of_decisions ON entra_sync.changes USING btree (tenant_id, change_id) WHERE (kind = ANY (ARRAY['removal.approved'::text, 'removal.rejected'::text]));
CREATE INDEX changes_of_removals ON entra_sync.changes USING btree (tenant_id, cycle_id) WHERE ((kind = ANY (ARRAY['account.removed'::text, 'group.removed'::text])) AND (cycle_id IS NOT NULL));
comment on table entra_sync.changes is 'No foreign key to batches: both are written by one transaction, and a check per row would cost a fifth of a first load.';
comment on column entra_sync.changes.change_ids is 'Their ids, beside group_ids. change_id is the lowest, and no other row of the batch has one between lowest and highest.';
comment on column entra_sync.changes.group_ids is 'A row with them stands for as many changes of memberships, one a group, alike in everything else: a first load writes a tenth of the rows. entra_sync.change_rows shows them one by one.';
comment on column entra_sync.changes.manager_fields is 'The fields in which before holds values of the account before_manager, and after those of after_manager.';

create table entra_sync.checkpoints (
  tenant_id uuid not null,
  stream text not null,
  delta_link text not null,
  fingerprint text not null,
  settings_version integer not null,
  round_id bigint not null,
  committed_at timestamp with time zone not null default now(),
  full_at timestamp with time zone not null,
  provisional boolean not null default false,
  constraint checkpoints_pkey PRIMARY KEY (tenant_id, stream),
  constraint checkpoints_stream_check CHECK ((stream = ANY (ARRAY['users'::text, 'groups'::text]))),
  constraint checkpoints_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE TRIGGER end_older_rounds AFTER INSERT OR UPDATE OF round_id ON entra_sync.checkpoints FOR EACH ROW EXECUTE FUNCTION entra_sync.end_older_rounds();
comment on column entra_sync.checkpoints.round_id is 'The round whose commit moved it here: after a COMMIT whose answer was lost this tells whether it happened.';
comment on column entra_sync.checkpoints.full_at is 'When the last full round was committed.';
comment on column entra_sync.checkpoints.provisional is 'The tenant was provisional before the commit of this round.';

create table entra_sync.consent_steps (
  step_id uuid not null default gen_random_uuid(),
  invitation_id uuid not null,
  step text not null,
  browser bytea not null,
  nonce text,
  code_verifier text,
  tenant_id uuid,
  admin_object_id uuid,
  domain text,
  expires_at timestamp with time zone not null,
  administrator boolean not null default false,
  tries smallint not null default 0,
  constraint consent_steps_pkey PRIMARY KEY (step_id),
  constraint consent_steps_check CHECK (((step = 'sign_in'::text) = ((nonce IS NOT NULL) AND (code_verifier IS NOT NULL)))),
  constraint consent_steps_check1 CHECK (((step = 'sign_in'::text) = (tenant_id IS NULL))),
  constraint consent_steps_invitation_id_fkey FOREIGN KEY (invitation_id) REFERENCES entra_sync.invitations(invitation_id) ON DELETE CASCADE,
  constraint consent_steps_step_check CHECK ((step = ANY (ARRAY['sign_in'::text, 'offer'::text, 'consent'::text])))
);
CREATE INDEX consent_steps_by_age ON entra_sync.consent_steps USING btree (expires_at);
CREATE INDEX consent_steps_by_invitation ON entra_sync.consent_steps USING btree (invitation_id);
comment on table entra_sync.consent_steps is 'What a browser on the consent page may do next, once: deleted by whoever does it. sign_in: waits for Entra''s answer to a sign-in; offer: signed in, may ask for consent; consent: waits for Entra''s answer to that.';
comment on column entra_sync.consent_steps.browser is 'SHA-256 of the cookie: a link that is taken to another browser is worth nothing there.';
comment on column entra_sync.consent_steps.tenant_id is 'From the verified sign-in, never from a redirect.';
comment on column entra_sync.consent_steps.expires_at is 'From the sign-in on: when that sign-in ends, the same for all steps that follow it.';
comment on column entra_sync.consent_steps.administrator is 'The verified sign-in showed a role that may consent for the tenant.';
comment on column entra_sync.consent_steps.tries is 'How many times a token was asked for since the sign-in.';

create table entra_sync.cycle_requests (
  request_id bigint not null generated always as identity,
  tenant_id uuid not null,
  account_id uuid,
  actor text not null,
  requested_at timestamp with time zone not null default clock_timestamp(),
  claimed_at timestamp with time zone,
  constraint cycle_requests_pkey PRIMARY KEY (request_id),
  constraint cycle_requests_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX cycle_requests_waiting ON entra_sync.cycle_requests USING btree (tenant_id, account_id) NULLS NOT DISTINCT WHERE (claimed_at IS NULL);
comment on table entra_sync.cycle_requests is 'What applications asked the worker for: a cycle of a tenant (account_id null), or the reading of one person.';

create table entra_sync.cycles (
  cycle_id bigint not null generated always as identity,
  tenant_id uuid not null,
  kind text not null,
  actor text not null,
  fence bigint not null,
  started_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  outcome text not null default 'running'::text,
  streams jsonb not null default '{}'::jsonb,
  settings_version integer not null,
  error_code text,
  error_message text,
  constraint cycles_pkey PRIMARY KEY (cycle_id),
  constraint cycles_kind_check CHECK ((kind = ANY (ARRAY['first_load'::text, 'initial'::text, 'incremental'::text, 'resync'::text, 'on_demand'::text, 'settings'::text]))),
  constraint cycles_outcome_check CHECK ((outcome = ANY (ARRAY['running'::text, 'committed'::text, 'partial'::text, 'held'::text, 'failed'::text, 'cancelled'::text]))),
  constraint cycles_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX cycles_by_end ON entra_sync.cycles USING btree (finished_at);
CREATE INDEX cycles_by_tenant ON entra_sync.cycles USING btree (tenant_id, cycle_id DESC);

create table entra_sync.data_faults (
  tenant_id uuid not null,
  stream text not null,
  failures integer not null default 1,
  state text not null,
  noted_at timestamp with time zone not null default now(),
  constraint data_faults_pkey PRIMARY KEY (tenant_id, stream),
  constraint data_faults_stream_check CHECK ((stream = ANY (ARRAY['users'::text, 'groups'::text]))),
  constraint data_faults_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.data_faults is 'A row while the last round of the stream was dropped because the database did not take its data, or an object is set aside for that.';
comment on column entra_sync.data_faults.state is 'The SQLSTATE of the last failure.';

create table entra_sync.deleted_strangers (
  tenant_id uuid not null,
  stream text not null,
  entra_object_id uuid not null,
  is_back boolean not null default false,
  noted_at timestamp with time zone not null default now(),
  constraint deleted_strangers_pkey PRIMARY KEY (tenant_id, stream, entra_object_id),
  constraint deleted_strangers_stream_check CHECK ((stream = ANY (ARRAY['users'::text, 'groups'::text]))),
  constraint deleted_strangers_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.deleted_strangers is 'Persons and groups that can be restored and were deleted while nothing was kept of them here (before the first round, persons also outside the scope), by id alone: nobody told of their memberships, so they are asked for when they come back.';
comment on column entra_sync.deleted_strangers.is_back is 'Persons only: live again, and still to be asked which groups hold the person, because a groups round is open that began before, or the groups could not be read.';

create table entra_sync.effective_members (
  account_no integer not null,
  group_no integer not null,
  is_direct boolean not null,
  constraint effective_members_pkey PRIMARY KEY (account_no, group_no)
);
CREATE INDEX effective_members_by_group ON entra_sync.effective_members USING btree (group_no);
comment on table entra_sync.effective_members is 'Which live account is in which live group, directly or through live groups (rule 30). Written by triggers within the transaction that changes a membership, an account, a group or the nesting, of an earlier release too. No foreign keys: a check a row would cost more than the row.';

create table entra_sync.erased_objects (
  tenant_id uuid not null,
  object_hash bytea not null,
  erased_at timestamp with time zone not null default now(),
  constraint erased_objects_pkey PRIMARY KEY (tenant_id, object_hash),
  constraint erased_objects_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.erased_objects is 'Users who were erased on a person''s request: they get no account, whatever the scope of the settings says.';

create table entra_sync.feed (
  only_row boolean not null default true,
  epoch text not null,
  pruned_number bigint not null default 0,
  pruned_change bigint not null default 0,
  system_identifier bigint,
  timeline bigint,
  database_oid oid,
  constraint feed_pkey PRIMARY KEY (only_row),
  constraint feed_only_row_check CHECK (only_row)
);
comment on table entra_sync.feed is 'epoch: which life of this database positions belong to. system_identifier, timeline, database_oid: the server and database in which it began, null where unknown; in another one the next epoch begins. pruned_number, pruned_change: the newest batch that is no longer kept, and its last change; what lies before is incomplete.';

create table entra_sync.feed_epochs (
  epoch text not null,
  last_number bigint not null,
  ended_at timestamp with time zone not null default clock_timestamp(),
  constraint feed_epochs_pkey PRIMARY KEY (epoch)
);
comment on table entra_sync.feed_epochs is 'Earlier epochs of the feed. last_number: the newest batch that this server had of it. Positions up to there stay good, since all that they count as read is here.';

create table entra_sync.feed_order (
  only_row boolean not null default true,
  constraint feed_order_pkey PRIMARY KEY (only_row),
  constraint feed_order_only_row_check CHECK (only_row)
);
comment on table entra_sync.feed_order is 'Locked by the transaction that numbers batches, and by no other. Never updated, so that the lock fails no transaction for its isolation level.';

create table entra_sync.field_rules (
  tenant_id uuid not null,
  field text not null,
  owner text not null,
  editable_by text[] not null,
  manual_editable_by text[] not null,
  value_type text not null,
  mapped_from text,
  max_length integer,
  pattern text,
  manager_path text[],
  label jsonb,
  help jsonb,
  kind text,
  sort_order integer,
  private boolean not null default false,
  shown boolean not null default true,
  constraint field_rules_pkey PRIMARY KEY (tenant_id, field),
  constraint field_rules_editable_by_check CHECK ((editable_by <@ ARRAY['user'::text, 'manager'::text])),
  constraint field_rules_kind_check CHECK ((kind = ANY (ARRAY['text'::text, 'tel'::text, 'url'::text, 'mail'::text, 'list'::text]))),
  constraint field_rules_manual_editable_by_check CHECK ((manual_editable_by <@ ARRAY['user'::text, 'manager'::text])),
  constraint field_rules_owner_check CHECK ((owner = ANY (ARRAY['directory'::text, 'user'::text]))),
  constraint field_rules_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE,
  constraint field_rules_value_type_check CHECK ((value_type = ANY (ARRAY['text'::text, 'text[]'::text, 'number'::text, 'boolean'::text, 'any'::text])))
);
comment on table entra_sync.field_rules is 'The profile fields of a tenant as its settings in force make them; written by the transaction of a settings change, read by the functions that people edit through.';
comment on column entra_sync.field_rules.editable_by is 'Which roles may edit the field of a managed account: none where the directory owns it.';
comment on column entra_sync.field_rules.manual_editable_by is 'Which roles may edit the field of a manual account.';
comment on column entra_sync.field_rules.mapped_from is 'The mapping as the settings write it; null: the field is not in the directory at all.';
comment on column entra_sync.field_rules.pattern is 'A regular expression that a text matches as a whole: one that needs no backtracking (src/rules/patterns.ts).';
comment on column entra_sync.field_rules.manager_path is 'Where the value is in the document of the user''s manager; null: the field does not come from the manager.';
comment on column entra_sync.field_rules.label is 'The name of the field by language; null: it has none.';
comment on column entra_sync.field_rules.help is 'A sentence on what belongs into the field, by language; null: there is none.';
comment on column entra_sync.field_rules.kind is 'The kind of input of a form; null: written by an earlier release.';
comment on column entra_sync.field_rules.sort_order is 'Fields are shown from the smallest on, those without a number last.';
comment on column entra_sync.field_rules.private is 'Earlier values are for the person alone.';

create table entra_sync.full_turns (
  tenant_id uuid not null,
  given_at timestamp with time zone not null default clock_timestamp(),
  constraint full_turns_pkey PRIMARY KEY (tenant_id),
  constraint full_turns_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.full_turns is 'Tenants that may walk everything now because of a first start or changed settings: 20 at most, over all replicas.';

create table entra_sync.grants (
  role_oid oid not null,
  role_name text not null,
  tenant_bound boolean not null,
  granted_at timestamp with time zone not null default now(),
  actor text not null,
  only_tenant uuid,
  constraint grants_pkey PRIMARY KEY (role_oid),
  constraint grants_only_tenant CHECK (((only_tenant IS NULL) OR (tenant_bound AND (only_tenant <> '00000000-0000-0000-0000-000000000000'::uuid)))) NOT VALID
);
CREATE INDEX grants_by_name ON entra_sync.grants USING btree (role_name);
comment on table entra_sync.grants is 'Roles that entra-sync grant gave the contract to; migrate grants anew, because new views and functions belong to it. A tenant-bound role sees only the tenant that it names in directory.tenant.';
comment on column entra_sync.grants.role_oid is 'Stays when a role is renamed; a backup that is restored on another server has the name alone, so both bind.';
comment on column entra_sync.grants.only_tenant is 'The one tenant that the role sees, whatever its session sets. No foreign key: when the tenant is erased the role sees nothing, not everything.';

create table entra_sync.group_closure (
  ancestor_no bigint not null,
  descendant_no bigint not null,
  constraint group_closure_pkey PRIMARY KEY (ancestor_no, descendant_no)
);
CREATE INDEX group_closure_by_descendant ON entra_sync.group_closure USING btree (descendant_no, ancestor_no);
CREATE TRIGGER keep_nested_members_in AFTER INSERT ON entra_sync.group_closure REFERENCING NEW TABLE AS pairs FOR EACH STATEMENT EXECUTE FUNCTION entra_sync.keep_nested_members();
CREATE TRIGGER keep_nested_members_out AFTER DELETE ON entra_sync.group_closure REFERENCING OLD TABLE AS pairs FOR EACH STATEMENT EXECUTE FUNCTION entra_sync.keep_nested_members();
comment on table entra_sync.group_closure is 'Which live group holds which live group, through any number of steps, and every live group itself. Kept by differences whenever an edge between groups or the life of a group changes; a recursive view was measured at 0.1 to 2 s a question, this at 1 to 3 ms.';

create table entra_sync.groups (
  group_no bigint not null generated always as identity,
  group_id uuid not null default gen_random_uuid(),
  tenant_id uuid not null,
  entra_object_id uuid not null,
  state text not null,
  display_name text,
  description text,
  mail text,
  kind text not null,
  is_dynamic boolean not null,
  attributes jsonb not null default '{}'::jsonb,
  source jsonb not null,
  removed_at timestamp with time zone,
  removed_reason text,
  purge_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  removal_approved boolean not null default false,
  copied boolean not null default true,
  shown_before boolean not null default true,
  constraint groups_pkey PRIMARY KEY (group_no),
  constraint groups_check CHECK (((removed_at IS NULL) = (removed_reason IS NULL))),
  constraint groups_check1 CHECK (((removed_at IS NULL) = (purge_at IS NULL))),
  constraint groups_copied CHECK (((NOT copied) OR (removed_reason IS DISTINCT FROM 'not_copied'::text))),
  constraint groups_group_id_key UNIQUE (group_id),
  constraint groups_kind_check CHECK ((kind = ANY (ARRAY['security'::text, 'microsoft365'::text, 'distribution'::text, 'mail_enabled_security'::text]))),
  constraint groups_left_out CHECK ((copied OR (removed_at IS NOT NULL))),
  constraint groups_removed_reason_check CHECK ((removed_reason = ANY (ARRAY['deleted_restorable'::text, 'deleted'::text, 'not_seen'::text, 'by_hand'::text, 'not_copied'::text]))),
  constraint groups_state_check CHECK ((state = ANY (ARRAY['managed'::text, 'manual'::text])))
);
CREATE UNIQUE INDEX groups_by_object ON entra_sync.groups USING btree (tenant_id, entra_object_id);
CREATE INDEX groups_not_copied ON entra_sync.groups USING btree (tenant_id) WHERE (removed_reason = 'not_copied'::text);
CREATE INDEX groups_to_purge ON entra_sync.groups USING btree (tenant_id, purge_at) WHERE (purge_at IS NOT NULL);
CREATE TRIGGER words_kept AFTER UPDATE ON entra_sync.groups FOR EACH ROW WHEN ((entra_sync.group_name(old.display_name, old.mail) IS DISTINCT FROM entra_sync.group_name(new.display_name, new.mail))) EXECUTE FUNCTION entra_sync.keep_group_words();
CREATE TRIGGER words_of_gone AFTER DELETE ON entra_sync.groups REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION entra_sync.words_of_gone_groups();
CREATE TRIGGER words_of_new AFTER INSERT ON entra_sync.groups REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION entra_sync.words_of_new_groups();
comment on column entra_sync.groups.group_no is 'Private and narrow: a membership is 25 bytes of key and type with it, 49 with two ids and the tenant.';
comment on column entra_sync.groups.copied is 'False: the settings leave the group out (groups.only, groups.except). Its names are blank, and no view has it.';
comment on column entra_sync.groups.shown_before is 'A change row has told of the group. False: it was left out ever since Graph first showed it.';

create table entra_sync.heartbeats (
  tenant_id uuid not null,
  fence bigint not null,
  expires_at timestamp with time zone not null,
  constraint heartbeats_pkey PRIMARY KEY (tenant_id),
  constraint heartbeats_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.heartbeats is 'Apart from leases, so that a heartbeat never waits for a commit that holds the fence. Only the database''s clock counts.';

create table entra_sync.held_memberships (
  list_id bigint not null,
  tenant_id uuid not null,
  group_no bigint not null,
  member_object_id uuid not null,
  missed integer not null default 1,
  held_since timestamp with time zone not null default now(),
  constraint held_memberships_pkey PRIMARY KEY (group_no, member_object_id),
  constraint held_memberships_group_no_fkey FOREIGN KEY (group_no) REFERENCES entra_sync.groups(group_no) ON DELETE CASCADE,
  constraint held_memberships_list_id_fkey FOREIGN KEY (list_id) REFERENCES entra_sync.removal_lists(list_id) ON DELETE CASCADE,
  constraint held_memberships_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX held_memberships_by_list ON entra_sync.held_memberships USING btree (list_id);
CREATE INDEX held_memberships_by_tenant ON entra_sync.held_memberships USING btree (tenant_id);

create table entra_sync.held_removals (
  list_id bigint not null,
  tenant_id uuid not null,
  object_id uuid not null,
  account_id uuid,
  group_no bigint,
  reason text not null,
  by_groups boolean not null default false,
  missed integer not null default 0,
  held_since timestamp with time zone not null default now(),
  constraint held_removals_pkey PRIMARY KEY (tenant_id, object_id),
  constraint held_removals_account_id_fkey FOREIGN KEY (account_id) REFERENCES entra_sync.accounts(account_id) ON DELETE CASCADE,
  constraint held_removals_check CHECK (((account_id IS NULL) <> (group_no IS NULL))),
  constraint held_removals_group_no_fkey FOREIGN KEY (group_no) REFERENCES entra_sync.groups(group_no) ON DELETE CASCADE,
  constraint held_removals_list_id_fkey FOREIGN KEY (list_id) REFERENCES entra_sync.removal_lists(list_id) ON DELETE CASCADE,
  constraint held_removals_reason_check CHECK ((reason = ANY (ARRAY['deleted_restorable'::text, 'deleted'::text, 'out_of_scope'::text, 'disabled'::text, 'not_seen'::text, 'suspended'::text, 'not_copied'::text]))),
  constraint held_removals_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX held_removals_by_account ON entra_sync.held_removals USING btree (account_id) WHERE (account_id IS NOT NULL);
CREATE INDEX held_removals_by_group ON entra_sync.held_removals USING btree (group_no) WHERE (group_no IS NOT NULL);
CREATE INDEX held_removals_by_list ON entra_sync.held_removals USING btree (list_id);
comment on column entra_sync.held_removals.reason is 'What the removal would be given as its reason; suspended: no removal, the account was disabled in Entra ID.';
comment on column entra_sync.held_removals.by_groups is 'Outside because no scope group holds the person: judged anew by every users round.';
comment on column entra_sync.held_removals.missed is 'Full rounds that did not meet it. Absence alone can be approved only after the second.';

create table entra_sync.invitations (
  invitation_id uuid not null default gen_random_uuid(),
  external_ref text not null,
  name text,
  tenant_id uuid,
  actor text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  contacts text[] not null default '{}'::text[],
  constraint invitations_pkey PRIMARY KEY (invitation_id),
  constraint invitations_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX invitations_by_tenant ON entra_sync.invitations USING btree (tenant_id);
comment on table entra_sync.invitations is 'Who may connect a tenant, and for which customer. The link holds the id and a signature; deleting the row withdraws it.';
comment on column entra_sync.invitations.tenant_id is 'The only tenant that it connects: said from the start, or the first that it connected.';
comment on column entra_sync.invitations.contacts is 'Mail addresses that become contacts of the tenant that the invitation connects.';

create table entra_sync.items (
  tenant_id uuid,
  slot text not null,
  item text not null,
  title text,
  html text,
  updated_at timestamp with time zone not null default now(),
  constraint items_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE,
  constraint items_tenant_id_slot_item_key UNIQUE NULLS NOT DISTINCT (tenant_id, slot, item)
);
comment on column entra_sync.items.html is 'A template, {{field}} in it. Never where a browser would take a value for more than text or the address of a link (entra_sync.template_problem).';

create table entra_sync.kept_memberships (
  tenant_id uuid not null,
  group_no bigint not null,
  member_object_id uuid not null,
  constraint kept_memberships_pkey PRIMARY KEY (group_no, member_object_id),
  constraint kept_memberships_group_no_fkey FOREIGN KEY (group_no) REFERENCES entra_sync.groups(group_no) ON DELETE CASCADE,
  constraint kept_memberships_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.kept_memberships is 'A person decided that they stay although no list names them: forgotten when Graph names them again.';

create table entra_sync.large_tenants (
  tenant_id uuid not null,
  constraint large_tenants_pkey PRIMARY KEY (tenant_id),
  constraint large_tenants_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.large_tenants is 'Tenants with a tenth of all accounts or more, ten at most (rule 39). Their memberships are read whole. No tenant is shown more or less by a row here. A table, and not a look at the statistics, because both halves of a view must see the same within one statement.';

create table entra_sync.leases (
  tenant_id uuid not null,
  fence bigint not null default 0,
  holder text,
  acquired_at timestamp with time zone,
  constraint leases_pkey PRIMARY KEY (tenant_id),
  constraint leases_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.leases is 'One cycle per tenant at a time (rule 11): every writing transaction of a cycle share-locks the row with its fence; a takeover raises the fence.';

create table entra_sync.managed_by (
  tenant_id uuid not null,
  managers_id uuid not null,
  people_id uuid,
  constraint managed_by_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE,
  constraint managed_by_tenant_id_managers_id_people_id_key UNIQUE NULLS NOT DISTINCT (tenant_id, managers_id, people_id)
);
comment on table entra_sync.managed_by is 'managedBy of the settings in force: object ids of groups. The members of managers_id manage those of people_id; null: every account of the tenant. Written by the transaction of a settings change.';

create table entra_sync.member_groups (
  tenant_id uuid not null,
  member_object_id uuid not null,
  member_type "char" not null,
  group_nos bigint[] not null,
  constraint member_groups_pkey PRIMARY KEY (tenant_id, member_object_id),
  constraint member_groups_group_nos_check CHECK ((cardinality(group_nos) > 0))
);
CREATE INDEX member_groups_by_group ON entra_sync.member_groups USING gin (group_nos) WITH (gin_pending_list_limit='128');
comment on table entra_sync.member_groups is 'Direct memberships as facts of Graph, by object id, whatever becomes of the member''s row (rules 8, 9). No foreign keys: members may come before their object, or never.';
comment on column entra_sync.member_groups.member_type is 'What Graph called the member: u user, g group, d device, c contact, s service principal, x anything else. For reading only: views resolve by id.';
comment on column entra_sync.member_groups.group_nos is 'The groups that hold the member, each once; a member without any has no row.';

create table entra_sync.migrating (
  only_row boolean
);
comment on table entra_sync.migrating is 'Empty. Locked by the process that migrates: a private table, which no other role can lock.';

create table entra_sync.migrations (
  id integer not null default nextval('entra_sync.migrations_id_seq'::regclass),
  name character varying(255),
  batch integer,
  migration_time timestamp with time zone,
  constraint migrations_pkey PRIMARY KEY (id)
);

create table entra_sync.migrations_lock (
  index integer not null default nextval('entra_sync.migrations_lock_index_seq'::regclass),
  is_locked integer,
  constraint migrations_lock_pkey PRIMARY KEY (index)
);

create table entra_sync.outside_scope (
  tenant_id uuid not null,
  entra_object_id uuid not null,
  condition smallint,
  constraint outside_scope_pkey PRIMARY KEY (tenant_id, entra_object_id),
  constraint outside_scope_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.outside_scope is 'Users whose properties put them outside the scope, by id alone: a scope group that names them need not ask for them again.';
comment on column entra_sync.outside_scope.condition is 'The number of the condition that failed, by the settings of the last committed round; null: kept by an earlier release.';

create table entra_sync.photo_faults (
  account_id uuid not null,
  tenant_id uuid not null,
  reason text not null,
  first_seen_at timestamp with time zone not null default now(),
  last_seen_at timestamp with time zone not null default now(),
  constraint photo_faults_pkey PRIMARY KEY (account_id),
  constraint photo_faults_account_id_fkey FOREIGN KEY (account_id) REFERENCES entra_sync.accounts(account_id) ON DELETE CASCADE,
  constraint photo_faults_reason_check CHECK ((length(reason) <= 200))
);
CREATE INDEX photo_faults_by_tenant ON entra_sync.photo_faults USING btree (tenant_id);
comment on table entra_sync.photo_faults is 'Photos that are set aside, and why. What the account had before stays. A good answer takes the row away.';

create table entra_sync.photo_lanes (
  tenant_id uuid not null,
  size text not null,
  since timestamp with time zone not null default clock_timestamp(),
  next_at timestamp with time zone not null default clock_timestamp(),
  claim uuid,
  claimed_at timestamp with time zone,
  claimed_until timestamp with time zone,
  answered_at timestamp with time zone,
  due integer,
  trouble text,
  trouble_message text,
  trouble_since timestamp with time zone,
  constraint photo_lanes_pkey PRIMARY KEY (tenant_id),
  constraint photo_lanes_check CHECK ((num_nulls(trouble, trouble_message, trouble_since) = ANY (ARRAY[0, 3]))),
  constraint photo_lanes_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.photo_lanes is 'How the photos of a tenant stand; no row: none were ever read. One process at a time reads them, and the claim of a dead one ends by itself.';
comment on column entra_sync.photo_lanes.size is 'The size that was last asked for. Another one makes every photo due: what was read before since.';
comment on column entra_sync.photo_lanes.claimed_at is 'A photo is asked for at most once a claim: due is what was due then.';
comment on column entra_sync.photo_lanes.answered_at is 'When Graph last gave or denied that there is a photo, and so showed that the application may read them.';
comment on column entra_sync.photo_lanes.due is 'Photos that were due when the lane last counted, less those read since.';
comment on column entra_sync.photo_lanes.trouble is 'The error code for which no photo is read; what was read stays.';

create table entra_sync.photos (
  account_id uuid not null,
  tenant_id uuid not null,
  read_at timestamp with time zone not null,
  content bytea,
  content_type text,
  sha256 text,
  width integer,
  height integer,
  updated_at timestamp with time zone,
  constraint photos_pkey PRIMARY KEY (account_id),
  constraint photos_account_id_fkey FOREIGN KEY (account_id) REFERENCES entra_sync.accounts(account_id) ON DELETE CASCADE,
  constraint photos_check CHECK ((num_nulls(content, content_type, sha256, width, height, updated_at) = ANY (ARRAY[0, 6]))),
  constraint photos_content_type_check CHECK ((content_type = ANY (ARRAY['image/jpeg'::text, 'image/png'::text]))),
  constraint photos_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);
CREATE INDEX photos_by_read ON entra_sync.photos USING btree (tenant_id, read_at);
CREATE INDEX photos_there ON entra_sync.photos USING btree (tenant_id) WHERE (content IS NOT NULL);
comment on table entra_sync.photos is 'The photo of each account that was asked for one; without content: Entra ID has none. Written by the lane of photos under the tenant''s lock.';
comment on column entra_sync.photos.read_at is 'When Graph was last asked. The photo is due again after refreshEvery of the settings.';

create table entra_sync.receipts (
  receipt uuid not null,
  happened boolean not null,
  written_at timestamp with time zone not null default clock_timestamp(),
  constraint receipts_pkey PRIMARY KEY (receipt)
);
CREATE INDEX receipts_by_age ON entra_sync.receipts USING btree (written_at);
comment on table entra_sync.receipts is 'The last statement of a transaction that is told of writes its receipt. Whoever lost the answer to COMMIT writes the same one with happened = false: that waits for the first to end, and whichever row is there then tells. Kept for an hour. Not the transaction''s number: after a crash of the server that may be given again.';

create table entra_sync.registrations (
  client_id text not null,
  tells_roles boolean not null,
  seen_at timestamp with time zone not null default clock_timestamp(),
  constraint registrations_pkey PRIMARY KEY (client_id)
);
comment on table entra_sync.registrations is 'What the consent page saw of an application: whether its last id token had the claim wids. connect and doctor tell it.';

create table entra_sync.removal_lists (
  list_id bigint not null generated always as identity,
  tenant_id uuid not null,
  stream text not null,
  why text not null,
  cycle_id bigint,
  opened_at timestamp with time zone not null default now(),
  constraint removal_lists_pkey PRIMARY KEY (list_id),
  constraint removal_lists_stream_check CHECK ((stream = ANY (ARRAY['users'::text, 'groups'::text]))),
  constraint removal_lists_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX removal_lists_by_tenant ON entra_sync.removal_lists USING btree (tenant_id);
comment on table entra_sync.removal_lists is 'What one round wanted to remove at once. A list only ever shrinks, so that whoever decides decides about what was shown; what a later round wants to remove is another list.';

create table entra_sync.rounds (
  round_id bigint not null generated always as identity,
  tenant_id uuid not null,
  stream text not null,
  dry_run boolean not null,
  kind text not null,
  reason text not null,
  settings_version integer not null,
  fingerprint text not null,
  started_at timestamp with time zone not null default now(),
  pages integer not null default 0,
  barren_pages integer not null default 0,
  seen integer not null default 0,
  resume_link text,
  delta_link text,
  constraint rounds_pkey PRIMARY KEY (round_id),
  constraint rounds_kind_check CHECK ((kind = ANY (ARRAY['full'::text, 'incremental'::text, 'on_demand'::text, 'listing'::text]))),
  constraint rounds_stream_check CHECK ((stream = ANY (ARRAY['users'::text, 'groups'::text]))),
  constraint rounds_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX rounds_open_each ON entra_sync.rounds USING btree (tenant_id, stream, dry_run, ((kind = 'incremental'::text))) WHERE (kind <> 'on_demand'::text);
CREATE TRIGGER drop_stage AFTER DELETE ON entra_sync.rounds FOR EACH ROW EXECUTE FUNCTION entra_sync.drop_stage();
comment on table entra_sync.rounds is 'One open walk of a stream; it owns its stage. No row: no round is open.';
comment on column entra_sync.rounds.reason is 'Why the round is of this kind, e.g. first, resync, token_expired, mapping_changed.';
comment on column entra_sync.rounds.fingerprint is 'Of mapping and $select; a checkpoint or round with another one is not continued (rule 17).';
comment on column entra_sync.rounds.barren_pages is 'Pages in a row that staged nothing new, counted across resumes (rule 14).';
comment on column entra_sync.rounds.resume_link is 'Next link of the last staged page; null before the first page.';
comment on column entra_sync.rounds.delta_link is 'Set by the last page: the round waits for its commit. Of a listing it says no more than that.';

create table entra_sync.scheduler (
  only_row boolean not null default true,
  planned_at timestamp with time zone not null default '-infinity'::timestamp with time zone,
  salt text not null default (gen_random_uuid())::text,
  constraint scheduler_pkey PRIMARY KEY (only_row),
  constraint scheduler_only_row_check CHECK (only_row)
);
comment on table entra_sync.scheduler is 'Locked by the worker that plans: of any number of replicas one at a time says who is due.';
comment on column entra_sync.scheduler.salt is 'Key of the hashes in tenants.failing_credential.';

create table entra_sync.sessions (
  session_hash bytea not null,
  actor text not null,
  tenant_id uuid,
  entra_object_id uuid,
  ops text,
  directory_role text,
  reasons jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default clock_timestamp(),
  seen_at timestamp with time zone not null default clock_timestamp(),
  ends_at timestamp with time zone not null,
  constraint sessions_pkey PRIMARY KEY (session_hash),
  constraint sessions_directory_role_check CHECK ((directory_role = ANY (ARRAY['admin'::text, 'reader'::text]))),
  constraint sessions_ops_check CHECK ((ops = ANY (ARRAY['read'::text, 'act'::text]))),
  constraint sessions_session_hash_check CHECK ((octet_length(session_hash) = 32))
);
CREATE INDEX sessions_by_end ON entra_sync.sessions USING btree (ends_at);
CREATE INDEX sessions_by_tenant ON entra_sync.sessions USING btree (tenant_id);
comment on table entra_sync.sessions is 'One row a signed-in browser. Its cookie holds a random value, of which only the hash is here.';
comment on column entra_sync.sessions.actor is 'entra:TENANT/ID of the sign-in, or the name that web --local was given.';
comment on column entra_sync.sessions.tenant_id is 'No foreign key: the vendor''s own tenant need not be registered. Null for web --local.';
comment on column entra_sync.sessions.directory_role is 'By the directory roles of the sign-in, which count for an hour: ends_at says until when.';
comment on column entra_sync.sessions.reasons is 'By tenant: why the vendor''s person looks at people there.';
comment on column entra_sync.sessions.seen_at is 'The last request, give or take a minute.';

create table entra_sync.set_aside (
  tenant_id uuid not null,
  stream text not null,
  object_key text not null,
  reason text not null,
  first_seen_at timestamp with time zone not null default now(),
  last_seen_at timestamp with time zone not null default now(),
  constraint set_aside_pkey PRIMARY KEY (tenant_id, stream, object_key),
  constraint set_aside_stream_check CHECK ((stream = ANY (ARRAY['users'::text, 'groups'::text]))),
  constraint set_aside_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.set_aside is 'Objects that could not be taken, and properties of objects that were taken without them (rule 19). object_key: the object id as Graph sent it, cut and cleaned; after a slash the property, the member, or the list.';

create table entra_sync.settings (
  version integer not null generated always as identity,
  tenant_id uuid,
  document jsonb not null,
  actor text not null,
  applied_at timestamp with time zone not null default now(),
  constraint settings_pkey PRIMARY KEY (version),
  constraint settings_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX settings_by_tenant ON entra_sync.settings USING btree (tenant_id, version DESC);
comment on table entra_sync.settings is 'Settings as numbered versions: tenant_id null is the installation''s. The newest of each is in force; workers read nothing else.';

create table entra_sync.sign_in_addresses (
  client_id text not null,
  redirect_uri text not null,
  worked_at timestamp with time zone,
  consent_wanted_at timestamp with time zone,
  consent_code text,
  constraint sign_in_addresses_pkey PRIMARY KEY (client_id, redirect_uri),
  constraint sign_in_addresses_consent CHECK (((consent_wanted_at IS NULL) = (consent_code IS NULL)))
);
comment on table entra_sync.sign_in_addresses is 'What sign-ins have shown of an application''s redirect address: when one last came back, and when and with which code of Microsoft one was last refused for lack of an administrator''s consent. doctor tells it.';

create table entra_sync.signing_key (
  only_row boolean not null default true,
  key bytea not null,
  constraint signing_key_pkey PRIMARY KEY (only_row),
  constraint signing_key_key_check CHECK ((octet_length(key) >= 32)),
  constraint signing_key_only_row_check CHECK (only_row)
);
comment on table entra_sync.signing_key is 'Signs invitations and the state of sign-ins; made by the first program that needs it, the same for every replica. Deleted: all links that are under way are void, the next one makes a new key.';

create table entra_sync.slots (
  tenant_id uuid,
  slot text not null,
  winners integer not null,
  title text,
  constraint slots_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE,
  constraint slots_tenant_id_slot_key UNIQUE NULLS NOT DISTINCT (tenant_id, slot),
  constraint slots_winners_check CHECK (((winners >= 1) AND (winners <= 100)))
);
comment on table entra_sync.slots is 'Without a tenant: of all tenants. A tenant''s own slot of that name stands before it.';
comment on column entra_sync.slots.winners is 'How many items of it one account gets.';

create table entra_sync.sort_names (
  tenant_id uuid not null,
  sort_name text not null,
  account_id uuid not null,
  constraint sort_names_pkey PRIMARY KEY (tenant_id, sort_name, account_id)
);
comment on table entra_sync.sort_names is 'The sort name of each account, removed ones included; those of words_due come later. No foreign keys: triggers keep it.';

create table entra_sync.stage_asked (
  round_id bigint not null,
  object_id uuid not null,
  constraint stage_asked_pkey PRIMARY KEY (round_id, object_id),
  constraint stage_asked_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE
);
comment on table entra_sync.stage_asked is 'Objects of a round that were asked for by GET: answered, whatever the answer was.';

create table entra_sync.stage_endings (
  round_id bigint not null,
  group_no bigint not null,
  member_object_id uuid not null,
  constraint stage_endings_pkey PRIMARY KEY (round_id, group_no, member_object_id),
  constraint stage_endings_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE
);

create table entra_sync.stage_groups (
  round_id bigint not null,
  entra_object_id uuid not null,
  removed text,
  source jsonb not null,
  display_name text,
  description text,
  mail text,
  kind text not null,
  is_dynamic boolean not null,
  attributes jsonb not null,
  doubt text,
  copied boolean,
  constraint stage_groups_pkey PRIMARY KEY (round_id, entra_object_id),
  constraint stage_groups_removed_check CHECK ((removed = ANY (ARRAY['deleted_restorable'::text, 'deleted'::text])))
);
comment on column entra_sync.stage_groups.doubt is 'Why the group, with its members, is read by GET before the commit (rules 8, 22); null: nothing to ask.';
comment on column entra_sync.stage_groups.copied is 'Whether the settings copy the group; null: the round does not show its name, so it stays as it is.';

create table entra_sync.stage_holders (
  round_id bigint not null,
  object_id uuid not null,
  constraint stage_holders_pkey PRIMARY KEY (round_id, object_id),
  constraint stage_holders_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE
);
comment on table entra_sync.stage_holders is 'Nested groups whose memberOf was read whole in this round: what is stored and not staged of the groups that hold them has ended.';

create table entra_sync.stage_lists (
  round_id bigint not null,
  group_object_id uuid not null,
  next_link text,
  constraint stage_lists_pkey PRIMARY KEY (round_id, group_object_id),
  constraint stage_lists_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE
);
comment on table entra_sync.stage_lists is 'How far a listing has read the members of its groups: it goes on here after a crash. No row: not asked yet.';
comment on column entra_sync.stage_lists.next_link is 'Where the list goes on; null: read to its end, as far as it can be.';

create table entra_sync.stage_members (
  round_id bigint not null,
  group_object_id uuid not null,
  member_object_id uuid not null,
  member_type "char" not null,
  removed boolean not null,
  constraint stage_members_pkey PRIMARY KEY (round_id, group_object_id, member_object_id)
);
comment on table entra_sync.stage_members is 'The last word of the round on each membership, of lists that were read whole and of slices that were unfolded (rules 4, 8). entra_sync.staged_members adds the slices that were not.';

create table entra_sync.stage_pages (
  round_id bigint not null,
  page integer not null,
  link_hash text not null,
  constraint stage_pages_pkey PRIMARY KEY (round_id, page),
  constraint stage_pages_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE,
  constraint stage_pages_round_id_link_hash_key UNIQUE (round_id, link_hash)
);
comment on table entra_sync.stage_pages is 'One row a staged page. Counted before the commit, so that a lost stage is noticed; a link that comes again is a loop (rule 14).';

create table entra_sync.stage_removals (
  round_id bigint not null,
  object_id uuid not null,
  reason text not null,
  by_groups boolean not null default false,
  constraint stage_removals_pkey PRIMARY KEY (round_id, object_id),
  constraint stage_removals_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE
);
comment on table entra_sync.stage_removals is 'What the commit of this round is about to remove or suspend, until the guard has judged it.';

create table entra_sync.stage_set_aside (
  round_id bigint not null,
  object_key text not null,
  reason text not null,
  constraint stage_set_aside_pkey PRIMARY KEY (round_id, object_key),
  constraint stage_set_aside_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE
);

create table entra_sync.stage_slices (
  round_id bigint not null,
  group_object_id uuid not null,
  digest uuid not null,
  slice bigint not null generated always as identity,
  member_type "char" not null,
  removed boolean not null,
  members uuid[] not null,
  constraint stage_slices_pkey PRIMARY KEY (round_id, group_object_id, digest)
);
comment on table entra_sync.stage_slices is 'Slices of member lists as pages told them, each once however often it came. Unfolded into stage_members at the end of the walk where memberships are stored already; a first load reads them as they are.';
comment on column entra_sync.stage_slices.slice is 'Of two that name one member, the higher one has the last word (rule 4).';

create table entra_sync.stage_users (
  round_id bigint not null,
  entra_object_id uuid not null,
  removed text,
  source jsonb not null,
  mapped jsonb not null,
  user_principal_name text,
  mail text,
  enabled boolean not null,
  doubt text,
  in_scope boolean not null default true,
  outside text,
  condition smallint,
  constraint stage_users_pkey PRIMARY KEY (round_id, entra_object_id),
  constraint stage_users_outside_check CHECK ((outside = ANY (ARRAY['out_of_scope'::text, 'disabled'::text]))),
  constraint stage_users_removed_check CHECK ((removed = ANY (ARRAY['deleted_restorable'::text, 'deleted'::text])))
);
comment on column entra_sync.stage_users.doubt is 'Why the object is read by GET before the commit (rule 22); null: nothing to ask.';
comment on column entra_sync.stage_users.in_scope is 'False: outside the scope of the settings; no account is kept, only the id and what Graph says of memberships.';
comment on column entra_sync.stage_users.outside is 'Where in_scope is false: the reason that the removal is given.';
comment on column entra_sync.stage_users.condition is 'Where outside is set: the number of the condition that failed.';

create table entra_sync.stage_whole_lists (
  round_id bigint not null,
  object_id uuid not null,
  read_at timestamp with time zone not null default now(),
  constraint stage_whole_lists_pkey PRIMARY KEY (round_id, object_id),
  constraint stage_whole_lists_round_id_fkey FOREIGN KEY (round_id) REFERENCES entra_sync.rounds(round_id) ON DELETE CASCADE
);
comment on table entra_sync.stage_whole_lists is 'Groups whose whole member list, and persons whose whole memberOf, was read by GET in this round: what is stored and not staged of them has ended.';
comment on column entra_sync.stage_whole_lists.read_at is 'By the database''s clock, before Graph was asked for the list.';

create table entra_sync.stream_failures (
  tenant_id uuid not null,
  stream text not null,
  kind text not null,
  mark text not null,
  failures integer not null,
  since timestamp with time zone not null default clock_timestamp(),
  constraint stream_failures_pkey PRIMARY KEY (tenant_id, stream, kind),
  constraint stream_failures_stream_check CHECK ((stream = ANY (ARRAY['users'::text, 'groups'::text]))),
  constraint stream_failures_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
comment on table entra_sync.stream_failures is 'Cycles in a row in which a stream failed at one place. A count holds only while its mark is that of the place; what moves on needs not reset it.';
comment on column entra_sync.stream_failures.kind is 'checkpoint: since the last commit of the stream; round: at the next page of the open full round.';
comment on column entra_sync.stream_failures.mark is 'Which checkpoint, or which round and page.';

create table entra_sync.tenants (
  tenant_id uuid not null,
  name text not null,
  external_ref text,
  status text not null default 'pending'::text,
  paused boolean not null default false,
  provisional boolean not null default false,
  added_at timestamp with time zone not null default now(),
  last_success_at timestamp with time zone,
  next_cycle_at timestamp with time zone,
  last_error_code text,
  last_error_message text,
  retention interval not null default '30 days'::interval,
  manual_roles text[] not null default '{user,manager}'::text[],
  failures integer not null default 0,
  failing_credential text,
  nested_members bigint not null default 0,
  nested_left_out bigint,
  paused_together boolean not null default false,
  erase_at timestamp with time zone,
  assigned_at timestamp with time zone,
  assign_next_at timestamp with time zone,
  assigned_winners jsonb,
  notice text,
  notice_at timestamp with time zone,
  permissions text[],
  permissions_since timestamp with time zone,
  credential_kind text,
  credential_ends_at timestamp with time zone,
  constraint tenants_pkey PRIMARY KEY (tenant_id),
  constraint tenants_credential_kind_check CHECK ((credential_kind = ANY (ARRAY['secret'::text, 'certificate'::text, 'federated'::text, 'managed_identity'::text]))),
  constraint tenants_manual_roles_check CHECK ((manual_roles <@ ARRAY['user'::text, 'manager'::text])),
  constraint tenants_not_nil CHECK ((tenant_id <> '00000000-0000-0000-0000-000000000000'::uuid)),
  constraint tenants_permissions_check CHECK (((cardinality(permissions) <= 40) AND (octet_length(array_to_string(permissions, ''::text)) <= 3200))),
  constraint tenants_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'active'::text, 'quarantined'::text, 'disconnected'::text])))
);
CREATE TRIGGER assigned_anew BEFORE UPDATE OF nested_left_out ON entra_sync.tenants FOR EACH ROW WHEN (((old.nested_left_out IS DISTINCT FROM new.nested_left_out) AND (new.assigned_at IS NOT NULL))) EXECUTE FUNCTION entra_sync.assigned_anew();
CREATE TRIGGER drop_copy AFTER DELETE ON entra_sync.tenants FOR EACH ROW EXECUTE FUNCTION entra_sync.drop_copy();
CREATE TRIGGER end_sessions_at_disconnect AFTER UPDATE OF status ON entra_sync.tenants FOR EACH ROW WHEN (((old.status IS DISTINCT FROM new.status) AND (new.status = 'disconnected'::text))) EXECUTE FUNCTION entra_sync.end_sessions_of_tenant();
CREATE TRIGGER end_sessions_at_purge AFTER DELETE ON entra_sync.tenants FOR EACH ROW EXECUTE FUNCTION entra_sync.end_sessions_of_tenant();
CREATE TRIGGER forget_troubles_at_purge AFTER DELETE ON entra_sync.tenants FOR EACH ROW EXECUTE FUNCTION entra_sync.forget_troubles_of_tenant();
comment on table entra_sync.tenants is 'One row a customer''s Entra ID tenant. Every writing transaction locks this row first (design: who may write when).';
comment on column entra_sync.tenants.external_ref is 'What the vendor calls this customer.';
comment on column entra_sync.tenants.provisional is 'Filled by a quick listing; the first round of a stream that was listed is not done yet.';
comment on column entra_sync.tenants.last_success_at is 'When last the checkpoint of every stream moved in one cycle (rule 21).';
comment on column entra_sync.tenants.retention is 'From the settings in force: how long a removed account can be restored.';
comment on column entra_sync.tenants.manual_roles is 'From the settings in force (manual.editableBy): which roles may remove manual accounts.';
comment on column entra_sync.tenants.failures is 'Cycles that failed in a row for a cause of the tenant''s own; from the third on it is quarantined: tried less and less often.';
comment on column entra_sync.tenants.failing_credential is 'Keyed hash of the credential that the last failed cycle used: with another one the tenant is tried at once.';
comment on column entra_sync.tenants.nested_members is 'How many rows of effective_members are not direct.';
comment on column entra_sync.tenants.nested_left_out is 'Null: every effective membership is kept. Else only direct ones are: so many more, counted by path, would exceed entra_sync.most_nested_members().';
comment on column entra_sync.tenants.paused_together is 'Paused with all others, and not on its own. Means nothing while the tenant is not paused.';
comment on column entra_sync.tenants.erase_at is 'When the worker erases the disconnected tenant (tenant disconnect --erase-after); null: a person does.';
comment on column entra_sync.tenants.assigned_at is 'Null: the tenant has no assignments, and pays nothing for them. Else the time up to which starts and ends are applied.';
comment on column entra_sync.tenants.assign_next_at is 'The first start or end after assigned_at.';
comment on column entra_sync.tenants.assigned_winners is 'The winners of each slot that `assigned` is made with. Null: all accounts are to be looked at again.';
comment on column entra_sync.tenants.notice is 'The last mass change in words, without names of people; null once acknowledged.';
comment on column entra_sync.tenants.notice_at is 'When it was committed. It is shown for seven days.';
comment on column entra_sync.tenants.permissions is 'The application permissions (claim roles) of the last access token, refused or not. Null: no cycle has noted one yet.';
comment on column entra_sync.tenants.permissions_since is 'When a cycle first got a token with exactly these permissions.';
comment on column entra_sync.tenants.credential_kind is 'The kind of credential that the token was got with.';
comment on column entra_sync.tenants.credential_ends_at is 'When its certificate ends. Null for other kinds: a secret and a federated token do not show their end.';

create table entra_sync.told_troubles (
  webhook_id uuid not null,
  trouble_id bigint not null,
  told_at timestamp with time zone not null default clock_timestamp(),
  ended boolean not null default false,
  constraint told_troubles_pkey PRIMARY KEY (webhook_id, trouble_id),
  constraint told_troubles_trouble_id_fkey FOREIGN KEY (trouble_id) REFERENCES entra_sync.troubles(trouble_id) ON DELETE CASCADE,
  constraint told_troubles_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES entra_sync.webhooks(webhook_id) ON DELETE CASCADE
);
CREATE INDEX told_troubles_by_trouble ON entra_sync.told_troubles USING btree (trouble_id);
comment on table entra_sync.told_troubles is 'When an address was told last that a trouble is there, and whether it was told of the end.';

create table entra_sync.trouble_watch (
  only_row boolean not null default true,
  looked_at timestamp with time zone not null default '-infinity'::timestamp with time zone,
  constraint trouble_watch_pkey PRIMARY KEY (only_row),
  constraint trouble_watch_only_row_check CHECK (only_row)
);
comment on table entra_sync.trouble_watch is 'One row: when a worker looked for troubles last. It is locked while one looks.';

create table entra_sync.troubles (
  trouble_id bigint not null generated always as identity,
  tenant_id uuid,
  kind text not null,
  key text not null default ''::text,
  detail jsonb not null default '{}'::jsonb,
  since timestamp with time zone not null default clock_timestamp(),
  ended_at timestamp with time zone,
  constraint troubles_pkey PRIMARY KEY (trouble_id),
  constraint troubles_kind_check CHECK ((kind = ANY (ARRAY['failing'::text, 'noticed'::text, 'removals_held'::text, 'waiting'::text, 'credential_expires'::text])))
);
CREATE INDEX troubles_by_tenant ON entra_sync.troubles USING btree (tenant_id);
CREATE UNIQUE INDEX troubles_open ON entra_sync.troubles USING btree (kind, key, tenant_id) NULLS NOT DISTINCT WHERE (ended_at IS NULL);
comment on table entra_sync.troubles is 'What needs a person, as the worker found it last. Rows stay for a week after their end.';
comment on column entra_sync.troubles.tenant_id is 'No foreign key: a consent may wait for a tenant that is not registered. Null: of the installation.';
comment on column entra_sync.troubles.key is 'Tells troubles of one kind and tenant apart: the list of removals, the reference of the consent, the days that are left.';

create table entra_sync.unseen_moves (
  tenant_id uuid not null,
  object_id uuid not null,
  constraint unseen_moves_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX unseen_moves_by_tenant ON entra_sync.unseen_moves USING btree (tenant_id);
comment on table entra_sync.unseen_moves is 'Users and groups whose place in the nesting this transaction changes, and no change row names all that follows: through groups that are not copied. Emptied when the batch is written.';

create table entra_sync.vocabulary (
  tenant_id uuid not null,
  word text not null,
  no bigint not null generated always as identity,
  constraint vocabulary_pkey PRIMARY KEY (tenant_id, word, no)
);
CREATE INDEX vocabulary_of_letters ON entra_sync.vocabulary USING btree (tenant_id, length(word), word) WHERE (word !~ '[0-9]'::text);
comment on table entra_sync.vocabulary is 'Each word of `words` once a tenant, and again where transactions beside each other brought it: none waits for another.';

create table entra_sync.waiting_consents (
  invitation_id uuid not null,
  tenant_id uuid not null,
  admin_object_id uuid not null,
  asked_at timestamp with time zone not null default clock_timestamp(),
  expires_at timestamp with time zone not null,
  constraint waiting_consents_pkey PRIMARY KEY (invitation_id),
  constraint waiting_consents_invitation_id_fkey FOREIGN KEY (invitation_id) REFERENCES entra_sync.invitations(invitation_id) ON DELETE CASCADE
);
CREATE INDEX waiting_consents_by_age ON entra_sync.waiting_consents USING btree (expires_at);
CREATE INDEX waiting_consents_by_tenant ON entra_sync.waiting_consents USING btree (tenant_id);
comment on table entra_sync.waiting_consents is 'Consents that have given a good token and wait for tenant approve. Nothing is read of the tenant for such a row. One invitation has one row, for the tenant that it asked for last; the customer is that of the invitation.';
comment on column entra_sync.waiting_consents.tenant_id is 'From the verified sign-in. The tenant need not be registered, so this is no foreign key.';
comment on column entra_sync.waiting_consents.admin_object_id is 'Who signed in: the object id in that tenant. It goes with the row.';
comment on column entra_sync.waiting_consents.expires_at is 'The vendor can approve until then; later the row is deleted.';

create table entra_sync.webhook_attempts (
  attempt_id bigint not null generated always as identity,
  webhook_id uuid not null,
  at timestamp with time zone not null default clock_timestamp(),
  message_id text not null,
  changes integer not null,
  status integer,
  problem text,
  answer text,
  ms integer not null,
  constraint webhook_attempts_pkey PRIMARY KEY (attempt_id),
  constraint webhook_attempts_answer_check CHECK ((length(answer) <= 200)),
  constraint webhook_attempts_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES entra_sync.webhooks(webhook_id) ON DELETE CASCADE
);
CREATE INDEX webhook_attempts_by_time ON entra_sync.webhook_attempts USING btree (at);
CREATE INDEX webhook_attempts_by_webhook ON entra_sync.webhook_attempts USING btree (webhook_id, attempt_id DESC);
comment on table entra_sync.webhook_attempts is 'What was sent when, and what came back: no bodies. Rows are kept for 30 days.';
comment on column entra_sync.webhook_attempts.status is 'The HTTP status; null: no answer came, and problem says why.';

create table entra_sync.webhooks (
  webhook_id uuid not null default gen_random_uuid(),
  tenant_id uuid,
  url text not null,
  kinds text[] not null default '{}'::text[],
  told text not null default 'names'::text,
  insecure_local boolean not null default false,
  secret bytea not null,
  old_secret bytea,
  old_secret_until timestamp with time zone,
  "position" text not null,
  state text not null default 'active'::text,
  paused_because text,
  failures integer not null default 0,
  failing_since timestamp with time zone,
  next_at timestamp with time zone not null default clock_timestamp(),
  behind_since timestamp with time zone,
  taken_at timestamp with time zone,
  lot_id uuid,
  lot_at timestamp with time zone,
  lot_changes bigint[],
  lot_to text,
  claim uuid,
  claimed_until timestamp with time zone,
  created_by text not null,
  created_at timestamp with time zone not null default clock_timestamp(),
  form text not null default 'changes'::text,
  lot_notice jsonb,
  constraint webhooks_pkey PRIMARY KEY (webhook_id),
  constraint webhooks_check CHECK (((state = 'paused'::text) = (paused_because IS NOT NULL))),
  constraint webhooks_check1 CHECK ((((lot_id IS NULL) = (lot_to IS NULL)) AND ((lot_id IS NULL) = (lot_at IS NULL)))),
  constraint webhooks_contact_check CHECK (((form <> 'contact'::text) OR (tenant_id IS NOT NULL))),
  constraint webhooks_form_check CHECK ((form = ANY (ARRAY['changes'::text, 'json'::text, 'slack'::text, 'teams'::text, 'mail'::text, 'contact'::text]))),
  constraint webhooks_paused_because_check CHECK ((paused_because = ANY (ARRAY['by_hand'::text, 'gone'::text, 'failing'::text]))),
  constraint webhooks_secret_check CHECK ((octet_length(secret) = 32)),
  constraint webhooks_state_check CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text]))),
  constraint webhooks_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE,
  constraint webhooks_told_check CHECK ((told = ANY (ARRAY['none'::text, 'names'::text, 'all'::text]))),
  constraint webhooks_url_check CHECK ((length(url) <= 2048))
);
CREATE INDEX webhooks_by_tenant ON entra_sync.webhooks USING btree (tenant_id);
comment on table entra_sync.webhooks is 'One row an address. Each change is sent at least once, in the order of the feed; the position moves when the address has taken a lot.';
comment on column entra_sync.webhooks.tenant_id is 'Null: the changes of all tenants.';
comment on column entra_sync.webhooks.kinds is 'Kinds of changes as globs; empty: all. account.purged is always sent.';
comment on column entra_sync.webhooks.told is 'Of a change its ids alone, the names of its fields too, or its values too.';
comment on column entra_sync.webhooks.insecure_local is 'The address is on loopback, and may be plain http.';
comment on column entra_sync.webhooks.secret is 'The key of the signature (Standard Webhooks). Both sides need it, so it is no hash.';
comment on column entra_sync.webhooks."position" is 'As directory.read_changes takes it: what lies before is sent, or not wanted.';
comment on column entra_sync.webhooks.behind_since is 'When the oldest change was made that is not taken yet; null: none is left.';
comment on column entra_sync.webhooks.lot_id is 'A lot is fixed before it is sent first, and is sent again under the same id.';
comment on column entra_sync.webhooks.lot_changes is 'The changes of the lot; null: it says that the feed was reset.';
comment on column entra_sync.webhooks.claim is 'One worker at a time sends to an address. The claim of a dead worker ends by itself.';
comment on column entra_sync.webhooks.form is 'changes: the change feed. contact: notices by mail to a contact of the tenant. Otherwise notices of troubles, in the form that the receiver reads.';
comment on column entra_sync.webhooks.lot_notice is 'The notice of the lot: its trouble and phase, with the facts as they were when it was fixed.';

create table entra_sync.words (
  tenant_id uuid not null,
  word text not null,
  kind "char" not null,
  no bigint not null,
  constraint words_pkey PRIMARY KEY (tenant_id, word, kind, no),
  constraint words_kind_check CHECK ((kind = ANY (ARRAY['a'::"char", 'g'::"char"])))
);
comment on table entra_sync.words is 'Each word of an account (kind a, account_no) or a group (g, group_no), removed ones included, once (rule 32). No foreign keys: triggers write it and take it back.';

create table entra_sync.words_due (
  due_no bigint not null generated always as identity,
  tenant_id uuid not null,
  account_nos integer[] not null,
  constraint words_due_pkey PRIMARY KEY (due_no),
  constraint words_due_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES entra_sync.tenants(tenant_id) ON DELETE CASCADE
);
CREATE INDEX words_due_by_tenant ON entra_sync.words_due USING btree (tenant_id, due_no);
comment on table entra_sync.words_due is 'Accounts that came many at once and are found by their words once keep_words_due has kept these (rule 32).';

create table entra_sync.words_left (
  tenant_id uuid not null,
  word text not null,
  no bigint not null generated always as identity,
  constraint words_left_pkey PRIMARY KEY (tenant_id, word, no)
);
comment on table entra_sync.words_left is 'Words that an account or a group has lost. forget_words takes those that none has any more out of the vocabulary.';

create table entra_sync.worker_beats (
  worker_id uuid not null,
  started_at timestamp with time zone not null default clock_timestamp(),
  seen_at timestamp with time zone not null default clock_timestamp(),
  stopped_at timestamp with time zone,
  constraint worker_beats_pkey PRIMARY KEY (worker_id)
);
comment on table entra_sync.worker_beats is 'One row for each process of entra-sync worker. seen_at: its last beat, one every 15 s. stopped_at: it was stopped in order, so that it works no more. Rows of a day ago are deleted, the newest excepted.';

create view entra_sync.change_rows as
 SELECT COALESCE(m.change_id, c.change_id) AS change_id,
    c.batch_id,
    c.tenant_id,
    c.at,
    c.cycle_id,
    c.actor,
    c.kind,
    c.account_id,
    COALESCE(m.group_id, c.group_id) AS group_id,
    c.member_group_id,
    c.before,
    c.after
   FROM (entra_sync.changes c
     LEFT JOIN LATERAL UNNEST(c.change_ids, c.group_ids) m(change_id, group_id) ON (true));
comment on view entra_sync.change_rows is 'Every change as one row.';

create view entra_sync.memberships as
 SELECT u.group_no,
    m.member_object_id,
    m.member_type,
    m.tenant_id,
    m.group_nos
   FROM (entra_sync.member_groups m
     CROSS JOIN LATERAL unnest(m.group_nos) u(group_no));
comment on view entra_sync.memberships is 'Every direct membership as one row. Whoever asks by group adds group_nos @> array[group_no], which an index answers.';

create view entra_sync.staged_members as
 SELECT m.round_id,
    m.group_object_id,
    m.member_object_id,
    m.member_type,
    m.removed
   FROM entra_sync.stage_members m
UNION ALL
 SELECT x.round_id,
    x.group_object_id,
    x.member_object_id,
    x.member_type,
    x.removed
   FROM ( SELECT DISTINCT ON (s.round_id, s.group_object_id, u.member_object_id) s.round_id,
            s.group_object_id,
            u.member_object_id,
            s.member_type,
            s.removed
           FROM (entra_sync.stage_slices s
             CROSS JOIN LATERAL unnest(s.members) u(member_object_id))
          ORDER BY s.round_id, s.group_object_id, u.member_object_id, s.slice DESC) x
  WHERE (NOT (EXISTS ( SELECT
           FROM entra_sync.stage_members m
          WHERE ((m.round_id = x.round_id) AND (m.group_object_id = x.group_object_id) AND (m.member_object_id = x.member_object_id)))));
comment on view entra_sync.staged_members is 'What a round says of memberships, whether its slices are unfolded yet or not.';

create view entra_sync.tenants_with_managers as
 SELECT tenant_id
   FROM entra_sync.tenants t
  WHERE (COALESCE(( SELECT (s.document -> 'managers'::text)
           FROM entra_sync.settings s
          WHERE (s.tenant_id = t.tenant_id)
          ORDER BY s.version DESC
         LIMIT 1), ( SELECT (s.document -> 'managers'::text)
           FROM entra_sync.settings s
          WHERE (s.tenant_id IS NULL)
          ORDER BY s.version DESC
         LIMIT 1)) = 'true'::jsonb);
comment on view entra_sync.tenants_with_managers is 'The tenants whose settings in force say managers: true. In others the links in accounts count for nothing.';

create view entra_sync.unnumbered_batches as
 SELECT b.batch_id,
    b.tenant_id,
    b.committed_at,
    COALESCE(last.change_id, (0)::bigint) AS last_change,
    last.at AS last_change_at
   FROM (entra_sync.batches b
     LEFT JOIN LATERAL ( SELECT entra_sync.last_change(c.*) AS change_id,
            c.at
           FROM entra_sync.changes c
          WHERE ((c.batch_id >= b.batch_id) AND (c.batch_id <= b.batch_id))
          ORDER BY c.batch_id DESC, c.change_id DESC
         LIMIT 1) last ON (true))
  WHERE (b.number IS NULL);
comment on view entra_sync.unnumbered_batches is 'Committed batches without a number. Their order is that of last_change: a change takes its id after the lock of the row that it changes, so of two batches that change the same row the one that committed first has the lower last_change.';

CREATE OR REPLACE FUNCTION entra_sync.account_facts(a entra_sync.accounts)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select jsonb_build_object('entra_object_id', a.entra_object_id, 'state', a.state, 'enabled', a.enabled,
    'user_principal_name', a.user_principal_name, 'mail', a.mail, 'profile', a.profile - a.cleared)
$function$;
comment on function entra_sync.account_facts(entra_sync.accounts) is 'What a change row can say of an account.';

CREATE OR REPLACE FUNCTION entra_sync.account_name(profile jsonb, source jsonb, principal text, mail text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select pg_catalog.left(
    coalesce(coalesce(profile ->> 'displayName', source ->> 'displayName') || ' ', '')
    || case when pg_catalog.strpos(' ' || coalesce(profile ->> 'displayName', source ->> 'displayName') || ' ',
                                   ' ' || (profile ->> 'givenName') || ' ') > 0
            then '' else coalesce((profile ->> 'givenName') || ' ', '') end
    || case when pg_catalog.strpos(' ' || coalesce(profile ->> 'displayName', source ->> 'displayName') || ' ',
                                   ' ' || (profile ->> 'surname') || ' ') > 0
            then '' else coalesce((profile ->> 'surname') || ' ', '') end
    -- A guest's user principal name is the address at home, #EXT# and the tenant.
    || coalesce(pg_catalog.split_part(pg_catalog.split_part(principal, '#EXT#', 1), '@', 1) || ' ', '')
    || coalesce(nullif(pg_catalog.split_part(mail, '@', 1),
                       pg_catalog.split_part(pg_catalog.split_part(principal, '#EXT#', 1), '@', 1)), ''), 1000)
$function$;
comment on function entra_sync.account_name(jsonb,jsonb,text,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.accounts_then(tenant uuid, moment timestamp with time zone, only_account uuid DEFAULT NULL::uuid)
 RETURNS SETOF directory.account_then
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
begin
  perform entra_sync.require_time(tenant, moment);
  return query
    with later as materialized (
      -- The changes of one account have ids in the order of their commits: each is written under the account's lock.
      select c.account_id, c.change_id, c.kind, c.before
        from entra_sync.batches b join entra_sync.changes c on c.batch_id = b.batch_id
       where b.tenant_id = tenant and b.committed_at > moment and c.kind like 'account.%'
         and (only_account is null and c.account_id is not null or c.account_id = only_account)
    ), life as (
      select distinct on (l.account_id) l.account_id, l.kind from later l
       where l.kind in ('account.created', 'account.restored', 'account.removed', 'account.purged')
       order by l.account_id, l.change_id
    ), blind as (
      -- A restore of an older release does not say what it changed: what was known before it is in the rows before it.
      select l.account_id, min(l.change_id) as change_id from later l
       where l.kind = 'account.restored' and not jsonb_exists(coalesce(l.before, '{}'), 'profile') group by l.account_id
    ), undone as (
      select distinct on (l.account_id, f.field) l.account_id, f.field, f.before as value
        from later l left join blind using (account_id)
       cross join lateral entra_sync.change_fields(l.before, null) f
       where l.change_id < blind.change_id or blind.change_id is null
       order by l.account_id, f.field, l.change_id
    ), remembered as (
      select distinct on (x.account_id, f.field) x.account_id, f.field, f.after as value
        from blind x join entra_sync.changes c on c.account_id = x.account_id and c.change_id < x.change_id and c.kind like 'account.%'
       cross join lateral entra_sync.change_fields(null, c.after) f
       order by x.account_id, f.field, c.change_id desc
    ), other as (
      select v.account_id,
             jsonb_object_agg(v.field, v.value) filter (where v.field not like '%.%') as facts,
             jsonb_object_agg(substr(v.field, 9), v.value) filter (where v.field like 'profile.%') as profile
        from (select coalesce(u.account_id, r.account_id) as account_id, coalesce(u.field, r.field) as field,
                     case when u.field is null then r.value else u.value end as value
                from undone u full join remembered r on r.account_id = u.account_id and r.field = u.field) v
       group by v.account_id
    ), there as (
      select coalesce(a.account_id, l.account_id) as account_id, a.account_id is null as erased,
             jsonb_build_object('entra_object_id', a.entra_object_id, 'state', a.state, 'enabled', a.enabled,
               'user_principal_name', a.user_principal_name, 'mail', a.mail) || coalesce(o.facts, '{}') as facts,
             jsonb_strip_nulls(coalesce(a.profile, '{}') || coalesce(o.profile, '{}')) as profile
        from (select * from entra_sync.accounts a
               where a.tenant_id = tenant and (only_account is null or a.account_id = only_account)) a
        full join life l on l.account_id = a.account_id
        left join other o on o.account_id = a.account_id
       where case when l.kind is null then a.removed_at is null else l.kind = 'account.removed' end
    )
    select tenant, t.account_id,
           case when not t.erased then (t.facts ->> 'entra_object_id')::uuid end,
           case when not t.erased then t.facts ->> 'state' end,
           case when not t.erased then (t.facts ->> 'enabled')::boolean end,
           case when not t.erased then t.facts ->> 'user_principal_name' end,
           case when not t.erased then t.facts ->> 'mail' end,
           case when not t.erased then t.profile end,
           t.erased
      from there t;
end $function$;
comment on function entra_sync.accounts_then(uuid,timestamp with time zone,uuid) is 'accounts_at with every value; with only_account that account alone, by reading its change rows alone.';

CREATE OR REPLACE FUNCTION entra_sync.add_words(tenant uuid, of_kind "char", numbers bigint[], names text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  with come as (
    insert into entra_sync.words as x (tenant_id, word, kind, no)
    select distinct tenant, left(w, 64), of_kind, n.no
      from unnest(numbers, names) as n (no, name) cross join lateral unnest(entra_sync.words_of(n.name)) as w
     where w <> '' order by 2, 4
    on conflict do nothing
    returning x.word
  )
  select array(select distinct c.word from come c) into names;
  perform entra_sync.keep_vocabulary(tenant, names);
end $function$;
comment on function entra_sync.add_words(uuid,"char",bigint[],text[]) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.assigned_anew()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.assigned_winners := null;
  return new;
end $function$;
comment on function entra_sync.assigned_anew() is 'The nested memberships of the whole tenant came or went.';

CREATE OR REPLACE FUNCTION entra_sync.assigned_by(tenant uuid, accounts integer[], rules entra_sync.assignments[], winners jsonb)
 RETURNS TABLE(account_no integer, alike integer, seq bigint, rank smallint, slot text, item text)
 LANGUAGE sql
 STABLE
AS $function$
  with given as materialized (
    select r.seq, r.slot, r.item, r.target, r.is_exception, r.field, r.field_values, r.group_id, r.account_id,
           (winners ->> r.slot)::integer as winners,
           (dense_rank() over (order by r.slot))::integer as slot_no,
           (dense_rank() over (order by r.slot, r.item))::integer as item_no,
           -- The whole order of assignments. No two have the same age, so it leaves no choice.
           (row_number() over (
             order by case r.target when 'account' then 1 when 'group' then 2 when 'field' then 3 else 4 end,
                      r.priority desc, r.seq))::integer as place
      from unnest(rules) r
  ), by_group as materialized (
    -- Rows are looked up by number or id alone, and the tenant is compared afterwards. Where statistics take it for
    -- small, the server would read all of the tenant for each id, or compare each of its accounts with each number.
    select g.group_no::integer, r.place
      from given r
     cross join lateral (
       select g.group_no, g.tenant_id from entra_sync.groups g where g.group_id = r.group_id offset 0) g
     where g.tenant_id = tenant
  ), by_account as materialized (
    select a.account_no, r.place
      from given r
     cross join lateral (
       select a.account_no, a.tenant_id from entra_sync.accounts a where a.account_id = r.account_id offset 0) a
     where a.tenant_id = tenant
  ), for_everyone as materialized (
    -- All accounts meet the same ones, so the first of each item stands for the others.
    select min(r.place) as place, r.slot_no, r.item_no, bool_or(r.is_exception) as is_exception
      from given r where r.target = 'everyone' group by r.slot_no, r.item_no
  ), word as materialized (
    select r.place, r.field, entra_sync.folded(v) as word
      from given r cross join lateral unnest(r.field_values) v where r.target = 'field'
  ), person as materialized (
    select a.account_no
      from (select * from entra_sync.accounts a where a.account_no = any(accounts) offset 0) a
     where a.tenant_id = tenant and a.removed_at is null
  ), held as materialized (
    -- As text: 1 and 1.0 are equal as JSON, and are different words.
    select a.account_no, f.field, case when f.field <> all(a.cleared) then (a.profile -> f.field)::text end as value
      from (select distinct w.field from word w) f
     cross join (select * from entra_sync.accounts a where a.account_no = any(accounts) offset 0) a
     where a.tenant_id = tenant and a.removed_at is null
  ), matched as materialized (
    -- Most accounts share their values, so each is taken apart once.
    select distinct h.field, h.value, w.place
      from (select h.field, h.value, entra_sync.field_words(h.value::jsonb) as words
              from (select distinct h.field, h.value from held h where h.value is not null) h offset 0) h
     cross join lateral unnest(h.words) as v (word)
      join word w on w.field = h.field and w.word = v.word
  ), reached as (
    select e.account_no, r.place
      from (select * from entra_sync.effective_members e where e.account_no = any(accounts) offset 0) e
      join by_group r on r.group_no = e.group_no
    union all
    select r.account_no, r.place from by_account r
    union all
    select h.account_no, m.place from held h join matched m on m.field = h.field and m.value = h.value
  ), met as materialized (
    select p.account_no, coalesce(x.places, '{}') as places
      from person p
      left join (
        select r.account_no, array_agg(r.place order by r.place) as places from reached r group by r.account_no) x
        on x.account_no = p.account_no
  ), mix as materialized (
    -- Many accounts meet the same assignments, so each mix of them is judged once.
    select row_number() over ()::integer as alike, x.places from (select distinct m.places from met m) x
  ), candidate as (
    select x.alike, r.place, r.slot_no, r.item_no, r.is_exception
      from mix x cross join lateral unnest(x.places) as p (place) join given r on r.place = p.place
    union all
    select x.alike, r.place, r.slot_no, r.item_no, r.is_exception from mix x cross join for_everyone r
  ), won as (
    select c.alike, c.slot_no, min(c.place) as place
      from candidate c group by c.alike, c.slot_no, c.item_no
    having not bool_or(c.is_exception)
  ), ranked as (
    select w.alike, w.place, row_number() over (partition by w.alike, w.slot_no order by w.place) as rank
      from won w
  )
  select m.account_no, x.alike, r.seq, k.rank::smallint, r.slot, r.item
    from ranked k
    join given r on r.place = k.place and k.rank <= r.winners
    join mix x on x.alike = k.alike
    join met m on m.places = x.places
$function$;
comment on function entra_sync.assigned_by(uuid,integer[],entra_sync.assignments[],jsonb) is 'Which of these assignments win for these accounts: an exception takes its item away from each account that it reaches; of the others the first of each item counts, accounts before groups, fields and everyone, then by priority and age; a slot has as many winners as it says. Accounts with the same number in `alike` get the same.';

CREATE OR REPLACE FUNCTION entra_sync.assigning_due(tenant uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select exists (
    select from entra_sync.tenants t
     where t.tenant_id = tenant and t.assigned_at is not null
       and (t.assigned_winners is null or t.assign_next_at <= clock_timestamp()
            or exists (select from jsonb_each(entra_sync.slot_winners(tenant)) w
                        where jsonb_exists(t.assigned_winners, w.key) and t.assigned_winners -> w.key <> w.value)))
      or exists (select from entra_sync.unseen_moves u where u.tenant_id = tenant)
$function$;
comment on function entra_sync.assigning_due(uuid) is 'Whether a start, an end or a changed slot waits to be applied, or effective memberships without a change row. One look each for a tenant without.';

CREATE OR REPLACE FUNCTION entra_sync.audit_only_grows()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if current_setting('entra_sync.audit_upkeep', true) = 'on' then
    return coalesce(new, old);
  end if;
  raise exception using errcode = '55000', message = 'the audit only grows: its rows are neither changed nor deleted',
    hint = 'The worker deletes rows after 400 days, and an erased person is taken out of them.';
end $function$;
comment on function entra_sync.audit_only_grows() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.batch_end(batch bigint)
 RETURNS bigint
 LANGUAGE sql
 STABLE
AS $function$
  -- A batch whose change rows were erased still has its number.
  select coalesce((select entra_sync.last_change(c) from entra_sync.changes c
                    where c.batch_id between batch and batch order by c.batch_id desc, c.change_id desc limit 1), 0)
$function$;
comment on function entra_sync.batch_end(bigint) is 'The highest change id of a batch, 0 where it has none any more.';

CREATE OR REPLACE FUNCTION entra_sync.batch_rows(batch bigint, after_change bigint, only_tenant uuid, wanted bigint)
 RETURNS TABLE(change_id bigint, tenant_id uuid, at timestamp with time zone, cycle_id bigint, actor text, kind text, account_id uuid, group_id uuid, member_group_id uuid, before jsonb, after jsonb)
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce(m.change_id, c.change_id), c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id,
         coalesce(m.group_id, c.group_id), c.member_group_id, c.before, c.after
    from (
      -- The row that stands for the last change that was read may stand for more. So many rows hold as many changes, beside it.
      select x.* from entra_sync.changes x
       where (x.batch_id, x.change_id) >= (batch_rows.batch, coalesce(
               (select y.change_id from entra_sync.changes y
                 where (y.batch_id, y.change_id) <= (batch_rows.batch, batch_rows.after_change) and y.batch_id >= batch_rows.batch
                 order by y.batch_id desc, y.change_id desc limit 1), batch_rows.after_change))
         and x.batch_id <= batch_rows.batch and x.tenant_id = coalesce(batch_rows.only_tenant, x.tenant_id)
       order by x.batch_id, x.change_id limit batch_rows.wanted + 1) c
    left join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id) on true
   where coalesce(m.change_id, c.change_id) > batch_rows.after_change
   order by 1 limit batch_rows.wanted
$function$;
comment on function entra_sync.batch_rows(bigint,bigint,uuid,bigint) is 'The first changes of a batch after one of them, each as a row.';

CREATE OR REPLACE FUNCTION entra_sync.begin_assigning(actor text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  perform entra_sync.require_actor(actor);
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise exception using errcode = '25001',
      message = 'slots, items and assignments are written in read committed transactions only',
      hint = 'An older snapshot does not show what was committed meanwhile: begin isolation level read committed.';
  end if;
end $function$;
comment on function entra_sync.begin_assigning(text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.blank_facts(facts jsonb, fields text[], is_whole boolean)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select facts || coalesce((
    select jsonb_object_agg(part, case when is_whole then (facts -> part) - fields
             else (facts -> part) || coalesce((select jsonb_object_agg(f, null) from unnest(fields) as f where jsonb_exists(facts -> part, f)), '{}') end)
      from unnest(array['profile', 'directory']) as part where jsonb_exists(facts, part)), '{}')
$function$;
comment on function entra_sync.blank_facts(jsonb,text[],boolean) is 'The facts of a change row without the values of these fields. A row that tells everything leaves them out.';

CREATE OR REPLACE FUNCTION entra_sync.broken_tag(tail text)
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select case
    when tail ~ '^</?[ \t\n\f\r]*\{\{' then entra_sync.misplaced('in the name of a tag')
    when tail ~ '^<!' then array['the html has a comment that a {{field}} may stand in',
      'End it by -->, and write no -- and no > at its begin within it.']
    when tail ~* '^</?[a-z][^<>]*\{\{' then entra_sync.misplaced('in a tag that cannot be read')
    when tail ~* '^</?[a-z]' then array['the html has a tag that cannot be read beside a {{field}}',
      'Put the values of its attributes into quotes, with a space before each name, and end it by >.']
    else array['the html has a < that begins no tag', 'Write &lt; for it.'] end
$function$;
comment on function entra_sync.broken_tag(text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.change_as_late()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update entra_sync.changes c set at = new.updated_at
   where c.account_id = new.account_id and c.kind like 'account.%' and c.at = now();
  return null;
end $function$;
comment on function entra_sync.change_as_late() is 'Where later_than_before moved an account''s time, the change rows of the transaction have it too. At its end, when they are written.';

CREATE OR REPLACE FUNCTION entra_sync.change_fields(before jsonb, after jsonb)
 RETURNS TABLE(field text, before jsonb, after jsonb)
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with sides as (
    select s.is_after, e.key as field, e.value
      from (values (false, before), (true, after)) as s (is_after, facts)
     cross join lateral jsonb_each(coalesce(s.facts, '{}') - array['profile', 'directory']) e
    union all
    select s.is_after, p.part || '.' || e.key, e.value
      from (values (false, before), (true, after)) as s (is_after, facts)
     cross join (values ('profile'), ('directory')) as p (part)
     cross join lateral jsonb_each(coalesce(s.facts -> p.part, '{}')) e
  )
  select s.field, nullif((jsonb_agg(s.value) filter (where not s.is_after)) -> 0, 'null'),
         nullif((jsonb_agg(s.value) filter (where s.is_after)) -> 0, 'null')
    from sides s group by s.field
$function$;
comment on function entra_sync.change_fields(jsonb,jsonb) is 'A change row field by field: facts by their name, fields of the profile as profile.NAME, a change under a person''s edit as directory.NAME.';

CREATE OR REPLACE FUNCTION entra_sync.changed_since(account entra_sync.accounts, fields text[], expected_updated_at timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  expected constant timestamptz := date_trunc('milliseconds', expected_updated_at);
  known bigint;
  field text;
begin
  -- Drivers cut the rest off.
  if expected is null or expected = date_trunc('milliseconds', account.updated_at) then
    return null;
  end if;
  -- Before migration 0137 a cycle's change had the time of its begin, which may lie before the change that it followed.
  select max(c.change_id) into known from entra_sync.changes c
   where c.account_id = account.account_id and c.kind like 'account.%' and date_trunc('milliseconds', c.at) = expected;
  select f into field from entra_sync.changes c cross join lateral jsonb_object_keys(c.before -> 'profile') as f
   where c.account_id = account.account_id and c.kind like 'account.%' and f = any(fields)
     and (date_trunc('milliseconds', c.at) > expected or c.change_id > known)
   order by f limit 1;
  return field;
end $function$;
comment on function entra_sync.changed_since(entra_sync.accounts,text[],timestamp with time zone) is 'The first of the fields that has changed since the account was read at this updated_at, compared to the millisecond; null: none, or no check.';

CREATE OR REPLACE FUNCTION entra_sync.cure_of_directory_field(mapped_from text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select case
    when mapped_from is null then 'It is not in Entra ID: say in the settings where it comes from (from), or give it to the user'
    -- A constant is written as JSON.
    when mapped_from ~ '^("([^"\\]|\\.)*"|\[("([^"\\]|\\.)*"(,"([^"\\]|\\.)*")*)?\]|-?[0-9][0-9.e+-]*|true|false)$'
      then 'Its value is a constant of the settings: change it there, or give it to the user'
    else format('Change it in Entra ID (%s), or give it to the user in the settings', left(mapped_from, 200)) end
    || ' (sourceOfTruth: hybrid, owner: user).'
$function$;
comment on function entra_sync.cure_of_directory_field(text) is 'The hint of ES001, by what the field is made of.';

CREATE OR REPLACE FUNCTION entra_sync.differing_facts(mine jsonb, other jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select coalesce((
      select jsonb_object_agg(f.key, f.value)
        from (select key, m.value from jsonb_each(mine) m full join jsonb_each(other) o using (key)
               where key <> 'profile' and m.value is distinct from o.value) f), '{}')
    || coalesce((
      select jsonb_build_object('profile', jsonb_object_agg(f.key, f.value))
        from (select key, m.value from jsonb_each(mine -> 'profile') m full join jsonb_each(other -> 'profile') o using (key)
               where nullif(m.value, 'null') is distinct from nullif(o.value, 'null')) f
      having count(*) > 0), '{}')
$function$;
comment on function entra_sync.differing_facts(jsonb,jsonb) is 'What `mine` says where the two differ; a profile field that is not there is null.';

CREATE OR REPLACE FUNCTION entra_sync.directory_value_at(account entra_sync.accounts, field text, change bigint)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce((
      select jsonb_build_array(nullif(b.told -> field, 'null')) from entra_sync.changes c
       cross join lateral (
         select coalesce(c.before -> 'profile', '{}') || coalesce(c.before -> 'directory', '{}') as told) b
       where c.account_id = account.account_id and c.change_id > change
         and c.kind in ('account.updated', 'account.restored') and jsonb_exists(b.told, field)
       order by c.change_id limit 1),
    jsonb_build_array(nullif(account.mapped -> field, 'null'))) -> 0
$function$;
comment on function entra_sync.directory_value_at(entra_sync.accounts,text,bigint) is 'The directory''s value of a field when the change was made: the first later change of it tells, under a person''s value or not.';

CREATE OR REPLACE FUNCTION entra_sync.drop_copy()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  delete from entra_sync.accounts where tenant_id = old.tenant_id;
  delete from entra_sync.groups where tenant_id = old.tenant_id;
  delete from entra_sync.member_groups where tenant_id = old.tenant_id;
  return null;
end $function$;
comment on function entra_sync.drop_copy() is 'A tenant takes its accounts, groups and memberships with it.';

CREATE OR REPLACE FUNCTION entra_sync.drop_effective()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  delete from entra_sync.effective_members where ctid = any(array(
    select e.place from gone g cross join lateral (
      select e.ctid as place from entra_sync.effective_members e where e.account_no = g.account_no offset 0) e));
  delete from entra_sync.assigned where ctid = any(array(
    select s.place from gone g cross join lateral (
      select s.ctid as place from entra_sync.assigned s where s.account_no = g.account_no offset 0) s));
  return null;
end $function$;
comment on function entra_sync.drop_effective() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.drop_stage()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if old.stream = 'users' then
    delete from entra_sync.stage_users where round_id = old.round_id;
  else
    delete from entra_sync.stage_groups where round_id = old.round_id;
    delete from entra_sync.stage_slices where round_id = old.round_id;
  end if;
  delete from entra_sync.stage_members where round_id = old.round_id;
  return null;
end $function$;
comment on function entra_sync.drop_stage() is 'A round takes its stage with it, whatever ends the round.';

CREATE OR REPLACE FUNCTION entra_sync.edit_locked(account entra_sync.accounts, patch jsonb, actor text, actor_role text, expected_updated_at timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
  fields constant text[] := array(select jsonb_object_keys(patch));
  new_values jsonb;
  key text;
  new_value jsonb;
begin
  for key, new_value in select e.key, e.value from jsonb_each(patch) e loop
    perform entra_sync.require_fitting(key, new_value, entra_sync.require_editable(account, key, actor_role),
      account.state = 'manual' and key in ('mail', 'userPrincipalName'));
    perform entra_sync.require_within(account.tenant_id, key, new_value);
  end loop;
  key := entra_sync.changed_since(account, fields, expected_updated_at);
  if key is not null then
    perform entra_sync.refuse_conflict(account, key, patch -> key);
  end if;
  new_values := coalesce((
    select jsonb_object_agg(e.key, e.value) from jsonb_each(patch) e
     where account.overrides -> e.key is distinct from e.value), '{}');
  return entra_sync.store_edit(account,
    account.overrides || new_values,
    account.edits || coalesce((
      select jsonb_object_agg(f, jsonb_build_object('by', actor, 'at', now())) from jsonb_object_keys(new_values) as f), '{}'),
    -- One value of a person a field: the new one takes the place of one that was kept.
    account.shelf - array(select jsonb_object_keys(new_values)),
    fields, actor);
end $function$;
comment on function entra_sync.edit_locked(entra_sync.accounts,jsonb,text,text,timestamp with time zone) is 'The edit of a locked account, of checked patch and role: ES001 to ES003, ES005, then ES009, then ES008.';

CREATE OR REPLACE FUNCTION entra_sync.effective_of(account integer, nested boolean)
 RETURNS TABLE(group_no integer, is_direct boolean)
 LANGUAGE sql
 STABLE
AS $function$
  select c.ancestor_no::integer, bool_or(c.ancestor_no = c.descendant_no)
    from entra_sync.accounts a
   cross join lateral (
     select exists (select from entra_sync.groups g where g.tenant_id = a.tenant_id and g.removed_reason = 'not_copied') as hides
     offset 0) t
   cross join lateral (
     select m.group_nos from entra_sync.member_groups m
      where m.tenant_id = a.tenant_id and m.member_object_id = a.entra_object_id offset 0) m
   cross join lateral unnest(m.group_nos) as held (no)
   cross join lateral (
     select c.ancestor_no, c.descendant_no from entra_sync.group_closure c where c.descendant_no = held.no offset 0) c
   where a.account_no = account and a.removed_at is null and (nested or c.ancestor_no = c.descendant_no)
     and case when t.hides then exists (
           select from entra_sync.groups v where v.group_no = c.ancestor_no and v.removed_at is null) else true end
   group by c.ancestor_no
$function$;
comment on function entra_sync.effective_of(integer,boolean) is 'The rows that effective_members should have of an account: its live groups. The closure holds the groups that Graph shows, each with itself; those that are not copied are on the way alone.';

CREATE OR REPLACE FUNCTION entra_sync.empty_as_null(patch jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select coalesce(jsonb_object_agg(e.key, case when e.value = '""' then 'null' else e.value end), '{}')
    from jsonb_each(patch) e
$function$;
comment on function entra_sync.empty_as_null(jsonb) is 'The fields of a patch, with null for an empty text.';

CREATE OR REPLACE FUNCTION entra_sync.end_older_rounds()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  ended text;
begin
  select case r.kind when 'full' then 'incremental' when 'incremental' then 'full' end into ended
    from entra_sync.rounds r where r.round_id = new.round_id and not r.dry_run;
  if ended = 'incremental' or ended = 'full' and coalesce(current_setting('entra_sync.keeps_full_round', true), '') <> 'on' then
    delete from entra_sync.rounds r
     where r.tenant_id = new.tenant_id and r.stream = new.stream and r.kind = ended and not r.dry_run;
  end if;
  return null;
end $function$;
comment on function entra_sync.end_older_rounds() is 'A full round that is committed ends the later round beside it. A later round that is committed ends the full round beside it, unless the commit says (entra_sync.keeps_full_round) that it marks there what it brought: else the full round would take those changes back.';

CREATE OR REPLACE FUNCTION entra_sync.end_sessions_of_tenant()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  delete from entra_sync.sessions s where s.tenant_id = old.tenant_id;
  return null;
end $function$;
comment on function entra_sync.end_sessions_of_tenant() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.error_detail(code text, field text, facts jsonb DEFAULT '{}'::jsonb)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select (jsonb_build_object('code', code) || facts
    || case when field is null then '{}' else jsonb_build_object('field', left(field, 80)) end)::text
$function$;
comment on function entra_sync.error_detail(text,text,jsonb) is 'The DETAIL of an error: a JSON object with the code, the field where one is meant, and facts that are no values.';

CREATE OR REPLACE FUNCTION entra_sync.expire_audit()
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  expired integer;
begin
  perform set_config('entra_sync.audit_upkeep', 'on', true);
  delete from entra_sync.audit where audit_id in (
    select a.audit_id from entra_sync.audit a where a.at < now() - interval '400 days' order by a.at limit 10000);
  get diagnostics expired = row_count;
  perform set_config('entra_sync.audit_upkeep', '', true);
  return expired;
end $function$;
comment on function entra_sync.expire_audit() is 'Deletes rows older than 400 days, at most 10,000 at a time; returns how many.';

CREATE OR REPLACE FUNCTION entra_sync.feed_batches(ranges text)
 RETURNS int8multirange
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select coalesce(range_agg(int8range(least(e.one, e.other), greatest(e.one, e.other), '[]')), '{}')
    from string_to_table(nullif(ranges, ''), '.') r
   cross join lateral (select split_part(r, '-', 1)::bigint as one, split_part(r, '-', -1)::bigint as other) e
$function$;
comment on function entra_sync.feed_batches(text) is 'What entra_sync.feed_ranges wrote.';

CREATE OR REPLACE FUNCTION entra_sync.feed_end(OUT epoch text, OUT number bigint, OUT change bigint)
 RETURNS record
 LANGUAGE sql
 STABLE
AS $function$
  select case
           when s.system_identifier <> f.system_identifier or s.timeline <> f.timeline or s.database_oid <> f.database_oid
           then substr(md5(concat_ws(':', f.epoch, s.system_identifier, s.timeline, s.database_oid, last.number)), 1, 8)
           else f.epoch end,
         last.number, last.change
    from entra_sync.feed f
    cross join lateral (
      select f.pruned_number as number, f.pruned_change as change
      union all
      (select b.number, entra_sync.batch_end(b.batch_id)
         from entra_sync.batches b where b.number > f.pruned_number order by b.number desc limit 1)
      order by number desc limit 1
    ) last
    cross join entra_sync.this_server() s
$function$;
comment on function entra_sync.feed_end() is 'The last change of the newest batch that has a number. On another server than the kept one the epoch is a passing one until entra_sync.number_batches begins the next: a reader must not write, and a position must not mean two things.';

CREATE OR REPLACE FUNCTION entra_sync.feed_ranges(batches int8multirange)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select string_agg(case when upper(r) - 1 = lower(r) then lower(r)::text else lower(r) || '-' || upper(r) - 1 end, '.' order by r)
    from unnest(batches) r
$function$;
comment on function entra_sync.feed_ranges(int8multirange) is 'Ids of batches as a position holds them: 12-14.17. Null for none.';

CREATE OR REPLACE FUNCTION entra_sync.field_words(value jsonb)
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select case jsonb_typeof(value)
    when 'array' then array(select entra_sync.folded(e #>> '{}') from jsonb_array_elements(value) e
      where jsonb_typeof(e) <> 'null')
    when 'string' then array[entra_sync.folded(value #>> '{}')]
    when 'number' then array[entra_sync.folded(value #>> '{}')]
    when 'boolean' then array[value #>> '{}']
    else '{}' end
$function$;
comment on function entra_sync.field_words(jsonb) is 'The value of a profile field as an assignment compares it: each element of a list, without case.';

CREATE OR REPLACE FUNCTION entra_sync.find_in(tenant uuid, wanted text[], few integer, removed boolean, near boolean)
 RETURNS SETOF directory.found_row
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
 SET jit TO 'off'
AS $function$
declare
  last constant text := U&'\+10FFFF';
  many constant integer := entra_sync.many_holders();
  most integer := greatest(few * 5, 200);
  most_parts constant integer := greatest(few * 5, 2000);
  rarest text := wanted[1];
  second text;
  lists jsonb;
  meant text[] := wanted;
  accounts bigint[];
  groups bigint[];
  names integer;
  found directory.found_row[] := '{}';
begin
  if near then
    meant := array(
      select concat_ws(' ', w, (select string_agg(n, ' ') from entra_sync.nearest_words(tenant, w, 8) n))
        from unnest(wanted) with ordinality u (w, i) order by i);
    lists := (
      select jsonb_agg(to_jsonb(string_to_array(m, ' ') || case when cardinality(wanted) > 1
               then entra_sync.words_with_part(tenant, w) else '{}' end) order by i)
        from unnest(wanted, meant) with ordinality u (w, m, i));
  else
    if cardinality(wanted) > 1 then
      -- The two rarest words decide who is read; the names are searched for the others.
      select w[1], case when h[2] < many then w[2] end into rarest, second
        from (select array_agg(u.word order by u.holders) as w, array_agg(u.holders order by u.holders) as h
                from (select w as word, (select count(*) from (
                        select from entra_sync.words x
                         where x.tenant_id = tenant and x.word >= w and x.word < w || last limit many) c) as holders
                        from unnest(wanted) as w) u) r;
    end if;
    loop
      select coalesce(array_agg(distinct n.no) filter (where n.kind = 'a'), '{}'),
             coalesce(array_agg(distinct n.no) filter (where n.kind = 'g'), '{}'), count(*)
        into accounts, groups, names
        from (select x.kind, x.no from entra_sync.words x
               where x.tenant_id = tenant and x.word >= rarest and x.word < rarest || last
                 -- In a `case` the other word's holders are read once, into a hash.
                 and case when second is null then true else (x.kind, x.no) in (
                   select y.kind, y.no from entra_sync.words y
                    where y.tenant_id = tenant and y.word >= second and y.word < second || last) end
               order by x.word, x.kind, x.no limit most) n;
      found := array(select f from entra_sync.judged(tenant, accounts, groups, wanted, removed) f);
      exit when cardinality(found) >= few or names < most;
      most := most * 10;
    end loop;
    return query select f.* from unnest(found) f;
    if cardinality(found) >= few then
      return;
    end if;
    lists := (select jsonb_agg(to_jsonb(entra_sync.words_with_part(tenant, w)) order by i)
                from unnest(wanted) with ordinality u (w, i));
  end if;
  most := greatest(few * 5, 200);
  loop
    select coalesce(array_agg(distinct h.no) filter (where h.kind = 'a'), '{}'),
           coalesce(array_agg(distinct h.no) filter (where h.kind = 'g'), '{}'), count(*)
      into accounts, groups, names
      from entra_sync.holders_of_rarest(tenant, lists, most) h;
    found := array(select f from entra_sync.judged(tenant, accounts, groups, meant, removed) f);
    exit when cardinality(found) >= few or names < most or most >= most_parts;
    most := least(most * 10, most_parts);
  end loop;
  return query
    select f.kind, f.tenant_id, f.account_id, f.group_id, f.entra_object_id, f.display_name, f.user_principal_name, f.mail,
           f.state, case when near then 'near' else f.fit end
      from unnest(found) f;
end $function$;
comment on function entra_sync.find_in(uuid,text[],integer,boolean,boolean) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.find_ranked(tenants uuid[], asked text, most integer, removed boolean)
 RETURNS SETOF directory.found_row
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  -- Some tools print an id in braces.
  name constant text := btrim(left(asked, 200), ' {}');
  digits constant text := replace(lower(name), '-', '');
  domain constant text := case when strpos(name, '@') > 0 then lower(split_part(name, '@', 2)) end;
  wanted constant text[] := array(
    select left(w, 64) from unnest(entra_sync.words_asked(split_part(name, '@', 1))) with ordinality u (w, i)
     -- A text of signs alone is no word.
     where w !~ '^[!-/:-@[-`{-~]*$' group by 1 order by min(i) limit 8);
  pass boolean;
begin
  if digits ~ '^[0-9a-f]{8,32}$' and lower(name) ~ '^[0-9a-f]{8}(-|$|[0-9a-f]{24}$)' then
    return query
      select f.* from unnest(tenants) as t (id) cross join lateral entra_sync.found_by_id(t.id, digits, removed) f limit most;
    if found then
      return;
    end if;
  end if;
  if wanted = '{}' then
    return;
  end if;
  foreach pass in array array[false, true] loop
    return query
      select r.kind, r.tenant_id, r.account_id, r.group_id, r.entra_object_id, r.display_name, r.user_principal_name, r.mail,
             r.state, r.fit
        from (
          select distinct on (f.kind, f.account_id, f.group_id) f.*, array_position(array['whole', 'begins', 'part', 'near'], f.fit) as place
            from unnest(tenants) as t (id)
           cross join lateral entra_sync.find_in(t.id, wanted, most, removed, pass) f
           where domain is null or starts_with(lower(split_part(f.mail, '@', 2)), domain)
              or starts_with(lower(split_part(f.user_principal_name, '@', 2)), domain)
           order by f.kind, f.account_id, f.group_id, place) r
       order by r.place, r.state = 'removed', lower(r.display_name), r.user_principal_name, r.account_id, r.group_id
       limit most;
    if found then
      return;
    end if;
  end loop;
end $function$;
comment on function entra_sync.find_ranked(uuid[],text,integer,boolean) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.first_effective(tenant uuid, accounts integer[], nested boolean)
 RETURNS bigint
 LANGUAGE plpgsql
 SET enable_nestloop TO 'off'
AS $function$
declare
  change bigint;
begin
  with above as materialized (
    select c.descendant_no, c.ancestor_no::integer as ancestor_no
      from entra_sync.groups g
     cross join lateral (
       select c.descendant_no, c.ancestor_no from entra_sync.group_closure c
        where nested and c.descendant_no = g.group_no and c.ancestor_no <> c.descendant_no offset 0) c
     where g.tenant_id = tenant
       and exists (select from entra_sync.groups v where v.group_no = c.ancestor_no and v.removed_at is null offset 0)
  ), shown as materialized (
    select g.group_no
      from entra_sync.groups g
     where g.tenant_id = tenant and g.removed_at is null
       and exists (select from entra_sync.group_closure c where c.descendant_no = g.group_no and c.ancestor_no = g.group_no offset 0)
  ), people as materialized (
    select distinct on (t.no) t.no, a.entra_object_id
      from unnest(accounts) as t (no)
     cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no and a.removed_at is null offset 0) a
     order by t.no
  ), held as materialized (
    select p.no, unnest(m.group_nos) as group_no
      from people p join entra_sync.member_groups m on m.tenant_id = tenant and m.member_object_id = p.entra_object_id
  ), direct as (
    insert into entra_sync.effective_members (account_no, group_no, is_direct)
    select h.no, s.group_no, true from held h join shown s on s.group_no = h.group_no
  ), through as (
    insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
    select w.no, w.ancestor_no, false
      from (select distinct h.no, n.ancestor_no from held h join above n on n.descendant_no = h.group_no) w
      left join held d on d.no = w.no and d.group_no = w.ancestor_no
     where d.no is null
     order by 1, 2
    returning e.account_no
  )
  select count(*) into change from through;
  return change;
end $function$;
comment on function entra_sync.first_effective(uuid,integer[],boolean) is 'Does what keep_effective_of_many does for accounts that have no kept rows.';

CREATE OR REPLACE FUNCTION entra_sync.fit_of(name text, wanted text[])
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
AS $function$
declare
  -- As entra_sync.words_of, whose arrays cost more than the search in them. So does translate, of which few names need all.
  words constant text := ' ' || case
    when octet_length(name) <> char_length(name) then array_to_string(entra_sync.words_of(name), ' ')
    when name ~ E'[,()/&+:;|#@"\\[\\]\t\n\']'
      then translate(lower(name collate "C"), E'.,-_()/&+:;|#@"[]\t\n\'', '                   ')
    else replace(replace(replace(lower(name collate "C"), '.', ' '), '-', ' '), '_', ' ') end || ' ';
  fit text := 'whole';
  one text;
  meant text;
  best text;
begin
  foreach one in array wanted loop
    continue when strpos(words, ' ' || one || ' ') > 0;
    best := null;
    foreach meant in array string_to_array(one, ' ') loop
      continue when strpos(words, meant) = 0;
      if strpos(words, ' ' || meant || ' ') > 0 then
        best := 'whole';
        exit;
      elsif strpos(words, ' ' || meant) > 0 then
        best := 'begins';
      elsif best is null then
        best := 'part';
      end if;
    end loop;
    if best is null then
      return null;
    elsif best <> 'whole' and fit <> 'part' then
      fit := best;
    end if;
  end loop;
  return fit;
end $function$;
comment on function entra_sync.fit_of(text,text[]) is 'How the name fits `wanted`: for each word asked the words that it may mean, parted by spaces. Null: the name lacks one of them.';

CREATE OR REPLACE FUNCTION entra_sync.fits(value jsonb, value_type text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select case jsonb_typeof(value)
    when 'null' then true
    when 'string' then value_type in ('text', 'any') and length(value #>> '{}') <= 32768
    -- What a program that reads the profile can hold in a double.
    when 'number' then value_type in ('number', 'any') and abs(value::numeric) <= 1e308 and length(value::text) <= 400
    when 'boolean' then value_type in ('boolean', 'any')
    when 'array' then value_type in ('text[]', 'any') and jsonb_array_length(value) <= 100
      and not exists (
        select from jsonb_array_elements(value) as e(entry)
         where not case jsonb_typeof(e.entry)
           when 'string' then length(e.entry #>> '{}') <= 32768
           when 'number' then value_type = 'any' and abs(e.entry::numeric) <= 1e308 and length(e.entry::text) <= 400
           when 'boolean' then value_type = 'any'
           else false end)
    else false end
$function$;
comment on function entra_sync.fits(jsonb,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.flat_difference(mine jsonb, other jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(mine) e where e.value is distinct
    from other -> e.key
$function$;
comment on function entra_sync.flat_difference(jsonb,jsonb) is 'What `mine` says where the two differ.';

CREATE OR REPLACE FUNCTION entra_sync.folded_beyond_ascii(word text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
AS $function$
declare
  folded text := pg_catalog.lower(pg_catalog.normalize(word, 'NFC') collate "C");
begin
  -- Simple case folding (C and S of CaseFolding.txt) of Unicode 17, letter for letter: ß is not ss, which may be another mailbox.
  -- A long table costs time for each letter, so those of rarer scripts are looked at only where a letter may be in them.
  if pg_catalog.regexp_like(folded, '[\u0080-\u017f]') then
    folded := pg_catalog.translate(folded,
      'µÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽſ',
      'μàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžs');
  end if;
  if pg_catalog.regexp_like(folded, '[\u0180-\u052f]') then
    folded := pg_catalog.translate(folded,
      'ƁƂƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾɁɃ'
      || 'ɄɅɆɈɊɌɎͅͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫςϏϐϑϕϖϘϚϜϞϠϢϤϦϨϪϬϮϰϱϴϵϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙК'
      || 'ЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄ'
      || 'ԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮ',
      'ɓƃƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦɂƀ'
      || 'ʉʌɇɉɋɍɏιͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋσϗβθφπϙϛϝϟϡϣϥϧϩϫϭϯκρθεϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгдежзийк'
      || 'лмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅ'
      || 'ԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯ');
  end if;
  if pg_catalog.regexp_like(folded, '[\u0530-\u2dff\ua640-\uabff\ufb00-\U0001ffff]') then
    folded := pg_catalog.translate(folded,
      'ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵ'
      || 'ᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯᏰᏱᏲᏳᏴᏵᲀᲁᲂᲃᲄᲅᲆᲇᲈᲉᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩ'
      || 'ᲪᲫᲬᲭᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹᲺᲽᲾᲿḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔẛẞẠẢẤ'
      || 'ẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼỾἈἉἊἋἌἍἎἏἘἙἚἛἜἝἨἩἪἫἬἭἮἯἸἹἺἻἼἽἾἿὈὉὊὋὌὍὙὛὝὟὨὩὪὫὬὭὮὯᾈᾉᾊᾋᾌᾍᾎ'
      || 'ᾏᾘᾙᾚᾛᾜᾝᾞᾟᾨᾩᾪᾫᾬᾭᾮᾯᾸᾹᾺᾼῈῊῌῘῙῚῨῩῪῬῸῺῼℲⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯↃⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋⓌⓍⓎⓏⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌⰍⰎⰏⰐⰑⰒⰓⰔⰕ'
      || 'ⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀꙂꙄꙆꙈꙊ'
      || 'ꙌꙎꙐꙒꙔꙖꙘꙚꙜꙞꙠꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻꝽꝾꞀꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭꞮꞰꞱꞲꞳ'
      || 'ꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟋꟌ꟎Ꟑ꟒꟔ꟖꟘꟚꟜꟵＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚𐐛𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲𐒳𐒴𐒵𐒶𐒷𐒸𐒹'
      || '𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏𐲐𐲑𐲒𐲓𐲔𐲕𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡𐲢𐲣𐲤𐲥𐲦'
      || '𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𐵐𐵑𐵒𐵓𐵔𐵕𐵖𐵗𐵘𐵙𐵚𐵛𐵜𐵝𐵞𐵟𐵠𐵡𐵢𐵣𐵤𐵥𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊𖹋𖹌𖹍𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜𖹝𖹞𖹟𖺠𖺡'
      || '𖺢𖺣𖺤𖺥𖺦𖺧𖺨𖺩𖺪𖺫𖺬𖺭𖺮𖺯𖺰𖺱𖺲𖺳𖺴𖺵𖺶𖺷𖺸𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡',
      'աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅ'
      || 'ꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿᏸᏹᏺᏻᏼᏽвдосттъѣꙋᲊაბგდევზთიკლმნოპჟრსტუფქღყშჩ'
      || 'ცძწჭხჯჰჱჲჳჴჵჶჷჸჹჺჽჾჿḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕṡßạảấ'
      || 'ầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹỻỽỿἀἁἂἃἄἅἆἇἐἑἒἓἔἕἠἡἢἣἤἥἦἧἰἱἲἳἴἵἶἷὀὁὂὃὄὅὑὓὕὗὠὡὢὣὤὥὦὧᾀᾁᾂᾃᾄᾅᾆ'
      || 'ᾇᾐᾑᾒᾓᾔᾕᾖᾗᾠᾡᾢᾣᾤᾥᾦᾧᾰᾱὰᾳὲὴῃῐῑὶῠῡὺῥὸὼῳⅎⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿↄⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼⰽⰾⰿⱀⱁⱂⱃⱄⱅ'
      || 'ⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁꙃꙅꙇꙉꙋ'
      || 'ꙍꙏꙑꙓꙕꙗꙙꙛꙝꙟꙡꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼᵹꝿꞁꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬɪʞʇʝꭓ'
      || 'ꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊɤꟍ꟏ꟑꟓꟕꟗꟙꟛƛꟶａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂𐑃𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚𐓛𐓜𐓝𐓞𐓟𐓠𐓡'
      || '𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏𐳐𐳑𐳒𐳓𐳔𐳕𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡𐳢𐳣𐳤𐳥𐳦'
      || '𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𐵰𐵱𐵲𐵳𐵴𐵵𐵶𐵷𐵸𐵹𐵺𐵻𐵼𐵽𐵾𐵿𐶀𐶁𐶂𐶃𐶄𐶅𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪𖹫𖹬𖹭𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼𖹽𖹾𖹿𖺻𖺼'
      || '𖺽𖺾𖺿𖻀𖻁𖻂𖻃𖻄𖻅𖻆𖻇𖻈𖻉𖻊𖻋𖻌𖻍𖻎𖻏𖻐𖻑𖻒𖻓𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃');
  end if;
  return pg_catalog.normalize(folded, 'NFC');
end $function$;
comment on function entra_sync.folded_beyond_ascii(text) is 'A word with letters beyond ASCII as it is compared: composed and decomposed letters alike, capitals and small letters alike.';

CREATE OR REPLACE FUNCTION entra_sync.folded(word text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case when pg_catalog.octet_length(word) = pg_catalog.char_length(word)
              then pg_catalog.lower(word collate "C") else entra_sync.folded_beyond_ascii(word) end
$function$;
comment on function entra_sync.folded(text) is 'A mail address, user principal name or other name as it is compared: the one rule of what "ignoring case" means.';

CREATE OR REPLACE FUNCTION entra_sync.follow_assignments(tenant uuid, touched integer[], anew boolean, batch bigint, cycle bigint, actor text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  was timestamptz;
  known jsonb;
  moment timestamptz;
  winners constant jsonb := entra_sync.slot_winners(tenant);
  due constant boolean := entra_sync.assigning_due(tenant);
begin
  select t.assigned_at, t.assigned_winners into was, known from entra_sync.tenants t where t.tenant_id = tenant;
  if was is null then
    known := winners;
  end if;
  if anew or due then
    -- Never back, also where the clock goes back.
    moment := greatest(was, clock_timestamp());
    update entra_sync.tenants t
       set assigned_at = moment, assigned_winners = winners,
           assign_next_at = (
             select min(x.at) from entra_sync.assignments r cross
               join lateral (values (r.starts_at), (r.ends_at)) x (at)
              where r.tenant_id = tenant and x.at > moment)
     where t.tenant_id = tenant;
    if known is null then
      touched := array(select a.account_no from entra_sync.accounts a where a.tenant_id = tenant order by 1);
    else
      touched := array(
        select x from unnest(touched) x
        union
        select x from unnest(entra_sync.reached_by(tenant, array(
          select r from entra_sync.assignments r
           where r.tenant_id = tenant
             and (r.starts_at > was and r.starts_at <= moment or r.ends_at > was and r.ends_at <= moment
                  or jsonb_exists(known, r.slot) and known -> r.slot <> winners -> r.slot)))) x
        order by 1);
    end if;
  end if;
  if touched <> '{}' then
    perform entra_sync.keep_assigned(tenant, touched, false, batch, cycle, actor);
  end if;
end $function$;
comment on function entra_sync.follow_assignments(uuid,integer[],boolean,bigint,bigint,text) is 'Writes the items of the touched accounts. It writes those of other accounts too, where an assignment has begun or ended or a slot has another number of winners. `anew`: assignments have changed.';

CREATE OR REPLACE FUNCTION entra_sync.follow_by_hand(account entra_sync.accounts, actor text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.follow_by_hand(entra_sync.accounts,text) is 'follow_managers, once a person has removed or restored an account.';

CREATE OR REPLACE FUNCTION entra_sync.follow_managers(tenant uuid, batch bigint, round bigint, everyone boolean, cycle bigint, actor text)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.follow_managers(uuid,bigint,bigint,boolean,bigint,text) is 'Gives the accounts that this batch touched, and the reports of the managers among them, the values of their managers, with change rows (rule 41). Returns how many rows it wrote beside those of the batch. The tenant''s row is locked.';

CREATE OR REPLACE FUNCTION entra_sync.follow_server()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  feed entra_sync.feed;
  feed_end record;
begin
  if not entra_sync.is_elsewhere() then
    return;
  end if;
  select * into strict feed from entra_sync.feed for update;
  select * into strict feed_end from entra_sync.feed_end();
  if feed_end.epoch <> feed.epoch then
    delete from entra_sync.feed_epochs e where e.last_number < feed.pruned_number;
    insert into entra_sync.feed_epochs (epoch, last_number) values (feed.epoch, feed_end.number), (feed_end.epoch, feed_end.number);
    feed.epoch := substr(md5(gen_random_uuid()::text), 1, 8);
  end if;
  update entra_sync.feed f
     set epoch = feed.epoch,
         system_identifier = coalesce(s.system_identifier, f.system_identifier),
         timeline = coalesce(s.timeline, f.timeline),
         database_oid = coalesce(s.database_oid, f.database_oid)
    from entra_sync.this_server() s;
end $function$;
comment on function entra_sync.follow_server() is 'Begins a new epoch of the feed on another server, timeline or database than the kept one. Learns what was not known without one. The caller holds entra_sync.feed_order.';

CREATE OR REPLACE FUNCTION entra_sync.forget_in_audit(tenant uuid, names text[], accounts uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform set_config('entra_sync.audit_upkeep', 'on', true);
  update entra_sync.audit a
     set actor = case when entra_sync.folded(a.actor) = any(array(select entra_sync.folded(n) from unnest(names) n))
                      then 'purged' else a.actor end,
         account_id = case when a.account_id = any(accounts) then null else a.account_id end,
         detail = case when a.account_id = any(accounts) then '{}' else a.detail end
   where (a.tenant_id = tenant or a.tenant_id is null)
     and (a.account_id = any(accounts)
          or entra_sync.folded(a.actor) = any(array(select entra_sync.folded(n) from unnest(names) n)));
  perform set_config('entra_sync.audit_upkeep', '', true);
end $function$;
comment on function entra_sync.forget_in_audit(uuid,text[],uuid[]) is 'Takes purged people out of the audit, as actors and as those who were looked at. That something was done stays.';

CREATE OR REPLACE FUNCTION entra_sync.forget_managers(tenant uuid, managers uuid[], batch bigint, cycle bigint, actor text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.forget_managers(uuid,uuid[],bigint,bigint,text) is 'Blanks the values of purged accounts where other accounts show or showed them as their manager''s.';

CREATE OR REPLACE FUNCTION entra_sync.forget_troubles_of_tenant()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  delete from entra_sync.troubles t where t.tenant_id = old.tenant_id;
  update entra_sync.webhooks w
     set lot_id = null, lot_at = null, lot_changes = null, lot_to = null, lot_notice = null, failures = 0,
         failing_since = null, next_at = clock_timestamp()
   where w.lot_notice ->> 'tenant_id' = old.tenant_id::text;
  return null;
end $function$;
comment on function entra_sync.forget_troubles_of_tenant() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.forget_words(tenant uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  asked constant text[] := array(select distinct l.word from entra_sync.words_left l where l.tenant_id = tenant);
  held tid[];
begin
  held := array(
    select v.ctid from entra_sync.vocabulary v
     where v.tenant_id = tenant and v.word = any(asked)
       and not exists (select from entra_sync.words x where x.tenant_id = tenant and x.word = v.word)
     for update skip locked);
  -- The next statement sees what those have written who held a word until now.
  delete from entra_sync.vocabulary v
   where v.ctid = any(held) and not exists (select from entra_sync.words x where x.tenant_id = tenant and x.word = v.word);
  held := array(
    select l.ctid from entra_sync.words_left l
     where l.tenant_id = tenant and l.word = any(asked)
       and (exists (select from entra_sync.words x where x.tenant_id = tenant and x.word = l.word)
            or not exists (select from entra_sync.vocabulary v where v.tenant_id = tenant and v.word = l.word))
     for update skip locked);
  delete from entra_sync.words_left l where l.ctid = any(held);
end $function$;
comment on function entra_sync.forget_words(uuid) is 'Takes the words that no account and no group has any more out of the vocabulary. Words that another transaction holds are left for the next time.';

CREATE OR REPLACE FUNCTION entra_sync.found_by_id(tenant uuid, digits text, removed boolean)
 RETURNS SETOF directory.found_row
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  first constant uuid := rpad(digits, 32, '0')::uuid;
  last constant uuid := rpad(digits, 32, 'f')::uuid;
begin
  return query
    select f.* from entra_sync.judged(tenant,
      array(select a.account_no from entra_sync.accounts a
             where a.tenant_id = tenant and a.entra_object_id between first and last
            union
            select a.account_no from entra_sync.accounts a where a.account_id between first and last and a.tenant_id = tenant),
      array(select g.group_no from entra_sync.groups g
             where g.tenant_id = tenant and g.entra_object_id between first and last
            union
            select g.group_no from entra_sync.groups g where g.group_id between first and last and g.tenant_id = tenant),
      null, removed) f;
  if removed then
    return query
      select x.kind, tenant, null::uuid, null::uuid, x.id, null::text, null::text, null::text, x.why, 'id'
        from (select 'user' as kind, o.entra_object_id as id, 'out_of_scope' as why from entra_sync.outside_scope o
               where o.tenant_id = tenant and o.entra_object_id between first and last
              union all
              select case s.stream when 'users' then 'user' else 'group' end, left(s.object_key, 36)::uuid, 'set_aside'
                from entra_sync.set_aside s
               where s.tenant_id = tenant
                 and case when s.object_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
                          then left(s.object_key, 36)::uuid between first and last end) x
       where case x.kind
               when 'user' then not exists (
                 select from entra_sync.accounts a where a.tenant_id = tenant and a.entra_object_id = x.id)
               else not exists (select from entra_sync.groups g where g.tenant_id = tenant and g.entra_object_id = x.id) end
       group by x.kind, x.id, x.why;
  end if;
end $function$;
comment on function entra_sync.found_by_id(uuid,text,boolean) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.given_id(target jsonb, key text, value jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
begin
  if jsonb_typeof(value) is distinct from 'string' or value #>> '{}' !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
    then
    perform entra_sync.refuse_argument('target', format('%s is no id', key),
      'Take group_id from directory.groups, account_id from directory.accounts.',
      '{"type": "uuid"}');
  end if;
  return (value #>> '{}')::uuid;
end $function$;
comment on function entra_sync.given_id(jsonb,text,jsonb) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.given_time(options jsonb, key text)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET "TimeZone" TO 'UTC'
AS $function$
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
end $function$;
comment on function entra_sync.given_time(jsonb,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.group_facts(g entra_sync.groups)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select jsonb_build_object('entra_object_id', g.entra_object_id, 'state', g.state, 'display_name', g.display_name,
    'description', g.description, 'mail', g.mail, 'kind', g.kind, 'is_dynamic', g.is_dynamic, 'attributes', g.attributes)
$function$;
comment on function entra_sync.group_facts(entra_sync.groups) is 'What a change row can say of a group.';

CREATE OR REPLACE FUNCTION entra_sync.group_name(display_name text, mail text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select pg_catalog.left(pg_catalog.concat_ws(' ', display_name, pg_catalog.split_part(mail, '@', 1)), 1000)
$function$;
comment on function entra_sync.group_name(text,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.has_all(batches int8multirange, up_to_number bigint)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce(sum(upper(r) - lower(r)), 0) = coalesce(sum(f.count), 0)
    from unnest(batches) r
   cross join lateral (
     select count(*) from entra_sync.batches b
      where b.batch_id >= lower(r) and b.batch_id < upper(r) and b.number <= up_to_number) f
$function$;
comment on function entra_sync.has_all(int8multirange,bigint) is 'Whether each of these ids is a batch with a number up to this one. An id alone proves nothing: another server may have given it to another batch.';

CREATE OR REPLACE FUNCTION entra_sync.has_managers_values(tenant uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select exists (select from entra_sync.field_rules r where r.tenant_id = tenant and r.manager_path is not null)
      or exists (select from entra_sync.accounts a where a.tenant_id = tenant and a.told_manager is not null)
$function$;
comment on function entra_sync.has_managers_values(uuid) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.holders_of_rarest(tenant uuid, lists jsonb, most integer)
 RETURNS TABLE(kind "char", no bigint)
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
#variable_conflict use_column
declare
  many constant integer := entra_sync.many_holders();
  rarest jsonb := lists -> 0;
  second jsonb;
begin
  if jsonb_array_length(lists) > 1 then
    select r.lists[1], case when r.holders[2] < many then r.lists[2] end into rarest, second
      from (select array_agg(c.list order by c.holders, c.place) as lists, array_agg(c.holders order by c.holders, c.place) as holders
              from (select l.list, l.place,
                           (select count(*) from (
                             select from entra_sync.holders_of_words(tenant, l.list) limit many) h) as holders
                      from jsonb_array_elements(lists) with ordinality as l (list, place)) c) r;
  end if;
  return query
    select h.kind, h.no from entra_sync.holders_of_words(tenant, rarest) h
     where case when second is null then true
                else (h.kind, h.no) in (select s.kind, s.no from entra_sync.holders_of_words(tenant, second) s) end
     limit most;
end $function$;
comment on function entra_sync.holders_of_rarest(uuid,jsonb,integer) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.holders_of_words(tenant uuid, list jsonb)
 RETURNS TABLE(kind "char", no bigint)
 LANGUAGE sql
 STABLE
AS $function$
  select x.kind, x.no from jsonb_array_elements_text(list) as u (word)
   cross join lateral (
     select x.kind, x.no from entra_sync.words x where x.tenant_id = tenant and x.word = u.word offset 0) x
$function$;
comment on function entra_sync.holders_of_words(uuid,jsonb) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.in_force(r entra_sync.assignments, moment timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select (r.starts_at is null or r.starts_at <= moment) and (r.ends_at is null or r.ends_at > moment)
$function$;
comment on function entra_sync.in_force(entra_sync.assignments,timestamp with time zone) is 'Whether the assignment counts at that time.';

CREATE OR REPLACE FUNCTION entra_sync.is_elsewhere()
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce(s.system_identifier, f.system_identifier) is distinct from f.system_identifier
      or coalesce(s.timeline, f.timeline) is distinct from f.timeline
      or coalesce(s.database_oid, f.database_oid) is distinct from f.database_oid
    from entra_sync.feed f cross join entra_sync.this_server() s
$function$;
comment on function entra_sync.is_elsewhere() is 'Whether this is another server, timeline or database than the kept one, or one of them was not known before.';

CREATE OR REPLACE FUNCTION entra_sync.joined_facts(facts jsonb, more jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select facts || more || coalesce((
    select jsonb_object_agg(part, (facts -> part) || (more -> part)) from unnest(array['profile', 'directory']) as part
     where jsonb_exists(facts, part) and jsonb_exists(more, part)), '{}')
$function$;
comment on function entra_sync.joined_facts(jsonb,jsonb) is 'The facts of two change rows of one account as one: of a field in both, `more` counts.';

CREATE OR REPLACE FUNCTION entra_sync.judged(tenant uuid, accounts bigint[], groups bigint[], wanted text[], removed boolean)
 RETURNS SETOF directory.found_row
 LANGUAGE sql
 STABLE
AS $function$
  select 'account', a.tenant_id, a.account_id, null::uuid, a.entra_object_id,
         coalesce(a.profile ->> 'displayName', a.source ->> 'displayName'), a.user_principal_name, a.mail,
         case when a.removed_at is null then a.state else 'removed' end, f.fit
    from unnest(accounts) as n (no)
   cross join lateral (
     select a.* from entra_sync.accounts a where a.account_no = n.no::integer and a.tenant_id = tenant offset 0) a
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail), wanted) end as fit offset 0) f
   where (removed or a.removed_at is null) and f.fit is not null
  union all
  select 'group', g.tenant_id, null, g.group_id, g.entra_object_id, g.display_name, null, g.mail,
         case when g.removed_at is null then g.state when g.copied then 'removed' else 'not_copied' end, f.fit
    from unnest(groups) as n (no)
   cross join lateral (select g.* from entra_sync.groups g where g.group_no = n.no and g.tenant_id = tenant offset 0) g
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.group_name(g.display_name, g.mail), wanted) end as fit offset 0) f
   where (removed or g.removed_at is null) and f.fit is not null
$function$;
comment on function entra_sync.judged(uuid,bigint[],bigint[],text[],boolean) is 'These accounts and groups as found, those out that do not fit.';

CREATE OR REPLACE FUNCTION entra_sync.keep_account_words()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  had constant text := entra_sync.sort_name(old.profile, old.source, old.user_principal_name, old.mail);
  has constant text := entra_sync.sort_name(new.profile, new.source, new.user_principal_name, new.mail);
begin
  if had <> has then
    delete from entra_sync.sort_names s
     where s.tenant_id = old.tenant_id and s.sort_name = entra_sync.kept_sort_name(had) and s.account_id = old.account_id;
    insert into entra_sync.sort_names (tenant_id, sort_name, account_id)
    values (new.tenant_id, entra_sync.kept_sort_name(has), new.account_id) on conflict do nothing;
  end if;
  perform entra_sync.keep_words(new.tenant_id, 'a', new.account_no,
    entra_sync.account_name(old.profile, old.source, old.user_principal_name, old.mail),
    entra_sync.account_name(new.profile, new.source, new.user_principal_name, new.mail));
  return null;
end $function$;
comment on function entra_sync.keep_account_words() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.keep_assigned_of_batch(batch entra_sync.batches)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  by_field constant boolean := exists (
    select from entra_sync.assignments r where r.tenant_id = batch.tenant_id and r.field is not null);
  touched constant integer[] := array(
    select a.account_no
      from (select distinct c.account_id from entra_sync.changes c
             where c.batch_id = batch.batch_id and c.account_id is not null
               and (c.kind in ('membership.added', 'membership.removed', 'account.created', 'account.adopted', 'account.removed',
                               'account.restored')
                    or by_field and c.kind in ('account.updated', 'account.edited'))) c
     cross join lateral (select a.account_no from entra_sync.accounts a where a.account_id = c.account_id offset 0) a
    union
    select t.account_no from entra_sync.assigned_touched t where t.tenant_id = batch.tenant_id
    order by 1);
  told record;
begin
  delete from entra_sync.assigned_touched t where t.tenant_id = batch.tenant_id;
  select c.cycle_id, c.actor into told from entra_sync.changes c where c.batch_id = batch.batch_id order by c.change_id desc limit 1;
  perform entra_sync.follow_assignments(
    batch.tenant_id, touched, false, batch.batch_id, told.cycle_id, coalesce(told.actor, 'entra-sync'));
end $function$;
comment on function entra_sync.keep_assigned_of_batch(entra_sync.batches) is 'The accounts that the batch touched: its change rows name those that came, went, joined or left a group, or have other values; the nesting left the others in assigned_touched.';

CREATE OR REPLACE FUNCTION entra_sync.keep_assigned(tenant uuid, accounts integer[], gone boolean, batch bigint, cycle bigint, actor text)
 RETURNS void
 LANGUAGE plpgsql
 SET enable_nestloop TO 'off'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET work_mem TO '32MB'
AS $function$
declare
  moment constant timestamptz := (select t.assigned_at from entra_sync.tenants t where t.tenant_id = tenant);
  few constant boolean := cardinality(accounts) <= 100;
  -- Most assignments do not reach a few accounts: they are left out before the rest is put in order.
  rules constant entra_sync.assignments[] := case when not gone then array(
    select r from entra_sync.assignments r
     where r.tenant_id = tenant and (r.starts_at is null or r.starts_at <= moment) and (r.ends_at is null
       or r.ends_at > moment)
       and (not few or r.target in ('everyone', 'field')
            or r.account_id in (
              select a.account_id from unnest(accounts) as t (no)
               cross join lateral (
                 select a.account_id from entra_sync.accounts a where a.account_no = t.no offset 0) a)
            or r.group_id in (
              select g.group_id from unnest(accounts) as t (no)
               cross join lateral (
                 select e.group_no from entra_sync.effective_members e where e.account_no = t.no offset 0) e
               cross join lateral (
                 select g.group_id from entra_sync.groups g where g.group_no = e.group_no offset 0) g))) end;
  winners constant jsonb := entra_sync.slot_winners(tenant);
begin
  with want as materialized (
    select w.* from entra_sync.assigned_by(tenant, accounts, rules, winners) w
  ), kept as materialized (
    select s.ctid as place, s.account_no, s.seq, s.rank from entra_sync.assigned s where s.account_no = any(accounts)
  ), lost as (
    delete from entra_sync.assigned where ctid = any(array(
      select k.place from kept k
        left join want w on w.account_no = k.account_no and w.seq = k.seq and w.rank = k.rank
          where w.account_no is null))
    returning account_no
  ), come as (
    insert into entra_sync.assigned as s (account_no, seq, rank)
    select w.account_no, w.seq, w.rank
      from want w left join kept k on k.account_no = w.account_no and k.seq = w.seq and k.rank = w.rank
     where k.account_no is null order by 1, 2
    returning s.account_no
  ), turn as materialized (
    -- Each account with the assignments that it had and gets. Many accounts share both, so the text of their change
    -- rows is made once.
    select m.account_no, coalesce(b.seqs, '{}') as seqs, coalesce(b.ranks, '{}') as ranks, coalesce(f.alike, 0) as alike
      from (select l.account_no from lost l union select c.account_no from come c) m
      left join (
        select k.account_no, array_agg(k.seq order by k.seq) as seqs, array_agg(k.rank order by k.seq) as ranks
          from kept k group by k.account_no) b on b.account_no = m.account_no
      left join (select distinct w.account_no, w.alike from want w) f on f.account_no = m.account_no
  ), same as materialized (
    select row_number() over ()::integer as no, x.seqs, x.ranks, x.alike
      from (select distinct t.seqs, t.ranks, t.alike from turn t) x
  ), before as (
    select s.no, r.slot, jsonb_agg(r.item order by k.rank) as items
      from same s cross join lateral unnest(s.seqs, s.ranks) as k (seq, rank)
      join entra_sync.assignments r on r.seq = k.seq and r.tenant_id = tenant
     group by s.no, r.slot
  ), after as (
    select s.no, w.slot, jsonb_agg(w.item order by w.rank) as items
      from same s join (select distinct w.alike, w.slot, w.item, w.rank from want w) w on w.alike = s.alike
     group by s.no, w.slot
  ), told as materialized (
    select coalesce(b.no, a.no) as no,
           jsonb_object_agg(coalesce(b.slot, a.slot), coalesce(b.items, '[]')) as before,
           jsonb_object_agg(coalesce(b.slot, a.slot), coalesce(a.items, '[]')) as after
      from before b full join after a on a.no = b.no and a.slot = b.slot
     where a.items is distinct from b.items
     group by 1
  )
  insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after)
  select batch, tenant, cycle, actor, 'assigned.changed', a.account_id, x.before, x.after
    from told x
    join same s on s.no = x.no
    join turn t on t.seqs = s.seqs and t.ranks = s.ranks and t.alike = s.alike
    join entra_sync.accounts a on a.account_no = t.account_no
   where a.account_no = any(array(select t.account_no from turn t));
end $function$;
comment on function entra_sync.keep_assigned(uuid,integer[],boolean,bigint,bigint,text) is 'Compares what these accounts get with what they should, writes the differences and a change row an account. `gone`: they are about to be removed, so they get nothing. The tenant''s row is locked. Without nested loops no wrong estimate makes it quadratic; of one account most of the time would be planning.';

CREATE OR REPLACE FUNCTION entra_sync.keep_effective_of_batch()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  hides constant boolean := entra_sync.moves_unseen(new.tenant_id);
  unseen constant integer[] := case when hides then entra_sync.moved_unseen(new.tenant_id) else '{}' end;
  accounts constant integer[] := array(
    select distinct a.account_no
      from entra_sync.changes c
     cross join lateral (select a.account_no from entra_sync.accounts a where a.account_id = c.account_id offset 0) a
     where c.batch_id = new.batch_id and c.account_id is not null
       and (c.kind in ('membership.added', 'membership.removed')
            -- An account may be in groups that are not copied alone.
            or hides and c.kind in ('account.created', 'account.adopted', 'account.removed', 'account.restored'))
    union
    select u.no from unnest(unseen) as u (no)
    order by 1);
  assigns boolean;
begin
  if accounts <> '{}' or exists (
      select from entra_sync.tenants t where t.tenant_id = new.tenant_id and t.nested_left_out is not null) then
    perform entra_sync.keep_effective(new.tenant_id, accounts);
  end if;
  assigns := exists (select from entra_sync.tenants t where t.tenant_id = new.tenant_id and t.assigned_at is not null);
  if hides then
    delete from entra_sync.unseen_moves u where u.tenant_id = new.tenant_id;
    insert into entra_sync.assigned_touched (tenant_id, account_no)
    select new.tenant_id, u.no from unnest(unseen) as u (no) where assigns;
  end if;
  -- The batch of a person's edits has its row before its changes (entra_sync.write_account_change), and its tenant is not always locked.
  if new.opened_by is null and assigns then
    perform entra_sync.keep_assigned_of_batch(new);
  end if;
  return null;
end $function$;
comment on function entra_sync.keep_effective_of_batch() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.keep_effective_of_many(tenant uuid, accounts integer[], nested boolean)
 RETURNS bigint
 LANGUAGE plpgsql
 SET enable_nestloop TO 'off'
AS $function$
declare
  hides constant boolean := entra_sync.leaves_groups_out(tenant);
  change bigint;
begin
  if not exists (select from unnest(accounts) as t (no)
                  cross join lateral (select from entra_sync.effective_members e where e.account_no = t.no limit 1) e) then
    return entra_sync.first_effective(tenant, accounts, nested);
  end if;
  with pairs as materialized (
    select c.descendant_no, c.ancestor_no
      from entra_sync.groups g
     cross join lateral (
       select c.descendant_no, c.ancestor_no from entra_sync.group_closure c
        where c.descendant_no = g.group_no and (nested or c.ancestor_no = c.descendant_no) offset 0) c
     where g.tenant_id = tenant
       and (not hides or exists (
         select from entra_sync.groups v where v.group_no = c.ancestor_no and v.removed_at is null offset 0))
  ), people as materialized (
    select t.no, a.entra_object_id
      from unnest(accounts) as t (no)
     cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no and a.removed_at is null offset 0) a
  ), held as materialized (
    select p.no, unnest(m.group_nos) as group_no
      from people p join entra_sync.member_groups m on m.tenant_id = tenant and m.member_object_id = p.entra_object_id
  ), want as materialized (
    select h.no as account_no, c.ancestor_no::integer as group_no, bool_or(c.ancestor_no = c.descendant_no) as is_direct
      from held h join pairs c on c.descendant_no = h.group_no
     group by 1, 2
  ), kept as materialized (
    select e.place, t.no as account_no, e.group_no, e.is_direct
      from unnest(accounts) as t (no)
     cross join lateral (
       select e.ctid as place, e.group_no, e.is_direct from entra_sync.effective_members e where e.account_no = t.no offset 0) e
  ), gone as (
    delete from entra_sync.effective_members where ctid = any(array(
      select k.place from kept k left join want w on w.account_no = k.account_no and w.group_no = k.group_no where w.account_no is null))
    returning is_direct
  ), turned as (
    update entra_sync.effective_members e set is_direct = not e.is_direct where e.ctid = any(array(
      select k.place from kept k join want w on w.account_no = k.account_no and w.group_no = k.group_no where w.is_direct <> k.is_direct))
    returning e.is_direct
  ), come as (
    insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
    select w.account_no, w.group_no, w.is_direct
      from want w left join kept k on k.account_no = w.account_no and k.group_no = w.group_no
     where k.account_no is null
     order by 1, 2
    returning e.is_direct
  )
  select (select count(*) filter (where not c.is_direct) from come c) - (select count(*) filter (where not g.is_direct) from gone g)
         + (select coalesce(sum(case when t.is_direct then -1 else 1 end), 0) from turned t)
    into change;
  return change;
end $function$;
comment on function entra_sync.keep_effective_of_many(uuid,integer[],boolean) is 'Does for many accounts at once what keep_effective does account by account, and returns by how much nested_members grew. Tables that this transaction has filled have no statistics: without nested loops no wrong estimate makes it quadratic.';

CREATE OR REPLACE FUNCTION entra_sync.keep_effective(tenant uuid, accounts integer[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  most constant bigint := entra_sync.most_nested_members();
  kept bigint;
  left_out bigint;
  paths bigint;
  change bigint := 0;
begin
  select t.nested_members, t.nested_left_out into kept, left_out from entra_sync.tenants t where t.tenant_id = tenant;
  if left_out is not null then
    paths := entra_sync.nested_paths(tenant);
    if paths <= most then
      left_out := null;
      accounts := array(select a.account_no from entra_sync.accounts a where a.tenant_id = tenant order by 1);
      update entra_sync.tenants t set nested_left_out = null where t.tenant_id = tenant;
    end if;
  end if;
  if left_out is null then
    -- No account has more groups than all together, nor a group more holders than the one with most. Only beyond that it is counted.
    select (h.holders * m.memberships)::bigint into paths
      from (select coalesce(max(c.holders), 0) as holders
              from entra_sync.groups g cross join lateral (
                select count(*) - 1 as holders from entra_sync.group_closure c where c.descendant_no = g.group_no offset 0) c
             where g.tenant_id = tenant and (g.removed_at is null or g.removed_reason = 'not_copied')) h
     cross join lateral (
       select coalesce(sum(cardinality(m.group_nos)), 0) as memberships
         from unnest(accounts) as t (no)
        cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no offset 0) a
        cross join lateral (
          select m.group_nos from entra_sync.member_groups m
           where m.tenant_id = tenant and m.member_object_id = a.entra_object_id offset 0) m
        where h.holders > 0) m;
    if kept + paths > most then
      select coalesce(sum(c.holders), 0)::bigint into paths
        from unnest(accounts) as t (no)
       cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no and a.removed_at is null offset 0) a
       cross join lateral (
         select m.group_nos from entra_sync.member_groups m
          where m.tenant_id = tenant and m.member_object_id = a.entra_object_id offset 0) m
       cross join lateral unnest(m.group_nos) as held (no)
       cross join lateral (
         select count(*) - 1 as holders from entra_sync.group_closure c
          where c.descendant_no = held.no having count(*) > 0 offset 0) c;
      -- Their own rows are not counted twice.
      paths := kept + paths - (
        select count(*) from unnest(accounts) as t (no) cross join lateral (
          select from entra_sync.effective_members e where e.account_no = t.no and not e.is_direct offset 0) e);
      if paths > most then
        left_out := paths;
        perform entra_sync.leave_nested_out(tenant, left_out);
      end if;
    end if;
  end if;
  if cardinality(accounts) > entra_sync.many_accounts() then
    change := entra_sync.keep_effective_of_many(tenant, accounts, left_out is null);
  -- By account: each compares few rows, whatever the planner believes of tables that this transaction has filled.
  elsif exists (select from unnest(accounts) as t (no) cross join lateral (
      select from entra_sync.effective_members e where e.account_no = t.no limit 1) e) then
    with gone as (
      delete from entra_sync.effective_members where ctid = any(array(
        select e.place from unnest(accounts) as t (no)
         cross join lateral (
           select e.group_no, e.is_direct from entra_sync.effective_members e where e.account_no = t.no
           except select w.group_no, w.is_direct from entra_sync.effective_of(t.no, left_out is null) w offset 0) x
         cross join lateral (
           select e.ctid as place from entra_sync.effective_members e
            where e.account_no = t.no and e.group_no = x.group_no offset 0) e))
      returning is_direct
    )
    select -count(*) filter (where not g.is_direct) into change from gone g;
    with come as (
      insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
      select t.no, w.group_no, w.is_direct from unnest(accounts) as t (no)
       cross join lateral (
         select w.group_no, w.is_direct from entra_sync.effective_of(t.no, left_out is null) w
         except select e.group_no, e.is_direct from entra_sync.effective_members e where e.account_no = t.no offset 0) w
      returning e.is_direct
    )
    select change + count(*) filter (where not c.is_direct) into change from come c;
  else
    with come as (
      insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
      select t.no, w.group_no, w.is_direct from unnest(accounts) as t (no)
       cross join lateral (
         select w.group_no, w.is_direct from entra_sync.effective_of(t.no, left_out is null) w offset 0) w
      returning e.is_direct
    )
    select count(*) filter (where not c.is_direct) into change from come c;
  end if;
  if change <> 0 then
    update entra_sync.tenants t set nested_members = t.nested_members + change where t.tenant_id = tenant;
  end if;
end $function$;
comment on function entra_sync.keep_effective(uuid,integer[]) is 'Compares the kept effective memberships of these accounts of the tenant with what they should be, and writes the differences. The tenant''s row is locked.';

CREATE OR REPLACE FUNCTION entra_sync.keep_group_words()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform entra_sync.keep_words(new.tenant_id, 'g', new.group_no,
    entra_sync.group_name(old.display_name, old.mail), entra_sync.group_name(new.display_name, new.mail));
  return null;
end $function$;
comment on function entra_sync.keep_group_words() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.keep_nested_members()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  most constant bigint := entra_sync.most_nested_members();
  one record;
begin
  -- Hidden groups have no kept rows to go by: the accounts below the pairs are compared when the batch's row is written. The pairs of
  -- a statement are of one tenant.
  if (select entra_sync.moves_unseen(g.tenant_id) from (select p.descendant_no from pairs p limit 1) p
       cross join lateral (select g.tenant_id from entra_sync.groups g where g.group_no = p.descendant_no offset 0) g) then
    insert into entra_sync.unseen_moves (tenant_id, object_id)
    select g.tenant_id, g.entra_object_id
      from (select distinct p.descendant_no as no from pairs p where p.ancestor_no <> p.descendant_no) p
     cross join lateral (select g.tenant_id, g.entra_object_id from entra_sync.groups g where g.group_no = p.no offset 0) g;
    return null;
  end if;
  for one in
    select t.tenant_id, t.nested_members, t.assigned_at is not null as assigns, sum(d.members)::bigint as paths
      from (select p.descendant_no as no, count(*) as pairs from pairs p where p.ancestor_no <> p.descendant_no group by 1) p
     cross join lateral (select g.tenant_id from entra_sync.groups g where g.group_no = p.no offset 0) g
     cross join lateral (
       select count(*) * p.pairs as members from entra_sync.effective_members e where e.group_no = p.no and e.is_direct offset 0) d
      join entra_sync.tenants t on t.tenant_id = g.tenant_id and t.nested_left_out is null
     where d.members > 0
     group by t.tenant_id
  loop
    if tg_op = 'INSERT' and one.nested_members + one.paths > most then
      perform entra_sync.leave_nested_out(one.tenant_id, one.nested_members + one.paths);
    elsif tg_op = 'INSERT' then
      with come as (
        insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
        select distinct d.account_no, p.ancestor_no::integer, false
          from pairs p
         cross join lateral (
           select from entra_sync.groups g where g.group_no = p.descendant_no and g.tenant_id = one.tenant_id offset 0) g
         cross join lateral (
           select e.account_no from entra_sync.effective_members e where e.group_no = p.descendant_no and e.is_direct offset 0) d
         where p.ancestor_no <> p.descendant_no
         order by 1, 2
        on conflict do nothing returning e.account_no
      ), touched as (
        insert into entra_sync.assigned_touched (tenant_id, account_no)
        select distinct one.tenant_id, c.account_no from come c where one.assigns
      )
      update entra_sync.tenants t set nested_members = t.nested_members + (select count(*) from come)
       where t.tenant_id = one.tenant_id;
    else
      with gone as (
        delete from entra_sync.effective_members where ctid = any(array(
          select e.place
            from (select distinct d.account_no, p.ancestor_no
                    from pairs p
                   cross join lateral (
                     select from entra_sync.groups g where g.group_no = p.descendant_no and g.tenant_id = one.tenant_id offset 0) g
                   cross join lateral (
                     select e.account_no from entra_sync.effective_members e
                      where e.group_no = p.descendant_no and e.is_direct offset 0) d
                   where p.ancestor_no <> p.descendant_no) x
           cross join lateral (
             select e.ctid as place from entra_sync.effective_members e
              where e.account_no = x.account_no and e.group_no = x.ancestor_no and not e.is_direct
                and not exists (
                  select from entra_sync.effective_members o
                    join entra_sync.group_closure c on c.descendant_no = o.group_no and c.ancestor_no = x.ancestor_no
                   where o.account_no = x.account_no and o.is_direct)
             offset 0) e))
        returning account_no
      ), touched as (
        insert into entra_sync.assigned_touched (tenant_id, account_no)
        select distinct one.tenant_id, g.account_no from gone g where one.assigns
      )
      update entra_sync.tenants t set nested_members = t.nested_members - (select count(*) from gone)
       where t.tenant_id = one.tenant_id;
    end if;
  end loop;
  return null;
end $function$;
comment on function entra_sync.keep_nested_members() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.keep_vocabulary(tenant uuid, words text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  held constant text[] := array(
    select v.word from unnest(words) as u (word)
     cross join lateral (
       select v.word from entra_sync.vocabulary v where v.tenant_id = tenant and v.word = u.word for key share skip locked) v);
begin
  insert into entra_sync.vocabulary (tenant_id, word)
  select tenant, w from (select w from unnest(words) as w except select h from unnest(held) as h) m order by w;
end $function$;
comment on function entra_sync.keep_vocabulary(uuid,text[]) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.keep_words_due(tenant uuid, after_no bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  due entra_sync.words_due;
  numbers bigint[];
  names text[];
  still integer[];
begin
  select w.* into due from entra_sync.words_due w where w.tenant_id = tenant and w.due_no > after_no
   order by w.due_no limit 1 for update skip locked;
  if not found then
    return null;
  end if;
  -- A name that changes meanwhile waits for these words, so that it takes the old ones back. This waits for nothing.
  select array_agg(h.account_no), array_agg(h.name) into numbers, names
    from (select a.account_no, entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail) as name
            from entra_sync.accounts a where a.account_no = any(due.account_nos) for share of a skip locked) h;
  if numbers is not null then
    perform entra_sync.add_words(due.tenant_id, 'a', numbers, names);
    insert into entra_sync.sort_names (tenant_id, sort_name, account_id)
    select due.tenant_id, entra_sync.kept_sort_name(
             entra_sync.sort_name(a.profile, a.source, a.user_principal_name, a.mail)), a.account_id
      from entra_sync.accounts a where a.account_no = any(numbers) order by 2, 3
    on conflict do nothing;
  end if;
  still := array(select a.account_no from entra_sync.accounts a
                  where a.account_no = any(due.account_nos) and a.account_no <> all(coalesce(numbers, '{}')) order by 1);
  if still = '{}' then
    delete from entra_sync.words_due w where w.due_no = due.due_no;
  else
    update entra_sync.words_due w set account_nos = still where w.due_no = due.due_no;
  end if;
  return due.due_no;
end $function$;
comment on function entra_sync.keep_words_due(uuid,bigint) is 'Keeps the words of the tenant''s next lot of new accounts after this number, and returns the lot''s number, null where none is left. What an open edit holds stays due';

CREATE OR REPLACE FUNCTION entra_sync.keep_words(tenant uuid, of_kind "char", number bigint, old_name text, new_name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  had constant text[] := array(select distinct left(w, 64) from unnest(entra_sync.words_of(old_name)) as w where w <> '');
  has constant text[] := array(select distinct left(w, 64) from unnest(entra_sync.words_of(new_name)) as w where w <> '');
  fresh constant text[] := array(select w from unnest(has) as w where w <> all(had) order by 1);
begin
  with gone as (
    delete from entra_sync.words x
     where x.tenant_id = tenant and x.kind = of_kind and x.no = number and x.word = any(had) and x.word <> all(has)
    returning x.word
  )
  insert into entra_sync.words_left (tenant_id, word) select tenant, g.word from gone g;
  insert into entra_sync.words (tenant_id, word, kind, no)
  select tenant, w, of_kind, number from unnest(fresh) as w on conflict do nothing;
  if fresh <> '{}' then
    perform entra_sync.keep_vocabulary(tenant, fresh);
  end if;
end $function$;
comment on function entra_sync.keep_words(uuid,"char",bigint,text,text) is 'A word that is no longer used stays in the vocabulary until a purge, or a worker''s next look.';

CREATE OR REPLACE FUNCTION entra_sync.kept_sort_name(sort_name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case when pg_catalog.octet_length(sort_name) > 1000 then entra_sync.long_sort_name() else sort_name end
$function$;
comment on function entra_sync.kept_sort_name(text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.last_change(c entra_sync.changes)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$ select coalesce((select max(i) from unnest(c.change_ids) i), c.change_id) $function$;
comment on function entra_sync.last_change(entra_sync.changes) is 'The highest change id that a row stands for.';

CREATE OR REPLACE FUNCTION entra_sync.later_than_before()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.updated_at := old.updated_at + interval '1 millisecond';
  return new;
end $function$;
comment on function entra_sync.later_than_before() is 'Each transaction that changes an account leaves a later updated_at, by a millisecond or more.';

CREATE OR REPLACE FUNCTION entra_sync.leave_nested_out(tenant uuid, paths bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  delete from entra_sync.effective_members e using entra_sync.accounts a
   where a.tenant_id = tenant and e.account_no = a.account_no and not e.is_direct;
  update entra_sync.tenants t set nested_members = 0, nested_left_out = paths where t.tenant_id = tenant;
end $function$;
comment on function entra_sync.leave_nested_out(uuid,bigint) is 'From here on the tenant keeps direct memberships only.';

CREATE OR REPLACE FUNCTION entra_sync.leaves_groups_out(tenant uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select exists (select from entra_sync.groups g where g.tenant_id = tenant and g.removed_reason = 'not_copied')
$function$;
comment on function entra_sync.leaves_groups_out(uuid) is 'Whether Graph shows groups of the tenant that are not copied.';

CREATE OR REPLACE FUNCTION entra_sync.left_open(open text[])
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select array[format('{{#%s}} of the html has no {{/%1$s}}', left(open[cardinality(open)], 80)),
    'Close each {{#field}} by its {{/field}}, the inner one first, within the same text or attribute.']
   where cardinality(open) > 0
$function$;
comment on function entra_sync.left_open(text[]) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.limit_wait()
 RETURNS text
 LANGUAGE plpgsql
AS $function$
declare
  callers constant text := current_setting('lock_timeout');
  longest constant interval := entra_sync.longest_wait();
begin
  if callers::interval not between interval '1 ms' and longest then
    perform set_config('lock_timeout', (extract(epoch from longest) * 1000)::int::text, true);
  end if;
  return callers;
end $function$;
comment on function entra_sync.limit_wait() is 'Limits waits for locks from here on, and returns the lock_timeout of before, to be set again after the lock.';

CREATE OR REPLACE FUNCTION entra_sync.lock_account(wanted uuid, exclusive boolean)
 RETURNS entra_sync.accounts
 LANGUAGE plpgsql
AS $function$
declare
  tenant uuid;
  account entra_sync.accounts;
  callers text;
begin
  -- The tenant first, then the account: every writer's order, so that none waits for another in a circle.
  select a.tenant_id into tenant from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = coalesce(entra_sync.narrowed_to(), a.tenant_id);
  callers := entra_sync.limit_wait();
  if exclusive then
    perform from entra_sync.tenants t where t.tenant_id = tenant for no key update;
  else
    perform from entra_sync.tenants t where t.tenant_id = tenant for key share;
  end if;
  select a.* into account from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = tenant and a.removed_at is null for update;
  perform set_config('lock_timeout', callers, true);
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  return account;
end $function$;
comment on function entra_sync.lock_account(uuid,boolean) is 'The live account, locked after its tenant. Exclusive: in line with commits; else beside them.';

CREATE OR REPLACE FUNCTION entra_sync.lock_for_all()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if entra_sync.narrowed_to() is not null then
    perform entra_sync.refuse_unknown_tenant(null);
  end if;
end $function$;
comment on function entra_sync.lock_for_all() is 'Rows of all tenants are written by roles that see all of them.';

CREATE OR REPLACE FUNCTION entra_sync.lock_removed(wanted uuid)
 RETURNS entra_sync.accounts
 LANGUAGE plpgsql
AS $function$
declare
  only_tenant constant uuid := entra_sync.narrowed_to();
  tenant uuid;
  account entra_sync.accounts;
  callers text;
begin
  select a.tenant_id into tenant from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = coalesce(only_tenant, a.tenant_id);
  callers := entra_sync.limit_wait();
  perform from entra_sync.tenants t where t.tenant_id = tenant for no key update;
  select a.* into account from entra_sync.accounts a where a.account_id = wanted and a.tenant_id = tenant for update;
  perform set_config('lock_timeout', callers, true);
  if account.account_id is null then
    if exists (select from entra_sync.changes c
                where c.account_id = wanted and c.kind = 'account.purged' and c.tenant_id = coalesce(only_tenant, c.tenant_id)) then
      raise exception using errcode = 'ES004', message = format('account %s was purged: nothing of it is kept', wanted),
        hint = 'An account is restored until directory.removed_accounts.purge_at. Create a new one.';
    end if;
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  return account;
end $function$;
comment on function entra_sync.lock_removed(uuid) is 'An account that is to be restored, live or removed, locked after its tenant, in line with commits.';

CREATE OR REPLACE FUNCTION entra_sync.lock_rule(wanted uuid)
 RETURNS entra_sync.assignments
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.lock_rule(uuid) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.lock_tenant(wanted uuid, against_edits boolean)
 RETURNS uuid
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.lock_tenant(uuid,boolean) is 'The tenant, locked in line with commits; against_edits: and with edits of accounts, whose uncommitted values a new assignment by field would not see.';

CREATE OR REPLACE FUNCTION entra_sync.lock_to_edit(wanted uuid, fields text[])
 RETURNS entra_sync.accounts
 LANGUAGE plpgsql
AS $function$
declare
  exclusive constant boolean := entra_sync.writes_keys(wanted, fields);
  account entra_sync.accounts;
begin
  perform entra_sync.require_few_fields(cardinality(fields), 'fields');
  if exclusive then
    perform entra_sync.require_latest_snapshot();
  end if;
  account := entra_sync.lock_account(wanted, exclusive);
  if not exclusive and entra_sync.writes_keys(wanted, fields) then
    raise exception using errcode = '40001', message = 'the account became manual, or an assignment by this field was made, meanwhile',
      hint = 'Try again.';
  end if;
  -- An older snapshot may show rules that a settings change has replaced: locking them tells.
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    perform from entra_sync.field_rules r where r.tenant_id = account.tenant_id for share;
  end if;
  return account;
end $function$;
comment on function entra_sync.lock_to_edit(uuid,text[]) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.long_sort_name()
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select U&'\+10FFFF' $function$;
comment on function entra_sync.long_sort_name() is 'Stands for a name that no index holds. A tenant that has one is read whole.';

CREATE OR REPLACE FUNCTION entra_sync.longest_wait()
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE
AS $function$ select interval '10 s' $function$;
comment on function entra_sync.longest_wait() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.manager_fields(tenant uuid)
 RETURNS text[]
 LANGUAGE sql
 STABLE
AS $function$
  select array(select r.field from entra_sync.field_rules r where r.tenant_id = tenant and r.manager_path is not null order by r.field)
$function$;
comment on function entra_sync.manager_fields(uuid) is 'The fields of the tenant that come from the manager.';

CREATE OR REPLACE FUNCTION entra_sync.manages(manager entra_sync.accounts, account entra_sync.accounts)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  select case
    when manager.tenant_id <> account.tenant_id or manager.account_id = account.account_id
      or manager.removed_at is not null or account.removed_at is not null then null
    when manager.entra_object_id = account.manager_object_id
      and exists (select from entra_sync.tenants_with_managers k where k.tenant_id = account.tenant_id) then 'line'
    when exists (
      select from entra_sync.managed_by b
       cross join lateral (
         select from entra_sync.groups h join entra_sync.effective_members e on e.group_no = h.group_no
          where h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
            and e.account_no = manager.account_no offset 0) m
       where b.tenant_id = account.tenant_id
         and (b.people_id is null or exists (
           select from entra_sync.groups g join entra_sync.effective_members e on e.group_no = g.group_no
            where g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id and e.account_no = account.account_no)))
      then 'group' end
$function$;
comment on function entra_sync.manages(entra_sync.accounts,entra_sync.accounts) is 'How the first account manages the second (line, else group), or null: directory.managers for one pair, by indexes alone.';

CREATE OR REPLACE FUNCTION entra_sync.many_accounts()
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
AS $function$ select 1000 $function$;
comment on function entra_sync.many_accounts() is 'From more accounts on, reading the tenant''s memberships once is faster than looking each account up.';

CREATE OR REPLACE FUNCTION entra_sync.many_holders()
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
AS $function$select 20000$function$;
comment on function entra_sync.many_holders() is 'A word of as many accounts and groups is not read to its end.';

CREATE OR REPLACE FUNCTION entra_sync.many_new_accounts()
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
AS $function$select 1000$function$;
comment on function entra_sync.many_new_accounts() is 'More new accounts in one statement get their words in lots of this size, each in a transaction of its own.';

CREATE OR REPLACE FUNCTION entra_sync.misplaced(place text)
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select array['a {{field}} of the html stands ' || place,
    'Put it into text, or into an attribute in quotes such as alt, title, or href of a link.']
$function$;
comment on function entra_sync.misplaced(text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.most_nested_members()
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
AS $function$ select 5000000::bigint $function$;
comment on function entra_sync.most_nested_members() is 'The bound of kept rows of a tenant that are not direct. Groups nested in a ring put every account into all of them; a commit must not write such a product.';

CREATE OR REPLACE FUNCTION entra_sync.moved_unseen(tenant uuid)
 RETURNS integer[]
 LANGUAGE sql
 STABLE
AS $function$
  with moved as materialized (
    select distinct u.object_id from entra_sync.unseen_moves u where u.tenant_id = tenant
  ), below as materialized (
    select g.group_no as no
      from moved m
     cross join lateral (
       select g.group_no from entra_sync.groups g where g.tenant_id = tenant and g.entra_object_id = m.object_id offset 0) g
    union
    select c.descendant_no
      from moved m
     cross join lateral (
       select g.group_no from entra_sync.groups g where g.tenant_id = tenant and g.entra_object_id = m.object_id offset 0) g
     cross join lateral (
       select c.descendant_no from entra_sync.group_closure c where c.ancestor_no = g.group_no offset 0) c
  ), people as materialized (
    select m.object_id as id from moved m
    union
    select m.member_object_id
      from below b
     cross join lateral (
       select m.member_object_id from entra_sync.member_groups m
        where m.tenant_id = tenant and m.group_nos @> array[b.no] offset 0) m
  )
  select coalesce(array_agg(a.account_no order by a.account_no), '{}')
    from people p
   cross join lateral (
     select a.account_no from entra_sync.accounts a where a.tenant_id = tenant and a.entra_object_id = p.id offset 0) a
$function$;
comment on function entra_sync.moved_unseen(uuid) is 'The accounts in unseen_moves, and those in a group there or below one.';

CREATE OR REPLACE FUNCTION entra_sync.moves_unseen(tenant uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select entra_sync.leaves_groups_out(tenant)
      or exists (select from entra_sync.unseen_moves u where u.tenant_id = tenant)
$function$;
comment on function entra_sync.moves_unseen(uuid) is 'Whether memberships may change without a change row: the tenant leaves groups out, or did until this transaction.';

CREATE OR REPLACE FUNCTION entra_sync.narrowed_to()
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE PARALLEL SAFE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  no_tenant constant uuid := '00000000-0000-0000-0000-000000000000';
  asked constant text := current_setting('directory.tenant', true);
  -- Within a function of the contract current_user is the owner. SET ROLE counts, so session_user alone is not enough.
  caller constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
  named uuid;
  must_name boolean;
  only_tenants uuid[];
begin
  -- Postgres 15 has no pg_input_is_valid, and a cast that fails would show an error instead of nothing.
  if asked ~* '^(([0-9a-f]{4}-?){7}[0-9a-f]{4}|\{([0-9a-f]{4}-?){7}[0-9a-f]{4}\})$' then
    named := asked;
  elsif asked <> '' then
    named := no_tenant;
  end if;
  -- Most installations bind no role, and a role that only has to name a tenant has done so by naming it.
  if not exists (select from entra_sync.grants g where g.only_tenant is not null or named is null and g.tenant_bound) then
    return named;
  end if;
  if not exists (select from pg_roles r where r.rolname = caller) then
    return no_tenant;
  end if;
  -- From the roles of the session up, so that it costs the same however many roles were granted.
  with recursive above (starts, at) as (
    select r.oid, r.oid from pg_roles r where r.rolname in (caller, session_user)
    union
    select a.starts, m.roleid from above a join pg_auth_members m on m.member = a.at
  )
  select bool_or(g.only_tenant is null), array_agg(distinct g.only_tenant) filter (where g.only_tenant is not null)
    into must_name, only_tenants
    from above a
    join pg_roles s on s.oid = a.starts
    join pg_roles r on r.oid = a.at
    join pg_namespace n on n.nspname = 'directory'
    join entra_sync.grants g on g.role_oid = r.oid or g.role_name = r.rolname
   where g.tenant_bound
     -- SET ROLE leads out of a role that has to name a tenant, as it may name any, and never out of one with a tenant.
     and (s.rolname = caller or g.only_tenant is not null)
     -- Roles with the owner's rights (superusers too) read the tables anyway, and entra-sync itself must not be bound.
     and pg_has_role(s.oid, r.oid, 'usage') and not pg_has_role(s.oid, n.nspowner, 'usage');
  if cardinality(only_tenants) > 1 or named is null and must_name then
    return no_tenant;
  elsif only_tenants is null or named is null then
    return coalesce(only_tenants[1], named);
  end if;
  return case when named = only_tenants[1] then named else no_tenant end;
end $function$;
comment on function entra_sync.narrowed_to() is 'The tenant that the caller sees: null for all, the nil uuid for none. A pooled connection reads the unset setting as empty, not null.';

CREATE OR REPLACE FUNCTION entra_sync.nearest_words(tenant uuid, asked text, most integer)
 RETURNS SETOF text
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
declare
  size constant integer := length(asked);
  third constant integer := greatest(size / 3, 1);
  -- A slip or two leave one of three parts whole.
  head constant text := substr(asked, 1, third);
  middle constant text := substr(asked, 1 + third, third);
  rest constant text := substr(asked, 1 + 2 * third);
  parts constant text[] := array(select substr('  ' || asked || ' ', i, 3) from generate_series(1, size + 1) as i);
begin
  return query
    select s.word from (
      select distinct v.word, 2.0 * (select count(*) from unnest(parts) as p where strpos('  ' || v.word || ' ', p) > 0)
                     / (size + 1 + length(v.word) + 1) as score
        from generate_series(size - 2, size + 2) as n
       cross join lateral (
         select v.word from entra_sync.vocabulary v
          where v.tenant_id = tenant and length(v.word) = n and v.word !~ '[0-9]'
            and (strpos(v.word, head) > 0 or strpos(v.word, middle) > 0 or strpos(v.word, rest) > 0) offset 0) v) s
     where s.score >= 0.3 order by s.score desc, s.word limit most;
end $function$;
comment on function entra_sync.nearest_words(uuid,text,integer) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.nested_paths(tenant uuid)
 RETURNS bigint
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce(sum(d.members * c.holders), 0)::bigint
    from entra_sync.groups g
   cross join lateral (
     select count(*) - 1 as holders from entra_sync.group_closure c where c.descendant_no = g.group_no offset 0) c
   cross join lateral (
     select case when g.removed_at is null then (
              select count(*) from entra_sync.effective_members e
               where c.holders > 0 and e.group_no = g.group_no and e.is_direct)
            else (
              select count(*) from entra_sync.member_groups m
               where c.holders > 0 and m.tenant_id = tenant and m.group_nos @> array[g.group_no]) end as members offset 0) d
   where g.tenant_id = tenant and (g.removed_at is null or g.removed_reason = 'not_copied')
$function$;
comment on function entra_sync.nested_paths(uuid) is 'How many pairs of a direct membership and a group above it the tenant has: at least its effective memberships that are not direct.';

CREATE OR REPLACE FUNCTION entra_sync.next_by_order(tenant uuid, by_mail boolean, backwards boolean, after_key text, after_id uuid, most integer)
 RETURNS uuid[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  of text := 'select s.account_id, s.sort_name as key from entra_sync.sort_names s where s.tenant_id = $1';
  beyond text := '';
  found uuid[];
begin
  if by_mail then
    of := 'select a.account_id, entra_sync.folded(a.mail) as key from entra_sync.accounts a where a.tenant_id = $1';
  elsif exists (select from entra_sync.words_due w where w.tenant_id = tenant) or exists (
    select from entra_sync.sort_names s where s.tenant_id = tenant and s.sort_name = entra_sync.long_sort_name()) then
    return '{}';
  end if;
  if after_key = '' then
    return '{}';
  elsif after_key is not null then
    beyond := format('and k.key %s $2 and (k.key <> $2 or k.account_id > $3)', case when backwards then '<=' else '>=' end);
  end if;
  execute format($q$
    select array(select k.account_id from (%s) k where k.key > '' %s order by k.key %s, k.account_id limit $4)$q$,
      of, beyond, case when backwards then 'desc' else 'asc' end)
    into found using tenant, after_key, coalesce(after_id, '00000000-0000-0000-0000-000000000000'), most;
  return found;
end $function$;
comment on function entra_sync.next_by_order(uuid,boolean,boolean,text,uuid,integer) is 'The next accounts of a tenant by name or mail, in that order, removed ones among them; none where the order is not kept.';

CREATE OR REPLACE FUNCTION entra_sync.note_assigning(tenant uuid)
 RETURNS void
 LANGUAGE sql
AS $function$
  update entra_sync.tenants t set assigned_at = null, assign_next_at = null, assigned_winners = null
   where t.tenant_id = tenant and t.assigned_at is not null
     and not exists (select from entra_sync.assignments r where r.tenant_id = tenant)
$function$;
comment on function entra_sync.note_assigning(uuid) is 'A tenant whose last assignment went pays nothing any more.';

CREATE OR REPLACE FUNCTION entra_sync.note_cleared()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.cleared := array(select o.key from jsonb_each(new.overrides) o where o.value = 'null' order by o.key);
  return new;
end $function$;
comment on function entra_sync.note_cleared() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.note_large_tenants()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  large constant uuid[] := array(
    select f.tenant_id
      from pg_stats s
     cross join lateral unnest(s.most_common_vals::text::uuid[], s.most_common_freqs) as f (tenant_id, part)
     where s.schemaname = 'entra_sync' and s.tablename = 'accounts' and s.attname = 'tenant_id' and not s.inherited and f.part >= 0.1);
begin
  delete from entra_sync.large_tenants l where l.tenant_id <> all(large);
  -- A tenant that a commit holds is noted the next time.
  insert into entra_sync.large_tenants (tenant_id)
  select t.tenant_id from entra_sync.tenants t
   where t.tenant_id = any(large)
     and not exists (select from entra_sync.large_tenants o where o.tenant_id = t.tenant_id)
   order by 1 for key share skip locked
  on conflict do nothing;
end $function$;
comment on function entra_sync.note_large_tenants() is 'Notes which tenants are large, by the statistics of accounts: without statistics none.';

CREATE OR REPLACE FUNCTION entra_sync.note_manager()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.manager_object_id := case
    when new.source ->> 'manager' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then (new.source ->> 'manager')::uuid end;
  return new;
end $function$;
comment on function entra_sync.note_manager() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.note_managers_values(tenant uuid, batch bigint, account uuid)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  fields constant text[] := entra_sync.manager_fields(tenant);
begin
  if fields = '{}' then
    return;
  end if;
  with told as materialized (
    -- Each change of the batch is read once, or those of one account by its index, for a batch may hold very many accounts.
    select c.change_id, c.account_id, c.before, c.after, c.kind, c.after_manager from entra_sync.changes c
     where account is null and c.batch_id = batch
    union all
    select c.change_id, c.account_id, c.before, c.after, c.kind, c.after_manager from entra_sync.changes c
     where c.account_id = account and c.batch_id + 0 = batch
  ), held as materialized (
    select t.change_id, a.told_manager, bool_or(t.before -> p.part -> f = a.mapped -> f) as is_before,
           bool_or(t.after -> p.part -> f = a.mapped -> f) as is_after
      from told t
     cross join lateral (
       select a.told_manager, a.mapped from entra_sync.accounts a
        where a.account_id = t.account_id and a.tenant_id = tenant and a.told_manager is not null offset 0) a
     cross join unnest(fields) as f
     cross join (values ('profile'), ('directory')) as p (part)
     where t.kind like 'account.%' and t.after_manager is null
     group by t.change_id, a.told_manager
  )
  update entra_sync.changes c
     set before_manager = case when h.is_before then h.told_manager else c.before_manager end,
         after_manager = case when h.is_after then h.told_manager else c.after_manager end,
         manager_fields = fields
    from held h
   where c.change_id = h.change_id and (h.is_before or h.is_after);
end $function$;
comment on function entra_sync.note_managers_values(uuid,bigint,uuid) is 'Notes in the change rows of the batch whose values they hold where the fields come from the manager. account: only the rows of this one.';

CREATE OR REPLACE FUNCTION entra_sync.number_batches()
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
declare
  first_number bigint;
  latest timestamptz;
  numbered integer;
begin
  -- The look costs no lock and no transaction id.
  if not exists (select from entra_sync.batches b where b.number is null) and not entra_sync.is_elsewhere() then
    return 0;
  end if;
  perform from entra_sync.feed_order for update skip locked;
  if not found then
    return 0;
  end if;
  -- From here on each statement sees everything that was committed before this transaction held the lock.
  perform entra_sync.follow_server();
  if not exists (select from entra_sync.batches b where b.number is null) then
    return 0;
  end if;
  select b.committed_at into latest from entra_sync.batches b where b.number is not null order by b.number desc limit 1;
  first_number := nextval('entra_sync.batch_numbers');
  with placed as materialized (
    select u.batch_id, row_number() over line as place, max(greatest(u.committed_at, u.last_change_at)) over line as committed_at
      from entra_sync.unnumbered_batches u window line as (order by u.last_change, u.batch_id)
  ), written as (
    update entra_sync.batches b
       set number = first_number + p.place - 1, committed_at = greatest(latest, p.committed_at), opened_by = null, opened_at = null
      from placed p where b.batch_id = p.batch_id
    returning b.number
  )
  select count(*) into numbered from written w;
  -- The lock keeps other transactions from taking numbers in between.
  perform nextval('entra_sync.batch_numbers') from generate_series(2, numbered);
  return numbered;
end $function$;
comment on function entra_sync.number_batches() is 'Numbers all committed batches without a number and returns how many; none where another transaction is at it. On another server than before it begins a new epoch first, since the old one may have given the same numbers to other batches. Readers do not need it: it keeps positions short.';

CREATE OR REPLACE FUNCTION entra_sync.object_hash(tenant uuid, object uuid)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select sha256(convert_to(tenant || ':' || object, 'UTF8')) $function$;
comment on function entra_sync.object_hash(uuid,uuid) is 'What erased_objects knows of a user. It tells whether an id that Graph shows is that of an erased person, and no id.';

CREATE OR REPLACE FUNCTION entra_sync.own_batch(tenant uuid)
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
declare
  batch bigint;
begin
  select b.batch_id into batch from entra_sync.batches b
   where b.opened_by = pg_current_xact_id() and b.tenant_id = tenant and b.opened_at = now() limit 1;
  if batch is null then
    insert into entra_sync.batches (tenant_id, opened_by, opened_at) values (tenant, pg_current_xact_id(), now())
    returning batch_id into batch;
  end if;
  return batch;
end $function$;
comment on function entra_sync.own_batch(uuid) is 'The batch of this transaction''s edits of the tenant. Written once and never updated by the transaction, so that the last of many edits finds it as fast as the first.';

CREATE OR REPLACE FUNCTION entra_sync.photo_settings(tenant uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select '{"read": false, "size": "240x240", "refreshEvery": "24h"}'::jsonb
         || coalesce((select s.document -> 'photos' from entra_sync.settings s
                       where s.tenant_id is null order by s.version desc limit 1), '{}')
         || coalesce((select s.document -> 'photos' from entra_sync.settings s
                       where s.tenant_id = tenant order by s.version desc limit 1), '{}')
$function$;
comment on function entra_sync.photo_settings(uuid) is 'The settings of photos in force for a tenant.';

CREATE OR REPLACE FUNCTION entra_sync.private_fields(tenant uuid)
 RETURNS text[]
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce(array_agg(r.field), '{}') from entra_sync.field_rules r where r.tenant_id = tenant and r.private
$function$;
comment on function entra_sync.private_fields(uuid) is 'The fields of a tenant whose earlier values are for the person alone.';

CREATE OR REPLACE FUNCTION entra_sync.purge_audit(tenant uuid, actor text, role text, via text, counts jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform set_config('entra_sync.audit_upkeep', 'on', true);
  delete from entra_sync.audit a where a.tenant_id = purge_audit.tenant;
  perform set_config('entra_sync.audit_upkeep', '', true);
  perform entra_sync.write_audit(purge_audit.actor, purge_audit.role, purge_audit.via, 'tenant.purged', purge_audit.tenant,
                                 null, purge_audit.counts, null);
end $function$;
comment on function entra_sync.purge_audit(uuid,text,text,text,jsonb) is 'One row of an erased tenant stays in the audit: its id, the numbers of what was erased, and the actor.';

CREATE OR REPLACE FUNCTION entra_sync.quoted(word text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$ select coalesce(to_json(left(word, 80))::text, 'null') $function$;
comment on function entra_sync.quoted(text) is 'A word of the caller as an error message may show it: one line, cut. Values are never shown.';

CREATE OR REPLACE FUNCTION entra_sync.reached_by(tenant uuid, rules entra_sync.assignments[])
 RETURNS integer[]
 LANGUAGE plpgsql
 STABLE
 SET enable_nestloop TO 'off'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
begin
  if exists (select from unnest(rules) r where r.target = 'everyone') then
    return array(select a.account_no from entra_sync.accounts a where a.tenant_id = tenant and a.removed_at is null
      order by 1);
  end if;
  return array(
    select e.account_no
      from unnest(rules) r
     cross join lateral (
       select g.group_no, g.tenant_id from entra_sync.groups g where g.group_id = r.group_id offset 0) g
     cross join lateral (
       select e.account_no from entra_sync.effective_members e where e.group_no = g.group_no offset 0) e
     where g.tenant_id = tenant
    union
    select a.account_no
      from unnest(rules) r
     cross join lateral (
       select a.account_no, a.tenant_id, a.removed_at from entra_sync.accounts a
        where a.account_id = r.account_id offset 0) a
     where a.tenant_id = tenant and a.removed_at is null
    union
    select a.account_no
      from (select r.field, array_agg(distinct entra_sync.folded(v)) as words
              from unnest(rules) r cross join lateral unnest(r.field_values) v where r.target = 'field'
                group by r.field) f
     cross join lateral (
       select a.account_no from entra_sync.accounts a
        where a.tenant_id = tenant and a.removed_at is null
          and entra_sync.field_words((a.profile - a.cleared) -> f.field) && f.words offset 0) a
    order by 1);
end $function$;
comment on function entra_sync.reached_by(uuid,entra_sync.assignments[]) is 'The live accounts that these assignments reach, in the order of their numbers. Times are not looked at.';

CREATE OR REPLACE FUNCTION entra_sync.refuse_argument(argument text, problem text, cure text, facts jsonb DEFAULT '{}'::jsonb)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'ES005', message = problem, hint = cure, column = argument,
    detail = entra_sync.error_detail('ES005', argument, facts);
end $function$;
comment on function entra_sync.refuse_argument(text,text,text,jsonb) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.refuse_changed_field(field text, message text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'ES009', message = message,
    hint = 'Look at it again: directory.account_history tells what it showed since, and who changed it.',
    column = field,
    detail = entra_sync.error_detail('ES009', field);
end $function$;
comment on function entra_sync.refuse_changed_field(text,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.refuse_conflict(account entra_sync.accounts, field text, yours jsonb)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'ES009', message = format('the field %s was changed since', entra_sync.quoted(field)),
    hint = 'Nothing was written. DETAIL holds both values: show them, and send the edit again with the updated_at of now.',
    column = field,
    detail = entra_sync.error_detail('ES009', field, jsonb_build_object('yours', yours,
      'theirs', case when field = any(account.cleared) then null else account.profile -> field end));
end $function$;
comment on function entra_sync.refuse_conflict(entra_sync.accounts,text,jsonb) is 'ES009 with the value of the edit and the one that came between. The caller may see both: it edits this field.';

CREATE OR REPLACE FUNCTION entra_sync.refuse_item(what text, wanted text, problem text, cure text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'ES010', message = format(problem, entra_sync.quoted(wanted)), hint = cure,
    column = what,
    detail = entra_sync.error_detail('ES010', what);
end $function$;
comment on function entra_sync.refuse_item(text,text,text,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.refuse_unknown_account(wanted uuid)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'ES004', message = format('there is no account %s', coalesce(wanted::text, 'null')),
    hint = 'Take account_id from directory.accounts. Where directory.tenant is set, or required of the role, it must name the account''s tenant.';
end $function$;
comment on function entra_sync.refuse_unknown_account(uuid) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.refuse_unknown_field(tenant uuid, field text, beside text[] DEFAULT '{}'::text[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  known constant text[] := array(
    select k.field from (select r.field from entra_sync.field_rules r where r.tenant_id = tenant
                         union select unnest(beside)) as k order by k.field);
begin
  raise exception using errcode = 'ES002', message = format('there is no field %s', entra_sync.quoted(field)),
    hint = 'The fields are: ' || coalesce(nullif(array_to_string(known, ', '), ''), 'none') || '.',
    column = left(coalesce(field, ''), 80),
    detail = entra_sync.error_detail('ES002', field, jsonb_build_object('fields', known));
end $function$;
comment on function entra_sync.refuse_unknown_field(uuid,text,text[]) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.refuse_unknown_tenant(wanted uuid)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'ES004', message = format('there is no tenant %s', coalesce(wanted::text, 'null')),
    hint = 'Take tenant_id from directory.tenants. Where directory.tenant is set, or required of the role, it must name this tenant.';
end $function$;
comment on function entra_sync.refuse_unknown_tenant(uuid) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.refuse_unknown(what text, wanted uuid)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = 'ES004', message = format('there is no %s %s', what, coalesce(wanted::text, 'null')),
    hint = format('Take %s_id from directory.%ss. Where directory.tenant is set, or required of the role, it must name its tenant.', what, what);
end $function$;
comment on function entra_sync.refuse_unknown(text,uuid) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.reports_touched(tenant uuid, batch bigint, round bigint, everyone boolean)
 RETURNS SETOF uuid
 LANGUAGE sql
 STABLE
AS $function$
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
$function$;
comment on function entra_sync.reports_touched(uuid,bigint,bigint,boolean) is 'The accounts whose fields of the manager this transaction may change: those of the round, those that came or went, and their reports. Manual accounts keep what they show.';

CREATE OR REPLACE FUNCTION entra_sync.require_actor(actor text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if coalesce(actor, '') !~ '\S' or length(actor) > 1000 then
    raise exception using errcode = '22023', message = 'actor must name who does this, in at most 1,000 characters';
  end if;
end $function$;
comment on function entra_sync.require_actor(text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.require_editable(account entra_sync.accounts, field text, actor_role text)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
declare
  rule entra_sync.field_rules;
  roles text[];
begin
  select r.* into rule from entra_sync.field_rules r
   where r.tenant_id = account.tenant_id and r.field = require_editable.field;
  if rule.field is null then
    perform entra_sync.refuse_unknown_field(account.tenant_id, field);
  end if;
  if account.state = 'managed' and rule.owner = 'directory' then
    raise exception using errcode = 'ES001',
      message = format('the field %s is read-only: its owner is the directory', entra_sync.quoted(field)),
      hint = entra_sync.cure_of_directory_field(rule.mapped_from),
      column = field,
      detail = entra_sync.error_detail('ES001', field, jsonb_build_object('owner', rule.owner));
  end if;
  roles := case account.state when 'managed' then rule.editable_by else rule.manual_editable_by end;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003',
      message = format('the role %s may not edit the field %s', entra_sync.quoted(actor_role), entra_sync.quoted(field)),
      hint = case when roles = '{}' then 'No role may: name the field in manual.editable in the settings.'
                  else 'These may: ' || array_to_string(roles, ', ') || '. The settings say who.' end,
      column = field,
      detail = entra_sync.error_detail('ES003', field, jsonb_build_object('roles', roles));
  end if;
  return rule.value_type;
end $function$;
comment on function entra_sync.require_editable(entra_sync.accounts,text,text) is 'The type of the field''s values, once it is there and the role may edit it.';

CREATE OR REPLACE FUNCTION entra_sync.require_few_fields(number bigint, called text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if number > 500 then
    raise exception using errcode = 'ES005', message = format('%s names %s fields', called, number),
      hint = 'It takes at most 500 fields.',
      detail = entra_sync.error_detail('ES005', null, jsonb_build_object('max_fields', 500));
  end if;
end $function$;
comment on function entra_sync.require_few_fields(bigint,text) is 'At most as many fields as the settings may have.';

CREATE OR REPLACE FUNCTION entra_sync.require_fitting(field text, value jsonb, value_type text, is_key boolean)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  -- A key goes into a column with an index, and an index entry has at most about 2,700 bytes.
  if entra_sync.fits(value, value_type)
     and (not is_key or jsonb_typeof(value) = 'null' or jsonb_typeof(value) = 'string' and length(value #>> '{}') <= 320) then
    return;
  end if;
  raise exception using errcode = 'ES005', message = format('the value does not fit the field %s', entra_sync.quoted(field)),
    hint = 'null clears it; else it takes ' || case
      when is_key then 'a string of at most 320 characters.'
      else case value_type
        when 'text' then 'a string of at most 32,768 characters.'
        when 'text[]' then 'a list of at most 100 strings.'
        when 'number' then 'a number.'
        when 'boolean' then 'true or false.'
        else 'a string, number, boolean or a list of at most 100 of them.' end end,
    column = field,
    detail = entra_sync.error_detail('ES005', field, jsonb_build_object('type', case when is_key then 'text' else value_type end)
      || case when is_key then '{"max_length": 320}'
              when value_type = 'text' then '{"max_length": 32768}'
              when value_type in ('text[]', 'any') then '{"max_items": 100}'
              else '{}' end::jsonb);
end $function$;
comment on function entra_sync.require_fitting(text,jsonb,text,boolean) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.require_free_keys(account entra_sync.accounts)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  taken constant text := entra_sync.taken_key(account);
begin
  if taken is not null then
    raise exception using errcode = 'ES008',
      message = format('a live account of this tenant already has this %s', taken),
      hint = 'Find it in directory.accounts: edit that one, or choose another value.',
      column = taken,
      detail = entra_sync.error_detail('ES008', taken);
  end if;
end $function$;
comment on function entra_sync.require_free_keys(entra_sync.accounts) is 'No other live account of the tenant has mail or user_principal_name of this one; null is nobody''s.';

CREATE OR REPLACE FUNCTION entra_sync.require_item(tenant uuid, slot text, item text, held boolean)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.require_item(uuid,text,text,boolean) is 'ES010 without the slot or, unless null, the item. `held`: slot and item stay until the transaction ends.';

CREATE OR REPLACE FUNCTION entra_sync.require_latest_snapshot()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise exception using errcode = '25001',
      message = 'manual accounts are created, removed and given another mail or userPrincipalName in read committed transactions only',
      hint = 'An older snapshot does not show what was committed meanwhile: begin isolation level read committed.';
  end if;
end $function$;
comment on function entra_sync.require_latest_snapshot() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.require_length(argument text, value text, most integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if length(value) > most then
    perform entra_sync.refuse_argument(argument, format('the %s is too long', argument),
      format('It takes at most %s characters.', to_char(most, 'FM999,999')), jsonb_build_object('type', 'text',
        'max_length', most));
  end if;
end $function$;
comment on function entra_sync.require_length(text,text,integer) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.require_name(argument text, value text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if coalesce(value, '') !~ '\S' or length(value) > 200 then
    perform entra_sync.refuse_argument(argument, format('the %s has no name', argument),
      'It takes a text of at most 200 characters.',
      '{"type": "text", "max_length": 200}');
  end if;
end $function$;
comment on function entra_sync.require_name(text,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.require_object(value jsonb, called text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if jsonb_typeof(value) is distinct from 'object' then
    raise exception using errcode = 'ES005', message = format('%s must be an object', called),
      hint = 'Give the fields by name: {"jobTitle": "Clerk"}.',
      detail = entra_sync.error_detail('ES005', null, '{"type": "object"}');
  end if;
  perform entra_sync.require_few_fields((select count(*) from jsonb_object_keys(value)), called);
  -- pg_column_size would not do: a value that comes from a table may be compressed.
  if octet_length(value::text) > 1048576 then
    raise exception using errcode = 'ES005', message = format('%s is too large', called),
      hint = 'It takes at most 1,048,576 bytes of JSON. Give the fields one after another.',
      detail = entra_sync.error_detail('ES005', null, jsonb_build_object('max_bytes', 1048576));
  end if;
end $function$;
comment on function entra_sync.require_object(jsonb,text) is 'A patch or profile of a caller: an object of a bounded size.';

CREATE OR REPLACE FUNCTION entra_sync.require_time(tenant uuid, at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  oldest timestamptz;
begin
  if not exists (select from entra_sync.tenants t where t.tenant_id = tenant and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(tenant);
  end if;
  select min(b.committed_at) into oldest from entra_sync.batches b where b.tenant_id = tenant;
  if (at >= oldest) is not true then
    raise exception using errcode = 'ES006', message = 'the tenant''s changes are not kept as far back as that',
      hint = coalesce(format('The oldest that is kept is of %s.', to_char(oldest at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), 'Nothing of this tenant was stored yet.');
  end if;
end $function$;
comment on function entra_sync.require_time(uuid,timestamp with time zone) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.require_unchanged(account entra_sync.accounts, fields text[], expected_updated_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  field constant text := entra_sync.changed_since(account, fields, expected_updated_at);
begin
  if field is not null then
    perform entra_sync.refuse_changed_field(field, format('the field %s was changed since', entra_sync.quoted(field)));
  end if;
end $function$;
comment on function entra_sync.require_unchanged(entra_sync.accounts,text[],timestamp with time zone) is 'ES009 where one of the fields has changed since the account was read at this updated_at, compared to the millisecond; null is no check.';

CREATE OR REPLACE FUNCTION entra_sync.require_within(tenant uuid, field text, value jsonb)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  rule entra_sync.field_rules;
  texts text[];
begin
  select r.* into rule from entra_sync.field_rules r where r.tenant_id = tenant and r.field = require_within.field;
  if coalesce(rule.max_length::text, rule.pattern) is null then
    return;
  end if;
  texts := case jsonb_typeof(value) when 'string' then array[value #>> '{}']
                when 'array' then array(select jsonb_array_elements_text(value)) else '{}' end;
  if exists (select from unnest(texts) as t where length(t) > rule.max_length) then
    raise exception using errcode = 'ES005',
      message = format('the value does not fit the field %s', entra_sync.quoted(field)),
      hint = format('null clears it; else it takes at most %s characters.', to_char(rule.max_length, 'FM999,999')),
      column = field,
      detail = entra_sync.error_detail('ES005', field,
        jsonb_build_object('type', rule.value_type, 'max_length', rule.max_length));
  end if;
  if exists (select from unnest(texts) as t where t !~ ('^(?:' || rule.pattern || ')$')) then
    raise exception using errcode = 'ES005',
      message = format('the value does not fit the field %s', entra_sync.quoted(field)),
      hint = format('null clears it; else it takes what matches %s as a whole.', rule.pattern),
      column = field,
      detail = entra_sync.error_detail('ES005', field,
        jsonb_build_object('type', rule.value_type, 'pattern', rule.pattern));
  end if;
end $function$;
comment on function entra_sync.require_within(uuid,text,jsonb) is 'Refuses an edit beyond the bounds that the settings give its field: ES005.';

CREATE OR REPLACE FUNCTION entra_sync.restore_locked(account entra_sync.accounts, actor text)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.restore_locked(entra_sync.accounts,text) is 'Restores an account that a person removed, with the memberships that it still has. The roles that may are the caller''s affair.';

CREATE OR REPLACE FUNCTION entra_sync.revert_many(wanted uuid[], field text, actor text, actor_role text)
 RETURNS TABLE(account_id uuid, refused text)
 LANGUAGE plpgsql
AS $function$
begin
  -- In id order, as every writer locks accounts.
  for account_id in select w from unnest(wanted) as w order by w loop
    refused := null;
    begin
      perform directory.revert_account(account_id, array[revert_many.field], revert_many.actor, actor_role);
    exception when sqlstate 'ES001' or sqlstate 'ES003' or sqlstate 'ES004' or sqlstate 'ES008' then
      refused := sqlstate;
    end;
    return next;
  end loop;
end $function$;
comment on function entra_sync.revert_many(uuid[],text,text,text) is 'Reverts one field of these accounts. refused: the SQLSTATE for which an account was left as it is. The tenant''s row is locked in line.';

CREATE OR REPLACE FUNCTION entra_sync.role_over(actor uuid, account entra_sync.accounts)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  acting entra_sync.accounts;
  via text;
begin
  if actor = account.account_id then
    return 'user';
  end if;
  select a.* into acting from entra_sync.accounts a
   where a.account_id = actor and a.tenant_id = account.tenant_id and a.removed_at is null;
  if acting.account_id is null then
    perform entra_sync.refuse_unknown_account(actor);
  end if;
  via := entra_sync.manages(acting, account);
  if via is null then
    raise exception using errcode = 'ES003', message = format('account %s does not manage account %s', actor, account.account_id),
      hint = 'An account edits itself and the accounts that it manages: directory.managers shows these.',
      detail = entra_sync.error_detail('ES003', null, '{"roles": ["user", "manager"]}');
  end if;
  return 'manager';
end $function$;
comment on function entra_sync.role_over(uuid,entra_sync.accounts) is 'The role by which one account edits another: user for itself, manager for an account that it manages. ES004, ES003.';

CREATE OR REPLACE FUNCTION entra_sync.rule_facts(r entra_sync.assignments)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select jsonb_build_object('assignment_id', r.assignment_id, 'slot', r.slot, 'item', r.item,
    'target', case r.target when 'group' then jsonb_build_object('group', r.group_id) when 'account'
      then jsonb_build_object('account', r.account_id)
                            when 'field' then jsonb_build_object('field', r.field, 'in', r.field_values)
                              else '{"everyone": true}' end,
    'priority', r.priority, 'except', r.is_exception, 'starts_at', r.starts_at, 'ends_at', r.ends_at)
$function$;
comment on function entra_sync.rule_facts(entra_sync.assignments) is 'An assignment as change rows tell it.';

CREATE OR REPLACE FUNCTION entra_sync.rules_given(tenant uuid, slot text, item text, target jsonb, options jsonb, actor text)
 RETURNS entra_sync.assignments[]
 LANGUAGE plpgsql
 STABLE
AS $function$
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
end $function$;
comment on function entra_sync.rules_given(uuid,text,text,jsonb,jsonb,text) is 'The assignments that the arguments mean, without id and age. ES002, ES004, ES005.';

CREATE OR REPLACE FUNCTION entra_sync.rules_name(tenant uuid, fields text[])
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select exists (
    select from entra_sync.assignments r
     where r.tenant_id = tenant and r.field is not null and (fields is null or r.field = any(fields)))
$function$;
comment on function entra_sync.rules_name(uuid,text[]) is 'Whether an assignment of the tenant goes by one of these fields; null: by any field.';

CREATE OR REPLACE FUNCTION entra_sync.section_problem(part text, open text[])
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
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
end $function$;
comment on function entra_sync.section_problem(text,text[]) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.sections_after(part text, open text[])
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select case substring(part from '^\{\{[ \t]*([#/])')
    when '#' then open || substring(part from '[a-zA-Z][a-zA-Z0-9_]*')
    when '/' then open[1:cardinality(open) - 1] else open end
$function$;
comment on function entra_sync.sections_after(text,text[]) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.show_again(old entra_sync.accounts, batch bigint, actor text)
 RETURNS entra_sync.accounts
 LANGUAGE plpgsql
AS $function$
declare
  shown entra_sync.accounts;
begin
  update entra_sync.accounts a
     set state = 'manual', removed_at = null, removed_reason = null, purge_at = null, removal_approved = false, updated_at = now()
   where a.account_id = old.account_id
  returning a.* into shown;
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
  values (batch, old.tenant_id, show_again.actor, 'account.restored', old.account_id,
          jsonb_build_object('removed', old.removed_reason, 'profile', '{}'::jsonb)
            || entra_sync.differing_facts(entra_sync.account_facts(old), entra_sync.account_facts(shown)),
          entra_sync.account_facts(shown));
  return shown;
end $function$;
comment on function entra_sync.show_again(entra_sync.accounts,bigint,text) is 'Shows a removed account again as a manual one, with its change row. The caller holds the locks, and writes the memberships that appear.';

CREATE OR REPLACE FUNCTION entra_sync.show_many_again(tenant uuid, wanted uuid[], batch bigint, actor text)
 RETURNS TABLE(account_id uuid, taken text)
 LANGUAGE plpgsql
AS $function$
declare
  account entra_sync.accounts;
begin
  -- One after another: of two that share a key the first is shown.
  for account in
    select a.* from entra_sync.accounts a
     where a.tenant_id = tenant and a.account_id = any(wanted) and a.removed_at is not null order by a.account_id for update
  loop
    account_id := account.account_id;
    taken := entra_sync.taken_key(account);
    if taken is null then
      perform entra_sync.show_again(account, batch, show_many_again.actor);
    end if;
    return next;
  end loop;
end $function$;
comment on function entra_sync.show_many_again(uuid,uuid[],bigint,text) is 'Shows removed accounts again, in id order. taken: the key that another live account has by now, so that this one stays removed.';

CREATE OR REPLACE FUNCTION entra_sync.slot_winners(tenant uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce(jsonb_object_agg(s.slot, s.winners), '{}')
    from (select distinct on (s.slot) s.slot, s.winners from entra_sync.slots s
           where s.tenant_id = tenant or s.tenant_id is null order by s.slot, s.tenant_id nulls last) s
$function$;
comment on function entra_sync.slot_winners(uuid) is 'How many items of each slot an account of the tenant gets.';

CREATE OR REPLACE FUNCTION entra_sync.sort_name(profile jsonb, source jsonb, principal text, mail text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select pg_catalog.lower(coalesce(profile ->> 'displayName', source ->> 'displayName', principal, mail, ''))
$function$;
comment on function entra_sync.sort_name(jsonb,jsonb,text,text) is 'The name of an account as directory.managed orders it.';

CREATE OR REPLACE FUNCTION entra_sync.store_edit(old entra_sync.accounts, overrides jsonb, edits jsonb, shelf jsonb, fields text[], actor text)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
  moment constant timestamptz := greatest(clock_timestamp(), old.updated_at + interval '1 millisecond');
  changed entra_sync.accounts := old;
  touched text[] := array(
    select f from unnest(fields) as f
     where (old.overrides -> f) is distinct from (store_edit.overrides -> f) order by f);
  before jsonb;
  after jsonb;
begin
  if touched = '{}' then
    return old.profile - old.cleared;
  end if;
  if old.state = 'manual' then
    -- Without an edit in force the columns say what the directory said last.
    if 'mail' = any(touched) then
      changed.mail := entra_sync.trimmed(case when jsonb_exists(overrides, 'mail') then overrides ->> 'mail' else old.source ->> 'mail' end);
    end if;
    if 'userPrincipalName' = any(touched) then
      changed.user_principal_name := entra_sync.trimmed(case when jsonb_exists(overrides, 'userPrincipalName')
        then overrides ->> 'userPrincipalName' else old.source ->> 'userPrincipalName' end);
    end if;
    if entra_sync.folded(changed.mail) is distinct from entra_sync.folded(old.mail)
       or entra_sync.folded(changed.user_principal_name) is distinct from entra_sync.folded(old.user_principal_name) then
      perform entra_sync.require_free_keys(changed);
    end if;
  end if;
  update entra_sync.accounts a
     set overrides = store_edit.overrides, shelf = store_edit.shelf,
         edits = coalesce((
           select jsonb_object_agg(e.key, case when e.key = any(touched) then e.value || jsonb_build_object('at', moment) else e.value end)
             from jsonb_each(store_edit.edits) e), '{}'),
         mail = changed.mail, user_principal_name = changed.user_principal_name, updated_at = moment
   where a.account_id = old.account_id
  returning a.* into changed;
  -- A field that is edited to what it shows already is named too: from now on the value is the person's.
  before := entra_sync.differing_facts(entra_sync.account_facts(old), entra_sync.account_facts(changed))
    || jsonb_build_object('profile', (select jsonb_object_agg(f, old.profile -> f) from unnest(touched) as f));
  after := entra_sync.differing_facts(entra_sync.account_facts(changed), entra_sync.account_facts(old))
    || jsonb_build_object('profile', (select jsonb_object_agg(f, changed.profile -> f) from unnest(touched) as f));
  perform entra_sync.write_account_change(changed, actor, 'account.edited', before, after);
  return changed.profile - changed.cleared;
end $function$;
comment on function entra_sync.store_edit(entra_sync.accounts,jsonb,jsonb,jsonb,text[],text) is 'Puts new overrides into force, with one change row; nothing is written where none of the fields changes. Returns the profile.';

CREATE OR REPLACE FUNCTION entra_sync.tag_problem(tag text)
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
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
end $function$;
comment on function entra_sync.tag_problem(text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.take_words(tenant uuid, of_kind "char", numbers bigint[], names text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  with gone as (
    delete from entra_sync.words x
     using (select n.no, left(w, 64) as word
              from unnest(numbers, names) as n (no, name) cross join lateral unnest(entra_sync.words_of(n.name)) as w
             where w <> '') g
     where x.tenant_id = tenant and x.word = g.word and x.kind = of_kind and x.no = g.no
    returning x.word
  )
  insert into entra_sync.words_left (tenant_id, word) select distinct tenant, g.word from gone g;
  perform entra_sync.forget_words(tenant);
end $function$;
comment on function entra_sync.take_words(uuid,"char",bigint[],text[]) is 'At a purge nothing of a name stays, in the vocabulary neither.';

CREATE OR REPLACE FUNCTION entra_sync.taken_key(account entra_sync.accounts)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  select case when entra_sync.folded(a.mail) = entra_sync.folded(account.mail) then 'mail' else 'userPrincipalName' end
    from entra_sync.accounts a
   where a.tenant_id = account.tenant_id and a.removed_at is null and a.account_id <> account.account_id
     and (entra_sync.folded(a.mail) = entra_sync.folded(account.mail) or entra_sync.folded(a.user_principal_name) = entra_sync.folded(account.user_principal_name))
   limit 1
$function$;
comment on function entra_sync.taken_key(entra_sync.accounts) is 'The key of this account that another live account of its tenant has, or null.';

CREATE OR REPLACE FUNCTION entra_sync.tell_of_batch()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform pg_notify('directory_changes', '');
  return null;
end $function$;
comment on function entra_sync.tell_of_batch() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.tell_of_rule(tenant uuid, actor text, kind text, before jsonb, after jsonb, account uuid DEFAULT NULL::uuid, of_group uuid DEFAULT NULL::uuid)
 RETURNS void
 LANGUAGE sql
AS $function$
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, group_id, before, after)
  values (entra_sync.own_batch(tenant), tenant, actor, kind, account, of_group, before, after)
$function$;
comment on function entra_sync.tell_of_rule(uuid,text,text,jsonb,jsonb,uuid,uuid) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.template_problem(html text)
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
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
end $function$;
comment on function entra_sync.template_problem(text) is 'The first reason to refuse a template, with its cure, else null. A template without a field is never refused.';

CREATE OR REPLACE FUNCTION entra_sync.this_server(OUT system_identifier bigint, OUT timeline bigint, OUT database_oid oid)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- A standby shows the feed of its primary.
  if pg_is_in_recovery() then
    return;
  end if;
  select d.oid into database_oid from pg_database d where d.datname = current_database();
  -- A hosted server may refuse either function. What is unknown is no difference.
  begin
    -- pg_control_checkpoint() tells a promotion only after the next checkpoint, minutes later.
    timeline := ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint;
  exception when others then
    null;
  end;
  begin
    select c.system_identifier into system_identifier from pg_control_system() c;
  exception when others then
    null;
  end;
end $function$;
comment on function entra_sync.this_server() is 'The server, its timeline and the database of this session. A promotion and a recovery to a point in time begin a new timeline; pg_upgrade and a dump that is restored elsewhere, a new server or database.';

CREATE OR REPLACE FUNCTION entra_sync.trimmed(word text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$ select nullif(btrim(word, E' \t\n\r'), '') $function$;
comment on function entra_sync.trimmed(text) is 'A mail address or user principal name as accounts are recognised by it: blank is none.';

CREATE OR REPLACE FUNCTION entra_sync.under_overrides(mine jsonb, other jsonb, overrides jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select case when count(*) = 0 then '{}'::jsonb else jsonb_build_object('directory', jsonb_object_agg(o.key, mine -> o.key)) end
    from jsonb_object_keys(overrides) as o (key)
   where (mine -> o.key) is distinct from (other -> o.key)
$function$;
comment on function entra_sync.under_overrides(jsonb,jsonb,jsonb) is 'What `mine` says of the fields whose values people gave, where the two differ: the directory''s change under a person''s value.';

CREATE OR REPLACE FUNCTION entra_sync.user_owned(tenant uuid, given jsonb)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce(jsonb_object_agg(v.key, v.value), '{}')
    from jsonb_each(given) v
    join entra_sync.field_rules r on r.tenant_id = tenant and r.field = v.key and r.owner = 'user'
     and entra_sync.fits(v.value, r.value_type)
$function$;
comment on function entra_sync.user_owned(uuid,jsonb) is 'Of the values that people gave, those of fields that the user owns and whose type they have: what may be in the overrides of a managed account.';

CREATE OR REPLACE FUNCTION entra_sync.with_options(given entra_sync.assignments, options jsonb)
 RETURNS entra_sync.assignments
 LANGUAGE plpgsql
 STABLE
AS $function$
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
end $function$;
comment on function entra_sync.with_options(entra_sync.assignments,jsonb) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.without_keys(given jsonb, others jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select given - coalesce((select array_agg(k) from jsonb_object_keys(others) k), '{}')
$function$;
comment on function entra_sync.without_keys(jsonb,jsonb) is 'An object without the keys of another one.';

CREATE OR REPLACE FUNCTION entra_sync.without_private(facts jsonb, fields text[])
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case when facts is null or fields = '{}' then facts else facts || coalesce((
    select jsonb_object_agg(p.part, (
             select coalesce(jsonb_object_agg(e.key, case when e.key = any (fields) then '{"private": true}' else e.value end), '{}')
               from jsonb_each(facts -> p.part) e))
      from (values ('profile'), ('directory')) as p (part) where jsonb_typeof(facts -> p.part) = 'object'), '{}') end
$function$;
comment on function entra_sync.without_private(jsonb,text[]) is 'One side of a change row, with {"private": true} instead of each value of these fields.';

CREATE OR REPLACE FUNCTION entra_sync.words_asked(name text)
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
AS $function$
declare
  letters text := name;
begin
  if pg_catalog.octet_length(name) <> pg_catalog.char_length(name) then
    -- The accents of Latin letters first: what is ASCII then needs no table of all letters.
    letters := pg_catalog.translate(pg_catalog.normalize(name, 'NFKD'),
      U&'\0300\0301\0302\0303\0304\0306\0307\0308\030A\030B\030C\0323\0326\0327\0328\0331\2018\2019\00B4', '');
    letters := pg_catalog.translate(letters, 'øØłŁđĐðÐıħĦŧŦŋŊ', 'oOlLdDdDihHtTnN');
    letters := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
      pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
        letters, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'Æ', 'ae'), 'Œ', 'oe'), 'Þ', 'th');
    if pg_catalog.octet_length(letters) <> pg_catalog.char_length(letters) then
      letters := pg_catalog.regexp_replace(pg_catalog.normalize(entra_sync.folded(letters), 'NFKD'),
        '[\u0300-\u036f\u200b-\u200f\u202a-\u202e\u2060-\u206f]', '', 'g');
      letters := pg_catalog.translate(letters, U&'\00AB\00B7\00BB\2010\2011\2012\2013\2014\2015\201C\201D\201E', '            ');
    end if;
  end if;
  return pg_catalog.string_to_array(
    pg_catalog.translate(pg_catalog.lower(letters collate "C"), E'.,-_()/&+:;|#@"[]\t\n\'', '                   '), ' ');
end $function$;
comment on function entra_sync.words_asked(text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.words_of_gone_accounts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform entra_sync.take_words(g.tenant_id, 'a', array_agg(g.account_no),
            array_agg(entra_sync.account_name(g.mapped || g.overrides, g.source, g.user_principal_name, g.mail)))
     from gone g group by g.tenant_id order by g.tenant_id;
  delete from entra_sync.sort_names where ctid = any(array(
    select s.place from gone g cross join lateral (
      select s.ctid as place from entra_sync.sort_names s
       where s.tenant_id = g.tenant_id and s.account_id = g.account_id and s.sort_name = entra_sync.kept_sort_name(
               entra_sync.sort_name(g.mapped || g.overrides, g.source, g.user_principal_name, g.mail)) offset 0) s));
  return null;
end $function$;
comment on function entra_sync.words_of_gone_accounts() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.words_of_gone_groups()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform entra_sync.take_words(g.tenant_id, 'g', array_agg(g.group_no), array_agg(entra_sync.group_name(g.display_name, g.mail)))
     from gone g group by g.tenant_id order by g.tenant_id;
  return null;
end $function$;
comment on function entra_sync.words_of_gone_groups() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.words_of_new_accounts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  most constant integer := entra_sync.many_new_accounts();
begin
  if (select count(*) from come) > most then
    insert into entra_sync.words_due (tenant_id, account_nos)
    select c.tenant_id, array_agg(c.account_no order by c.account_no)
      from (select c.tenant_id, c.account_no, (row_number() over (partition by c.tenant_id order by c.account_no) - 1) / most as lot
              from come c) c
     group by c.tenant_id, c.lot order by c.tenant_id, c.lot;
  else
    perform entra_sync.add_words(c.tenant_id, 'a', array_agg(c.account_no),
              array_agg(entra_sync.account_name(c.mapped || c.overrides, c.source, c.user_principal_name, c.mail)))
       from come c group by c.tenant_id order by c.tenant_id;
    insert into entra_sync.sort_names (tenant_id, sort_name, account_id)
    select c.tenant_id, entra_sync.kept_sort_name(
             entra_sync.sort_name(c.mapped || c.overrides, c.source, c.user_principal_name, c.mail)), c.account_id
      from come c order by 1, 2, 3
    on conflict do nothing;
  end if;
  return null;
end $function$;
comment on function entra_sync.words_of_new_accounts() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.words_of_new_groups()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform entra_sync.add_words(c.tenant_id, 'g', array_agg(c.group_no), array_agg(entra_sync.group_name(c.display_name, c.mail)))
     from come c group by c.tenant_id order by c.tenant_id;
  return null;
end $function$;
comment on function entra_sync.words_of_new_groups() is NULL;

CREATE OR REPLACE FUNCTION entra_sync.words_of(name text)
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
AS $function$
declare
  spelt text;
begin
  if pg_catalog.octet_length(name) = pg_catalog.char_length(name) then
    return entra_sync.words_asked(name);
  end if;
  -- Müller is looked for as Muller and as Mueller.
  spelt := pg_catalog.normalize(name, 'NFC');
  if spelt ~ '[äöüøåÄÖÜØÅ]' then
    spelt := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
      pg_catalog.translate(spelt, 'ÄÖÜØÅ', 'äöüøå'), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'ø', 'oe'), 'å', 'aa');
    return entra_sync.words_asked(name) || entra_sync.words_asked(spelt);
  end if;
  return entra_sync.words_asked(name);
end $function$;
comment on function entra_sync.words_of(text) is 'The words by which a name is found, empty ones among them.';

CREATE OR REPLACE FUNCTION entra_sync.words_with_part(tenant uuid, part text)
 RETURNS text[]
 LANGUAGE sql
 STABLE
AS $function$
  select array(select v.word from entra_sync.vocabulary v where v.tenant_id = tenant and strpos(v.word, part) > 0 limit 1000)
$function$;
comment on function entra_sync.words_with_part(uuid,text) is NULL;

CREATE OR REPLACE FUNCTION entra_sync.write_account_change(account entra_sync.accounts, actor text, kind text, before jsonb, after jsonb)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
end $function$;
comment on function entra_sync.write_account_change(entra_sync.accounts,text,text,jsonb,jsonb) is 'The change, in the batch of this transaction; before a removal the visible memberships that vanish with the account.';

CREATE OR REPLACE FUNCTION entra_sync.write_audit(actor text, role text, via text, act text, tenant_id uuid, account_id uuid, detail jsonb, reference text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into entra_sync.audit (actor, role, via, act, tenant_id, account_id, detail, reference)
  values (write_audit.actor, write_audit.role, write_audit.via, write_audit.act, write_audit.tenant_id,
          write_audit.account_id, coalesce(write_audit.detail, '{}'), write_audit.reference);
end $function$;
comment on function entra_sync.write_audit(text,text,text,text,uuid,uuid,jsonb,text) is 'Adds a row to the audit. No grant gives it: the web and the command line call it, applications do not.';

CREATE OR REPLACE FUNCTION entra_sync.writes_keys(account_id uuid, fields text[])
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select exists (
    select from entra_sync.accounts a
     where a.account_id = writes_keys.account_id
       and (a.state = 'manual' and fields && array['mail', 'userPrincipalName']
            -- These two stand for a revert of all fields (directory.revert_account).
            or entra_sync.rules_name(a.tenant_id, nullif(fields, array['mail', 'userPrincipalName']))))
$function$;
comment on function entra_sync.writes_keys(uuid,text[]) is 'Whether an edit of these fields moves the columns by which accounts are recognised, or a value by which items are assigned.';
