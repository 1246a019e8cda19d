// Makes or previews a settings change and counts its effects from stored data, without Graph.
import { isDeepStrictEqual } from 'node:util';
import { rootsOf } from '../../rules/expressions.ts';
import { managerProperty } from '../../rules/managers.ts';
import { mapFromManager, mapUser, selectedProperties, trackedProperties, userKeys } from '../../rules/mapping.ts';
import { type RuleChange, ruleChanges } from '../../rules/ownership.ts';
import {
  type Condition,
  conditionName,
  holds,
  type Outside,
  outsideOf,
  rootOfCondition,
  type Scope,
} from '../../rules/scope.ts';
import { narrowedTo } from '../../settings/narrowing.ts';
import type { Settings, SettingsDocument } from '../../settings/settings.ts';
import { type PreviewedAccount, previewedAccounts, settingsLastRead } from '../accounts/preview.ts';
import { scopeGaps } from '../commit/group-scope.ts';
import { type ForeseenVerdict, foreseeRemovals } from '../commit/guard.ts';
import { guardedAccounts } from '../commit/users.ts';
import type { Database, Transaction } from '../database/pool.ts';
import { countPhotos } from '../photos/state.ts';
import { applySettings, type SettingsChange, type TenantEffect } from '../settings/versions.ts';
import { type GroupsPreview, previewGroups } from './groups.ts';

/** The effects on one tenant; counts are of live managed accounts. */
export type TenantPreview = {
  readonly tenantId: string;
  /** Mapping, properties or scope change, with the commit of the full round that they cause. */
  readonly fullRound: boolean;
  /** Edits that are shelved, or back in force, at once. */
  readonly shelved: number;
  readonly unshelved: number;
  /** Fields whose owner or editors change, at once. */
  readonly rules: readonly RuleChange[];
  /** Accounts whose profile changes, and per field. */
  readonly profiles: number;
  readonly fields: Readonly<Record<string, number>>;
  readonly suspended: number;
  readonly resumed: number;
  readonly leaving: { readonly out_of_scope: number; readonly disabled: number };
  /** Live managed accounts that do not leave. */
  readonly staying: number;
  /** The guard's verdict on the accounts that leave or are suspended, by the limits of the new settings (rule 10). */
  readonly guard: ForeseenVerdict;
  /** How many accounts leave by each condition, under its name in the settings. */
  readonly conditions: Readonly<Record<string, number>>;
  /** The first thousand accounts that leave, each with the condition and the value that failed it. */
  readonly leavers: readonly Leaver[];
  /** Conditions of `scope.where` with a glob that no stored user fits: most likely a typing error. */
  readonly unmatched: readonly string[];
  /** An earlier version that waits for its full round, whose effects are counted too. */
  readonly pendingVersion: number | null;
  /** While there is one, no account is removed for being outside the scope groups. */
  readonly missingGroups: readonly string[];
  /** Users outside may enter: only their ids are stored, so the full round finds them. */
  readonly mayEnter: boolean;
  /** The scope takes fewer users, or fewer groups are copied: judged on the stored documents by the next commit, without a full round. */
  readonly narrower: boolean;
  /** Undefined where the settings choose no groups, before and after. */
  readonly groups: GroupsPreview | undefined;
  /** Photos that are deleted because `photos.read` becomes false. */
  readonly photos: number;
  /** Properties never read, with the fields that use them. Their values come with the full round. */
  readonly unread: Readonly<Record<string, readonly string[]>>;
};

/** An account that leaves the scope. */
export type Leaver = { readonly account_id: string; readonly display_name: string | null; readonly why: string };

const shownLeavers = 1_000;

export type SettingsOutcome = { readonly version: number; readonly tenants: readonly TenantPreview[] };

/**
 * Stores the next version of the settings, or previews it, and returns its effects per tenant. Throws
 * `settings_invalid` if a tenant's own settings do not fit.
 */
export async function changeSettings(
  database: Database,
  defaults: SettingsDocument,
  change: SettingsChange,
  options: { dryRun: boolean },
): Promise<SettingsOutcome> {
  const tenants: TenantPreview[] = [];
  const { version } = await applySettings(database, defaults, change, {
    dryRun: options.dryRun,
    look: async (transaction, { effects }) => {
      for (const effect of effects) tenants.push(await previewTenant(transaction, effect, defaults));
    },
  });
  return { version, tenants };
}

