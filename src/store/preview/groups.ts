// Which groups a settings change leaves out, from the stored names; part of the preview of a tenant.
import { choosesGroups, globsWithoutGroup, isGroupId, type LeftOut, leftOutOf } from '../../rules/copied-groups.ts';
import { copiesFewer } from '../../settings/narrowing.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import { previewedGroups, settingsLastRead } from '../accounts/preview.ts';
import { guardedGroups } from '../commit/groups.ts';
import { type ForeseenVerdict, foreseeRemovals } from '../commit/guard.ts';
import type { Transaction } from '../database/pool.ts';
import type { TenantEffect } from '../settings/versions.ts';

/** The effects on the groups of one tenant. */
export type GroupsPreview = {
  /** How many groups are copied and stay so, and how many are copied now and will not be. */
  readonly staying: number;
  readonly leaving: number;
  /** The guard's verdict on the groups that leave, by the limits of the new settings (rule 10). */
  readonly guard: ForeseenVerdict;
  /** The first thousand groups that leave, each with the setting that leaves it out. */
  readonly leavers: readonly LeavingGroup[];
  /** Groups that are not copied now, and that the settings name by object id. */
  readonly coming: number;
  /** How many more groups may come. Their names are not kept, so the full round finds those that do. */
  readonly unknown: number;
  /** Globs that no stored name fits: most likely a typing error. */
  readonly unmatched: readonly string[];
};

/** A group that is no longer copied. */
export type LeavingGroup = {
  readonly group_id: string;
  readonly display_name: string | null;
  readonly why: string;
};

const shownLeavers = 1_000;

/** Returns the setting that leaves a group out, in words. */
export function describeLeftOut({ setting, entry }: LeftOut): string {
  return entry === null ? `${setting}: no entry takes it` : `${setting}: ${JSON.stringify(entry)}`;
}

/** Judges the stored groups under the settings that the transaction has stored. */
export async function previewGroups(
  transaction: Transaction,
  { tenantId, before, after }: Pick<TenantEffect, 'tenantId' | 'before' | 'after'>,
  defaults: SettingsDocument,
): Promise<{ groups: GroupsPreview | undefined; fullRound: boolean; narrower: boolean }> {
  const last = await settingsLastRead(transaction, tenantId, defaults, 'groups');
  const read = last?.settings ?? before;
  const fingerprint = last?.fingerprint ?? before.fingerprints.groups;
  const narrows = copiesFewer(read, after) && read.fingerprints.groups === fingerprint;
  const isOther = fingerprint !== after.fingerprints.groups;
  const rounds = { fullRound: isOther && !narrows, narrower: isOther && narrows };
  if (![read, before, after].some(({ groups }) => choosesGroups(groups))) return { groups: undefined, ...rounds };
  const stored = await previewedGroups(transaction, tenantId);
  const copied = stored.filter((group) => group.copied);
  const leavers = copied.flatMap(({ group_id, entra_object_id: id, display_name }): LeavingGroup[] => {
    const out = leftOutOf(after.groups, id, display_name);
    return out ? [{ group_id, display_name, why: describeLeftOut(out) }] : [];
  });
  const leaving = new Set(leavers.map(({ group_id }) => group_id));
  const objects = copied.flatMap(({ group_id, entra_object_id: id }) =>
    leaving.has(group_id) ? [{ id, reason: 'not_copied' }] : [],
  );
  const removing = { tenant: tenantId, removals: after.removals, full: rounds.fullRound, objects };
  const others = stored.filter((group) => !group.copied);
  const named = others.filter(
    ({ entra_object_id: id }) => isNamed(after.groups.only, id) || isNamed(after.groups.always, id),
  );
  const coming = narrows ? [] : named.filter(({ entra_object_id: id }) => !isNamed(after.groups.except, id));
  return {
    groups: {
      staying: copied.length - leavers.length,
      leaving: leavers.length,
      guard: await foreseeRemovals(transaction, removing, guardedGroups),
      leavers: leavers.slice(0, shownLeavers),
      coming: coming.length,
      unknown: narrows ? 0 : others.length - coming.length,
      unmatched:
        copied.length > 0
          ? globsWithoutGroup(
              after.groups,
              copied.map(({ display_name }) => display_name),
            )
          : [],
    },
    ...rounds,
  };
}

const isNamed = (entries: readonly string[], id: string) => entries.some((entry) => isGroupId(entry) && entry === id);
