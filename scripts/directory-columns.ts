// The catalog of Postgres says of no view's column that it is never null. This table says which are, and which words a
// column takes; test/database/directory-types.test.ts compares it with rows.

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

/** Every view and composite type of schema directory, by its name. */
export const relations: Readonly<Record<string, Relation>> = {
  tenants: {
    type: 'Tenant',
    from: ['tenants'],
    notNull: ['source_of_truth', 'held_removals', 'set_aside'],
    types: { status: 'TenantStatus', source_of_truth: 'SourceOfTruth' },
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
    notNull: [],
    types: { owner: 'Owner', editable_by: 'Role[]' },
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
  ['HeldReason', 'held_removals', 'reason'],
  ['Stream', 'set_aside', 'stream'],
  ['CycleKind', 'cycles', 'kind'],
  ['CycleOutcome', 'cycles', 'outcome'],
  ['AssignmentTarget', 'assignments', 'target'],
];

/** Unions that no constraint lists: docs/contract.md does. */
export const otherWords: Readonly<Record<string, readonly string[]>> = {
  SourceOfTruth: ['directory', 'user', 'hybrid'],
  MemberKind: ['account', 'group'],
  FoundKind: ['account', 'group', 'user'],
  FoundState: ['managed', 'manual', 'removed', 'set_aside', 'out_of_scope'],
  Fit: ['id', 'whole', 'begins', 'part', 'near'],
  AssignmentState: ['scheduled', 'active', 'ended', 'dormant', 'orphaned'],
  AssignmentOutcome: ['wins', 'beaten', 'repeated', 'excepted', 'exception', 'scheduled', 'ended'],
  Origin: ['directory', 'user', 'none'],
  ChangeKind: [
    'account.created',
    'account.adopted',
    'account.updated',
    'account.edited',
    'account.suspended',
    'account.resumed',
    'account.removed',
    'account.restored',
    'account.released',
    'account.purged',
    'group.created',
    'group.updated',
    'group.removed',
    'group.restored',
    'group.purged',
    'group.adopted',
    'group.released',
    'membership.added',
    'membership.removed',
    'removal.held',
    'removal.approved',
    'removal.rejected',
    'tenant.connected',
    'tenant.disconnected',
    'tenant.reconnected',
    'tenant.settings_changed',
    'slot.created',
    'slot.changed',
    'slot.removed',
    'item.created',
    'item.changed',
    'item.removed',
    'assignment.created',
    'assignment.changed',
    'assignment.removed',
    'assigned.changed',
  ],
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
  assign: ['options'],
  drop_item: ['tenant_id'],
  drop_slot: ['tenant_id'],
  latest_changes: ['tenant_id'],
  preview_assignment: ['options'],
  put_item: ['tenant_id', 'title', 'html'],
  put_slot: ['tenant_id', 'title'],
  read_changes: ['after'],
  request_cycle: ['account_id'],
  revert_account: ['fields'],
  undo_account: ['expected_updated_at'],
};
