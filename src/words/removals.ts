// Reasons of removals, and of removals that stay when others are taken back, in words.
import type { UndoSkip } from '../store/commit/undo-removals.ts';

const removals: Readonly<Record<string, string>> = {
  deleted_restorable: 'soft-deleted in Entra ID, where it can be restored for 30 days',
  deleted: 'permanently deleted in Entra ID',
  out_of_scope: 'outside the scope of the settings',
  disabled: 'disabled in Entra ID, and disabledAccounts in the settings says remove',
  not_seen: 'a full listing of Entra ID did not show it',
  by_hand: 'removed by hand',
  not_copied: 'not copied: groups.only or groups.except of the settings leaves it out',
  suspended: 'disabled in Entra ID',
  purged: 'purged since, with the reason',
};

/** Returns the reason of a removal, or of a held one, in words. */
export function removalText(reason: string): string {
  return removals[reason] ?? reason;
}

const skipped: Readonly<Record<UndoSkip, string>> = {
  purged: 'purged: nothing of it is kept',
  live: 'live again',
  not_copied: 'not copied by the settings, so no name is kept',
  removed_again: 'removed again since',
  ES008: 'another live account has its mail or user principal name (ES008)',
};

/** Returns in words why a removal is not taken back. */
export function skippedText(why: UndoSkip): string {
  return skipped[why];
}
