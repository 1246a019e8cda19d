// The catalog of Postgres says of no view's column that it is never null. This table says which are, and which words a
// column takes; test/database/directory-types.test.ts compares it with rows.
import { changeKinds } from '../src/rules/change-kinds.ts';

/** The columns of a view or of a composite type. */
export type Relation = {
  /** The interface's name. */
  readonly type: string;
  /** Tables that give every row of the view its columns: a column of theirs that is `not null` is never null in the view. */
  readonly from: readonly string[];
  /** Columns that are never null for another reason: an expression, a condition of the view or a check of its table. */
  readonly notNull: readonly string[];
  /** The type of a column, where the type of Postgres says less. */
  readonly types: Readonly<Record<string, string>>;
};

const change: Relation = {
  type: 'Change',
  from: ['changes'],
  notNull: ['change_id', 'tenant_id', 'at', 'actor', 'kind'],
  types: { kind: 'ChangeKind' },
};
const membership: Relation = {
  type: 'Membership',
  from: ['groups'],
  notNull: ['tenant_id', 'group_id', 'member_kind'],
  types: { member_kind: 'MemberKind' },
};

const words = '{ en?: string; de?: string }';

/** Every view and composite type of schema directory, by its name. */
export const relations: Readonly<Record<string, Relation>> = {
  tenants: {
    type: 'Tenant',
    from: ['tenants'],
    notNull: ['source_of_truth', 'held_removals', 'set_aside', 'time_zone', 'portal', 'preview_images'],
    types: {
      status: 'TenantStatus',
      source_of_truth: 'SourceOfTruth',
      help: '{ text: string; url?: string }',
      preview_images: 'string[]',
      portal: '{ people: boolean; managers: boolean; history: string }',
    },
  },
  accounts: {
    type: 'Account',
    from: ['accounts'],
    notNull: ['profile', 'edited_fields'],
    types: { state: 'State' },
  },
  removed_accounts: {
    type: 'RemovedAccount',
    from: ['accounts'],
    notNull: ['reason', 'removed_at', 'purge_at'],
    types: { reason: 'AccountRemovalReason' },
  },
  groups: { type: 'Group', from: ['groups'], notNull: [], types: { state: 'State', kind: 'GroupKind' } },
  removed_groups: {
    type: 'RemovedGroup',
    from: ['groups'],
    notNull: ['reason', 'removed_at', 'purge_at'],
    types: { reason: 'GroupRemovalReason' },
  },
  memberships: membership,
  effective_memberships: {
    type: 'EffectiveMembership',
    from: ['effective_members', 'groups', 'accounts'],
    notNull: [],
    types: {},
  },
  fields: {
    type: 'Field',
    from: ['field_rules'],
    notNull: ['kind'],
    types: { owner: 'Owner', editable_by: 'Role[]', label: words, help: words, kind: 'FieldKind' },
  },
  held_removals: {
    type: 'HeldRemoval',
    from: ['held_removals'],
    notNull: [],
    types: { reason: 'HeldReason' },
  },
  set_aside: { type: 'SetAside', from: ['set_aside'], notNull: ['entra_object_id'], types: { stream: 'Stream' } },
  cycles: { type: 'Cycle', from: ['cycles'], notNull: [], types: { kind: 'CycleKind', outcome: 'CycleOutcome' } },
  slots: { type: 'Slot', from: ['slots'], notNull: [], types: {} },
  items: { type: 'Item', from: ['items'], notNull: [], types: {} },
  assignments: {
    type: 'Assignment',
    from: ['assignments'],
    notNull: ['except', 'state'],
    types: { target: 'AssignmentTarget', state: 'AssignmentState' },
  },
  assigned: {
    type: 'Assigned',
    from: ['assigned', 'assignments', 'accounts'],
    notNull: ['rank'],
    types: {},
  },
  managers: {
    type: 'Manager',
    from: ['accounts'],
    notNull: ['tenant_id', 'account_id', 'manager_account_id', 'via'],
    types: { via: 'ManagedVia' },
  },
  photos: {
    type: 'Photo',
    from: ['photos', 'accounts'],
    notNull: ['content_type', 'sha256', 'content', 'size', 'width', 'height', 'updated_at'],
    types: { content_type: 'PhotoType' },
  },
  assignment_candidate: {
    type: 'AssignmentCandidate',
    from: [],
    notNull: ['item', 'assignment_id', 'target', 'priority', 'outcome', 'why'],
    types: { target: 'AssignmentTarget', outcome: 'AssignmentOutcome' },
  },
  assignment_preview: {
    type: 'AssignmentPreview',
    from: [],
    notNull: ['account_id', 'before', 'after'],
    types: { before: 'Record<string, string[]>', after: 'Record<string, string[]>' },
  },
  // No grant gives it: it is for the owner of the schema.
  audit: { type: 'AuditLine', from: ['audit'], notNull: [], types: { via: 'AuditWay' } },
  changes: change,
  change_row: { ...change, type: 'ChangeRow', from: [] },
  feed_row: { ...change, type: 'FeedRow', from: [], notNull: ['position', ...change.notNull] },
  found_row: {
    type: 'FoundRow',
    from: [],
    notNull: ['kind', 'tenant_id', 'state', 'fit'],
    types: { kind: 'FoundKind', state: 'FoundState', fit: 'Fit' },
  },
  history_row: {
    type: 'HistoryRow',
    from: [],
    notNull: ['change_id', 'at', 'actor', 'kind'],
    types: { kind: 'ChangeKind', before: 'unknown', after: 'unknown' },
  },
  managed_row: {
    type: 'ManagedRow',
    from: [],
    notNull: ['account_id', 'via', 'sort_name'],
    types: { via: 'ManagedVia' },
  },
  account_then: {
    type: 'AccountThen',
    from: [],
    // The other values of a purged account are erased.
    notNull: ['tenant_id', 'account_id', 'erased'],
    types: { state: 'State' },
  },
  membership_then: { ...membership, type: 'MembershipThen', from: [] },
};

