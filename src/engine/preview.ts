// Makes or previews a settings change and counts its effects from stored data, without Graph.
import { isDeepStrictEqual } from 'node:util';
import { rootsOf } from '../rules/expressions.ts';
import { mapUser, selectedProperties, userKeys } from '../rules/mapping.ts';
import { type RuleChange, ruleChanges } from '../rules/ownership.ts';
import { outsideOf } from '../rules/scope.ts';
import type { Settings, SettingsDocument } from '../settings/settings.ts';
import { type PreviewedAccount, previewedAccounts, settingsLastRead } from '../store/accounts/preview.ts';
import { scopeGaps } from '../store/commit/group-scope.ts';
import type { Database, Transaction } from '../store/database/pool.ts';
import { applySettings, type SettingsChange, type TenantEffect } from '../store/settings/versions.ts';

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
  /** An earlier version that waits for its full round, whose effects are counted too. */
  readonly pendingVersion: number | null;
  /** While there is one, no account is removed for being outside the scope groups. */
  readonly missingGroups: readonly string[];
  /** Users outside may enter: only their ids are stored, so the full round finds them. */
  readonly mayEnter: boolean;
  /** Properties never read, with the fields that use them. Their values come with the full round. */
  readonly unread: Readonly<Record<string, readonly string[]>>;
};

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
  const last = await settingsLastRead(transaction, tenantId, defaults);
  const read = last?.settings ?? before;
  const fingerprint = last?.fingerprint ?? before.fingerprints.users;
  const missing = (
    groups.length > 0 ? await scopeGaps(transaction, { tenant: tenantId, scopeGroups: groups }) : []
  ).map((gap) => gap.id);
  const unread = unreadBy(read, after);
  const unknown = new Set(Object.values(unread).flat());
  const count = { profiles: 0, suspended: 0, resumed: 0, out_of_scope: 0, disabled: 0 };
  const fields = new Map<string, number>();
  for await (const page of previewedAccounts(transaction, { tenant: tenantId, batch, scopeGroups: groups })) {
    for (const account of page) {
      const outside = leaves(account, after, missing.length > 0);
      if (outside) {
        count[outside] += 1;
        continue;
      }
      const enabled = userKeys(account.source).enabled || after.disabledAccounts === 'ignore';
      if (enabled !== account.enabled) count[enabled ? 'resumed' : 'suspended'] += 1;
      const changed = changedFields(account, after).filter((field) => !unknown.has(field));
      if (changed.length > 0) count.profiles += 1;
      for (const field of changed) fields.set(field, (fields.get(field) ?? 0) + 1);
    }
  }
  const { profiles, suspended, resumed, ...leaving } = count;
  const scopeChanged = !isDeepStrictEqual(read.scope, after.scope) || read.disabledAccounts !== after.disabledAccounts;
  return {
    tenantId,
    fullRound: fingerprint !== after.fingerprints.users,
    pendingVersion: fingerprint === before.fingerprints.users ? null : before.version,
    shelved,
    unshelved,
    rules: ruleChanges(before, after),
    profiles,
    fields: Object.fromEntries([...fields].sort(([, one], [, other]) => other - one)),
    suspended,
    resumed,
    leaving,
    missingGroups: missing,
    mayEnter: scopeChanged,
    unread,
  };
}

function leaves(account: PreviewedAccount, after: Settings, held: boolean): 'out_of_scope' | 'disabled' | undefined {
  const outside = outsideOf(account.source, after.scope, after.disabledAccounts);
  if (outside) return outside.reason;
  return account.inside || held ? undefined : 'out_of_scope';
}

/** Returns the fields whose value in force changes; no value counts as null. */
function changedFields({ source, overrides, profile }: PreviewedAccount, after: Settings): string[] {
  const next: Record<string, unknown> = { ...mapUser(source, after.fields), ...overrides };
  return [...new Set([...Object.keys(profile), ...Object.keys(next)])].filter(
    (field) => !isDeepStrictEqual(valueIn(profile, field), valueIn(next, field)),
  );
}

function valueIn(values: Readonly<Record<string, unknown>>, field: string): unknown {
  return Object.hasOwn(values, field) ? (values[field] ?? null) : null;
}

function unreadBy(last: Settings, after: Settings): Record<string, string[]> {
  const read = new Set(selectedProperties(last.fields));
  const unread = new Map<string, string[]>();
  for (const { field, from } of after.fields) {
    for (const property of from ? rootsOf(from) : []) {
      if (!read.has(property)) unread.set(property, [...(unread.get(property) ?? []), field]);
    }
  }
  return Object.fromEntries(unread);
}