async function previewTenant(
  transaction: Transaction,
  effect: TenantEffect,
  defaults: SettingsDocument,
): Promise<TenantPreview> {
  const { tenantId, batch, before, after, shelved, unshelved } = effect;
  const { groups } = after.scope;
  const last = await settingsLastRead(transaction, tenantId, defaults, 'users');
  const ofGroups = await previewGroups(transaction, effect, defaults);
  const read = last?.settings ?? before;
  const fingerprint = last?.fingerprint ?? before.fingerprints.users;
  const missing = (
    groups.length > 0 ? await scopeGaps(transaction, { tenant: tenantId, scopeGroups: groups }) : []
  ).map((gap) => gap.id);
  const unread = unreadBy(read, after);
  const unknown = new Set(Object.values(unread).flat());
  const known = { ...after, scope: withoutUnread(read, after.scope) };
  const count = { profiles: 0, suspended: 0, resumed: 0, out_of_scope: 0, disabled: 0 };
  const fields = new Map<string, number>();
  const conditions = new Map<string, number>();
  const leavers: Leaver[] = [];
  const going: { id: string; reason: string }[] = [];
  const unmatched = new Set<Condition>(known.scope.where.filter((condition) => 'matches' in condition));
  let stored = 0;
  for await (const page of previewedAccounts(transaction, { tenant: tenantId, batch, scopeGroups: groups })) {
    for (const account of page) {
      stored += 1;
      for (const condition of unmatched) if (holds(condition, account.source)) unmatched.delete(condition);
      const outside = leaves(account, known, missing.length > 0);
      if (outside) {
        count[outside.reason] += 1;
        conditions.set(outside.name, (conditions.get(outside.name) ?? 0) + 1);
        const { account_id, display_name, entra_object_id: id } = account;
        if (id !== null) going.push({ id, reason: outside.reason });
        if (leavers.length < shownLeavers)
          leavers.push({ account_id, display_name, why: `${outside.name}: ${outside.why}` });
        continue;
      }
      const enabled = userKeys(account.source).enabled || after.disabledAccounts === 'ignore';
      if (enabled !== account.enabled) count[enabled ? 'resumed' : 'suspended'] += 1;
      if (!enabled && account.enabled && account.entra_object_id !== null)
        going.push({ id: account.entra_object_id, reason: 'suspended' });
      const changed = changedFields(account, after).filter((field) => !unknown.has(field));
      if (changed.length > 0) count.profiles += 1;
      for (const field of changed) fields.set(field, (fields.get(field) ?? 0) + 1);
    }
  }
  const { profiles, suspended, resumed, ...leaving } = count;
  const narrows = narrowedTo(read, after) !== undefined && read.fingerprints.users === fingerprint;
  const scopeChanged = !isDeepStrictEqual(read.scope, after.scope) || read.disabledAccounts !== after.disabledAccounts;
  const full = fingerprint !== after.fingerprints.users && !narrows;
  const removing = { tenant: tenantId, removals: after.removals, full, objects: going };
  return {
    tenantId,
    fullRound: full || ofGroups.fullRound,
    pendingVersion: fingerprint === before.fingerprints.users ? null : before.version,
    shelved,
    unshelved,
    rules: ruleChanges(before, after),
    profiles,
    fields: Object.fromEntries([...fields].sort(([, one], [, other]) => other - one)),
    suspended,
    resumed,
    leaving,
    staying: stored - leaving.out_of_scope - leaving.disabled,
    guard: await foreseeRemovals(transaction, removing, guardedAccounts),
    conditions: Object.fromEntries([...conditions].sort(([, one], [, other]) => other - one)),
    leavers,
    unmatched:
      stored > 0 ? after.scope.where.flatMap((one, at) => (unmatched.has(one) ? [`scope.where[${at}]`] : [])) : [],
    missingGroups: missing,
    mayEnter: scopeChanged && !narrows,
    narrower: (narrows && fingerprint !== after.fingerprints.users) || ofGroups.narrower,
    groups: ofGroups.groups,
    photos: before.photos.read && !after.photos.read ? await countPhotos(transaction, tenantId) : 0,
    unread,
  };
}

type Leaving = Pick<Outside, 'reason' | 'why'> & { readonly name: string };

function leaves(account: PreviewedAccount, after: Settings, held: boolean): Leaving | undefined {
  const outside = outsideOf(
    { id: account.entra_object_id ?? '', source: account.source },
    after.scope,
    after.disabledAccounts,
  );
  if (outside) return { ...outside, name: conditionName(outside.condition) };
  return account.inside || held
    ? undefined
    : { reason: 'out_of_scope', name: 'scope.groups', why: 'in none of the scope groups' };
}

/** Returns the fields whose value in force changes; no value counts as null. */
function changedFields({ source, manager, overrides, profile }: PreviewedAccount, after: Settings): string[] {
  const mapped = { ...mapUser(source, after.fields), ...mapFromManager(manager, after.fields) };
  const next: Record<string, unknown> = { ...mapped, ...overrides };
  return [...new Set([...Object.keys(profile), ...Object.keys(next)])].filter(
    (field) => !isDeepStrictEqual(valueIn(profile, field), valueIn(next, field)),
  );
}

function valueIn(values: Readonly<Record<string, unknown>>, field: string): unknown {
  return Object.hasOwn(values, field) ? (values[field] ?? null) : null;
}

// A condition on a property that was never read would leave out every user.
function withoutUnread(last: Settings, scope: Scope): Scope {
  const read = new Set(selectedProperties(last));
  const unknown: Condition = { property: '', exists: false };
  return { ...scope, where: scope.where.map((one) => (read.has(rootOfCondition(one)) ? one : unknown)) };
}

function unreadBy(last: Settings, after: Settings): Record<string, string[]> {
  const read = new Set(trackedProperties(last));
  const unread = new Map<string, string[]>();
  for (const { field, from } of after.fields) {
    const ofManager = from && 'manager' in from ? [managerProperty] : [];
    for (const property of from ? [...rootsOf(from), ...ofManager] : []) {
      if (!read.has(property)) unread.set(property, [...(unread.get(property) ?? []), field]);
    }
  }
  after.scope.where.forEach((condition, place) => {
    const property = rootOfCondition(condition);
    if (!read.has(property)) unread.set(property, [...(unread.get(property) ?? []), `scope.where[${place}]`]);
  });
  return Object.fromEntries(unread);
}