/** Unions whose words a check constraint of a private table lists: type, table, column. */
export const checkedWords: readonly (readonly [type: string, table: string, column: string])[] = [
  ['TenantStatus', 'tenants', 'status'],
  ['State', 'accounts', 'state'],
  ['AccountRemovalReason', 'accounts', 'removed_reason'],
  ['GroupKind', 'groups', 'kind'],
  ['GroupRemovalReason', 'groups', 'removed_reason'],
  ['Owner', 'field_rules', 'owner'],
  ['Role', 'field_rules', 'editable_by'],
  ['FieldKind', 'field_rules', 'kind'],
  ['HeldReason', 'held_removals', 'reason'],
  ['Stream', 'set_aside', 'stream'],
  ['CycleKind', 'cycles', 'kind'],
  ['CycleOutcome', 'cycles', 'outcome'],
  ['AssignmentTarget', 'assignments', 'target'],
  ['AuditWay', 'audit', 'via'],
];

/** Unions that no constraint lists: docs/contract.md does. */
export const otherWords: Readonly<Record<string, readonly string[]>> = {
  SourceOfTruth: ['directory', 'user', 'hybrid'],
  MemberKind: ['account', 'group'],
  FoundKind: ['account', 'group', 'user'],
  FoundState: ['managed', 'manual', 'removed', 'set_aside', 'out_of_scope', 'not_copied'],
  Fit: ['id', 'whole', 'begins', 'part', 'near'],
  ManagedVia: ['line', 'group'],
  AssignmentState: ['scheduled', 'active', 'ended', 'dormant', 'orphaned'],
  AssignmentOutcome: ['wins', 'beaten', 'repeated', 'excepted', 'exception', 'scheduled', 'ended'],
  PhotoType: ['image/jpeg', 'image/png'],
  Origin: ['directory', 'user', 'none'],
  ChangeKind: changeKinds,
};

/** The columns of a function that returns a table of its own. */
export const explained: Relation = {
  type: 'Explanation',
  from: [],
  notNull: ['field', 'origin', 'editable_by', 'since'],
  types: {
    value: 'unknown',
    origin: 'Origin',
    owner: 'Owner',
    editable_by: 'Role[]',
    directory_value: 'unknown',
    user_value: 'unknown',
  },
};

/** Arguments that may be null, by function. */
export const nullable: Readonly<Record<string, readonly string[]>> = {
  account_history: ['viewer_account_id'],
  accounts_after: ['after'],
  accounts_at: ['viewer_account_id'],
  accounts_of_group: ['after'],
  assign: ['options'],
  edit_as: ['expected_updated_at'],
  drop_item: ['tenant_id'],
  drop_slot: ['tenant_id'],
  latest_changes: ['tenant_id'],
  managed: ['words', 'after_name', 'after_account_id'],
  preview_assignment: ['options'],
  put_item: ['tenant_id', 'title', 'html'],
  put_slot: ['tenant_id', 'title'],
  read_changes: ['after'],
  request_cycle: ['account_id'],
  revert_account: ['fields'],
  revert_as: ['fields', 'expected_updated_at'],
  undo_account: ['expected_updated_at'],
  undo_edit: ['expected_updated_at'],
};
