// Types of schema directory, the public contract (docs/contract.md): written by `npm run types`, never edited.
// Values are as node-postgres returns them: bigint is a string, timestamptz a Date, jsonb an object.

export type TenantStatus = 'pending' | 'active' | 'quarantined' | 'disconnected';

export type State = 'managed' | 'manual';

export type AccountRemovalReason =
  | 'deleted_restorable'
  | 'deleted'
  | 'out_of_scope'
  | 'disabled'
  | 'not_seen'
  | 'by_hand';

export type GroupKind = 'security' | 'microsoft365' | 'distribution' | 'mail_enabled_security';

export type GroupRemovalReason = 'deleted_restorable' | 'deleted' | 'not_seen' | 'by_hand' | 'not_copied';

export type Owner = 'directory' | 'user';

export type Role = 'user' | 'manager';

export type FieldKind = 'text' | 'tel' | 'url' | 'mail' | 'list';

export type HeldReason =
  | 'deleted_restorable'
  | 'deleted'
  | 'out_of_scope'
  | 'disabled'
  | 'not_seen'
  | 'suspended'
  | 'not_copied';

export type Stream = 'users' | 'groups';

export type CycleKind = 'first_load' | 'initial' | 'incremental' | 'resync' | 'on_demand' | 'settings';

export type CycleOutcome = 'running' | 'committed' | 'partial' | 'held' | 'failed' | 'cancelled';

export type AssignmentTarget = 'account' | 'group' | 'field' | 'everyone';

export type AuditWay = 'web' | 'cli';

export type SourceOfTruth = 'directory' | 'user' | 'hybrid';

export type MemberKind = 'account' | 'group';

export type FoundKind = 'account' | 'group' | 'user';

export type FoundState = 'managed' | 'manual' | 'removed' | 'set_aside' | 'out_of_scope' | 'not_copied';

export type Fit = 'id' | 'whole' | 'begins' | 'part' | 'near';

export type ManagedVia = 'line' | 'group';

export type AssignmentState = 'scheduled' | 'active' | 'ended' | 'dormant' | 'orphaned';

export type AssignmentOutcome = 'wins' | 'beaten' | 'repeated' | 'excepted' | 'exception' | 'scheduled' | 'ended';

export type PhotoType = 'image/jpeg' | 'image/png';

export type Origin = 'directory' | 'user' | 'none';

export type ChangeKind =
  | 'account.created'
  | 'account.adopted'
  | 'account.updated'
  | 'account.edited'
  | 'account.photo_changed'
  | 'account.suspended'
  | 'account.resumed'
  | 'account.removed'
  | 'account.restored'
  | 'account.released'
  | 'account.purged'
  | 'group.created'
  | 'group.updated'
  | 'group.removed'
  | 'group.restored'
  | 'group.purged'
  | 'group.adopted'
  | 'group.released'
  | 'membership.added'
  | 'membership.removed'
  | 'removal.held'
  | 'removal.approved'
  | 'removal.rejected'
  | 'tenant.connected'
  | 'tenant.disconnected'
  | 'tenant.reconnected'
  | 'tenant.settings_changed'
  | 'tenant.failing'
  | 'tenant.recovered'
  | 'tenant.noticed'
  | 'tenant.removals_held'
  | 'tenant.waiting'
  | 'tenant.credential_expires'
  | 'slot.created'
  | 'slot.changed'
  | 'slot.removed'
  | 'item.created'
  | 'item.changed'
  | 'item.removed'
  | 'assignment.created'
  | 'assignment.changed'
  | 'assignment.removed'
  | 'assigned.changed';

export interface Account {
  tenant_id: string;
  account_id: string;
  entra_object_id: string | null;
  state: State;
  enabled: boolean;
  user_principal_name: string | null;
  mail: string | null;
  display_name: string | null;
  profile: Record<string, unknown>;
  edited_fields: string[];
  created_at: Date;
  updated_at: Date;
}

export interface Assigned {
  tenant_id: string;
  account_id: string;
  slot: string;
  rank: number;
  item: string;
  assignment_id: string;
  via_group_id: string | null;
}

export interface Assignment {
  assignment_id: string;
  tenant_id: string;
  slot: string;
  item: string;
  target: AssignmentTarget;
  group_id: string | null;
  account_id: string | null;
  field: string | null;
  field_values: string[] | null;
  except: boolean;
  priority: number;
  starts_at: Date | null;
  ends_at: Date | null;
  state: AssignmentState;
  group_name: string | null;
  created_by: string;
  updated_at: Date;
}

export interface AuditLine {
  audit_id: string;
  at: Date;
  actor: string;
  role: string;
  via: AuditWay;
  act: string;
  tenant_id: string | null;
  account_id: string | null;
  detail: Record<string, unknown>;
  reference: string | null;
}

export interface Change {
  change_id: string;
  tenant_id: string;
  at: Date;
  cycle_id: string | null;
  actor: string;
  kind: ChangeKind;
  account_id: string | null;
  group_id: string | null;
  member_group_id: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export interface Cycle {
  cycle_id: string;
  tenant_id: string;
  kind: CycleKind;
  started_at: Date;
  finished_at: Date | null;
  outcome: CycleOutcome;
  streams: Record<string, unknown>;
  settings_version: number;
  error_code: string | null;
  error_message: string | null;
}

export interface EffectiveMembership {
  tenant_id: string;
  group_id: string;
  account_id: string;
  is_direct: boolean;
}

export interface Field {
  tenant_id: string;
  field: string;
  owner: Owner;
  editable_by: Role[];
  mapped_from: string | null;
  max: number | null;
  pattern: string | null;
  label: { en?: string; de?: string } | null;
  help: { en?: string; de?: string } | null;
  kind: FieldKind;
  sort_order: number | null;
  private: boolean;
  shown: boolean;
}

export interface Group {
  tenant_id: string;
  group_id: string;
  entra_object_id: string;
  state: State;
  display_name: string | null;
  description: string | null;
  mail: string | null;
  kind: GroupKind;
  is_dynamic: boolean;
  attributes: Record<string, unknown>;
  created_at: Date;
  updated_at: Date;
}

export interface HeldRemoval {
  tenant_id: string;
  list_id: string;
  account_id: string | null;
  group_id: string | null;
  display_name: string | null;
  reason: HeldReason;
  held_since: Date;
  member_group_id: string | null;
}

export interface Item {
  tenant_id: string | null;
  slot: string;
  item: string;
  title: string | null;
  html: string | null;
  updated_at: Date;
}

export interface Manager {
  tenant_id: string;
  account_id: string;
  manager_account_id: string;
  via: ManagedVia;
}

export interface Membership {
  tenant_id: string;
  group_id: string;
  member_kind: MemberKind;
  account_id: string | null;
  member_group_id: string | null;
}

export interface Photo {
  tenant_id: string;
  account_id: string;
  content_type: PhotoType;
  sha256: string;
  content: Uint8Array;
  size: number;
  width: number;
  height: number;
  updated_at: Date;
}

export interface RemovedAccount {
  tenant_id: string;
  account_id: string;
  entra_object_id: string | null;
  reason: AccountRemovalReason;
  removed_at: Date;
  purge_at: Date;
  display_name: string | null;
}

export interface RemovedGroup {
  tenant_id: string;
  group_id: string;
  entra_object_id: string;
  reason: GroupRemovalReason;
  removed_at: Date;
  purge_at: Date;
  display_name: string | null;
}

export interface SetAside {
  tenant_id: string;
  stream: Stream;
  entra_object_id: string;
  reason: string;
  first_seen_at: Date;
  last_seen_at: Date;
}

export interface Slot {
  tenant_id: string | null;
  slot: string;
  winners: number;
  title: string | null;
}

export interface Tenant {
  tenant_id: string;
  name: string;
  external_ref: string | null;
  status: TenantStatus;
  paused: boolean;
  provisional: boolean;
  source_of_truth: SourceOfTruth;
  held_removals: number;
  set_aside: number;
  last_success_at: Date | null;
  next_cycle_at: Date | null;
  last_error_code: string | null;
  last_error_message: string | null;
  notice: string | null;
  time_zone: string;
  help: { text: string; url?: string } | null;
  portal: { people: boolean; managers: boolean; history: string };
  preview_images: string[];
}

export interface AccountThen {
  tenant_id: string;
  account_id: string;
  entra_object_id: string | null;
  state: State | null;
  enabled: boolean | null;
  user_principal_name: string | null;
  mail: string | null;
  profile: Record<string, unknown> | null;
  erased: boolean;
}

export interface AssignmentCandidate {
  rank: number | null;
  item: string;
  assignment_id: string;
  target: AssignmentTarget;
  via_group_id: string | null;
  priority: number;
  outcome: AssignmentOutcome;
  why: string;
}

export interface AssignmentPreview {
  account_id: string;
  before: Record<string, string[]>;
  after: Record<string, string[]>;
}

export interface ChangeRow {
  change_id: string;
  tenant_id: string;
  at: Date;
  cycle_id: string | null;
  actor: string;
  kind: ChangeKind;
  account_id: string | null;
  group_id: string | null;
  member_group_id: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export interface FeedRow {
  position: string;
  change_id: string;
  tenant_id: string;
  at: Date;
  cycle_id: string | null;
  actor: string;
  kind: ChangeKind;
  account_id: string | null;
  group_id: string | null;
  member_group_id: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export interface FoundRow {
  kind: FoundKind;
  tenant_id: string;
  account_id: string | null;
  group_id: string | null;
  entra_object_id: string | null;
  display_name: string | null;
  user_principal_name: string | null;
  mail: string | null;
  state: FoundState;
  fit: Fit;
}

export interface HistoryRow {
  change_id: string;
  at: Date;
  actor: string;
  cycle_id: string | null;
  kind: ChangeKind;
  field: string | null;
  before: unknown;
  after: unknown;
}

export interface ManagedRow {
  account_id: string;
  display_name: string | null;
  mail: string | null;
  via: ManagedVia;
  sort_name: string;
}

export interface MembershipThen {
  tenant_id: string;
  group_id: string;
  member_kind: MemberKind;
  account_id: string | null;
  member_group_id: string | null;
}

export interface Explanation {
  field: string;
  value: unknown;
  origin: Origin;
  owner: Owner | null;
  editable_by: Role[];
  mapped_from: string | null;
  directory_value: unknown;
  user_value: unknown;
  since: Date;
  changed_by: string | null;
}

/** DETAIL of ES001, ES002, ES003, ES005, ES008, ES009 and ES010, parsed; more facts may come. */
export interface RefusalDetail {
  code: 'ES001' | 'ES002' | 'ES003' | 'ES005' | 'ES008' | 'ES009' | 'ES010';
  field?: string;
  owner?: Owner;
  fields?: string[];
  roles?: Role[];
  type?: 'text' | 'text[]' | 'number' | 'boolean' | 'any' | 'object' | 'time' | 'uuid';
  max_length?: number;
  max_items?: number;
  max_fields?: number;
  max_bytes?: number;
  options?: string[];
}

/** Every view by its name, as Kysely takes it. */
export interface Database {
  'directory.accounts': Account;
  'directory.assigned': Assigned;
  'directory.assignments': Assignment;
  'directory.audit': AuditLine;
  'directory.changes': Change;
  'directory.cycles': Cycle;
  'directory.effective_memberships': EffectiveMembership;
  'directory.fields': Field;
  'directory.groups': Group;
  'directory.held_removals': HeldRemoval;
  'directory.items': Item;
  'directory.managers': Manager;
  'directory.memberships': Membership;
  'directory.photos': Photo;
  'directory.removed_accounts': RemovedAccount;
  'directory.removed_groups': RemovedGroup;
  'directory.set_aside': SetAside;
  'directory.slots': Slot;
  'directory.tenants': Tenant;
}

/** Every function by its name: its arguments in order, and its rows or its value. */
export interface Functions {
  account_history: {
    args: [account_id: string, viewer_account_id?: string | null];
    returns: HistoryRow[];
  };
  accounts_after: {
    args: [tenant_id: string, after?: string | null, max?: number];
    returns: Account[];
  };
  accounts_at: {
    args: [tenant_id: string, at: Date, viewer_account_id?: string | null];
    returns: AccountThen[];
  };
  accounts_of_group: {
    args: [group_id: string, after?: string | null, max?: number];
    returns: Account[];
  };
  assign: {
    args: [
      tenant_id: string,
      slot: string,
      item: string,
      target: Record<string, unknown>,
      options: Record<string, unknown> | null,
      actor: string,
    ];
    returns: string[];
  };
  change_assignment: {
    args: [assignment_id: string, options: Record<string, unknown>, actor: string];
    returns: unknown;
  };
  create_account: {
    args: [tenant_id: string, profile: Record<string, unknown>, actor: string];
    returns: string;
  };
  drop_item: {
    args: [tenant_id: string | null, slot: string, item: string, actor: string];
    returns: unknown;
  };
  drop_slot: {
    args: [tenant_id: string | null, slot: string, actor: string];
    returns: unknown;
  };
  edit_account: {
    args: [account_id: string, patch: Record<string, unknown>, actor: string, actor_role: Role];
    returns: Record<string, unknown>;
  };
  edit_as: {
    args: [
      actor_account_id: string,
      account_id: string,
      patch: Record<string, unknown>,
      expected_updated_at?: Date | null,
    ];
    returns: Record<string, unknown>;
  };
  explain_account: {
    args: [account_id: string];
    returns: Explanation[];
  };
  explain_assignment: {
    args: [account_id: string, slot: string];
    returns: AssignmentCandidate[];
  };
  feed_position: {
    args: [];
    returns: string;
  };
  find: {
    args: [tenant_id: string, words: string, max?: number, with_removed?: boolean];
    returns: FoundRow[];
  };
  group_history: {
    args: [group_id: string];
    returns: HistoryRow[];
  };
  latest_changes: {
    args: [tenant_id: string | null, max?: number];
    returns: ChangeRow[];
  };
  managed: {
    args: [
      manager_account_id: string,
      words?: string | null,
      after_name?: string | null,
      after_account_id?: string | null,
      max?: number,
      order_by?: string,
      descending?: boolean,
    ];
    returns: ManagedRow[];
  };
  manages: {
    args: [manager_account_id: string, account_id: string];
    returns: string;
  };
  memberships_at: {
    args: [tenant_id: string, at: Date];
    returns: MembershipThen[];
  };
  move_assignments: {
    args: [from_group_id: string, to_group_id: string, actor: string];
    returns: number;
  };
  preview_assignment: {
    args: [
      tenant_id: string,
      slot: string,
      item: string,
      target: Record<string, unknown>,
      options: Record<string, unknown> | null,
    ];
    returns: AssignmentPreview[];
  };
  put_item: {
    args: [
      tenant_id: string | null,
      slot: string,
      item: string,
      title: string | null,
      html: string | null,
      actor: string,
    ];
    returns: unknown;
  };
  put_slot: {
    args: [tenant_id: string | null, slot: string, winners: number, title: string | null, actor: string];
    returns: unknown;
  };
  read_changes: {
    args: [after: string | null, max?: number];
    returns: FeedRow[];
  };
  remove_account: {
    args: [account_id: string, actor: string, actor_role: Role];
    returns: unknown;
  };
  request_cycle: {
    args: [tenant_id: string, account_id: string | null, actor: string];
    returns: unknown;
  };
  restore_account: {
    args: [account_id: string, actor: string, actor_role: Role];
    returns: Record<string, unknown>;
  };
  revert_account: {
    args: [account_id: string, fields: string[] | null, actor: string, actor_role: Role];
    returns: Record<string, unknown>;
  };
  revert_as: {
    args: [actor_account_id: string, account_id: string, fields: string[] | null, expected_updated_at?: Date | null];
    returns: Record<string, unknown>;
  };
  unassign: {
    args: [assignment_id: string, actor: string];
    returns: unknown;
  };
  undo_account: {
    args: [account_id: string, change_id: string, actor: string, actor_role: Role, expected_updated_at?: Date | null];
    returns: Record<string, unknown>;
  };
  undo_edit: {
    args: [account_id: string, change_id: string, actor_account_id: string, expected_updated_at?: Date | null];
    returns: Record<string, unknown>;
  };
}
