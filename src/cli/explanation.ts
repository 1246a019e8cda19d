// An account in words for support: identity, the reason for each value, freshness.

import { conditionName } from '../rules/scope.ts';
import { commandWord } from '../rules/shell.ts';
import type { ExplainedField } from '../store/accounts/accounts.ts';
import type { Absence, FoundAccount } from '../store/accounts/explain.ts';
import type { GroupOfAccount } from '../store/accounts/groups-of.ts';
import type { AccountThen } from '../store/accounts/history.ts';
import type { AccountPhoto } from '../store/photos/state.ts';
import type { TenantRow } from '../store/tenants/tenants.ts';
import { describeAccountPhoto } from '../words/photos.ts';
import { removalText } from '../words/removals.ts';
import { cut, nameWithId, when } from './format.ts';
import { table } from './layout.ts';
import { toSecond } from './times.ts';

type Lines = [string, string][];

/** Returns the account's identity and state as names and values. */
export function accountLines(
  account: FoundAccount,
  more: {
    readonly setAside: Absence | undefined;
    readonly outside: string | undefined;
    readonly photo: AccountPhoto | undefined;
  },
): Lines {
  const { setAside, outside } = more;
  const photo = more.photo && describeAccountPhoto(more.photo);
  const lines: Lines = [
    ['name', cut(account.display_name ?? '')],
    ['user principal name', cut(account.user_principal_name ?? '')],
    ['mail', cut(account.mail ?? '')],
    ['tenant', nameWithId(cut(account.tenant_name), account.tenant_id)],
    ['object in Entra ID', account.entra_object_id ?? 'none: made by hand'],
    ['state', stateText(account)],
  ];
  if (photo !== undefined) lines.push(['photo', photo]);
  if (account.held_list !== null) lines.push(['held', heldText(account)]);
  if (outside !== undefined) lines.push(['outside the scope', outside]);
  if (setAside) lines.push(['set aside', `${absenceText(setAside)}. The values shown are the last valid ones`]);
  return lines;
}

function heldText({ held_list, held_reason, held_since, tenant_name }: FoundAccount): string {
  const what = held_reason === 'suspended' ? 'suspension' : 'removal';
  return `the ${what} waits for a person, held ${when(held_since)} in list ${held_list}: ${removalText(held_reason ?? '')} -> entra-sync removals list ${commandWord(tenant_name)}`;
}

function stateText(account: FoundAccount): string {
  if (account.removed_at !== null) {
    const by = account.removed_by === null ? '' : ` by ${cut(account.removed_by)}`;
    const reason = account.removed_reason ?? '';
    return `removed ${when(account.removed_at)}${by}: ${removalText(reason)}; purged ${when(account.purge_at)}, with all its values`;
  }
  if (account.state === 'manual') return 'manual: kept by people';
  return account.enabled
    ? 'managed: kept by the directory'
    : 'managed: kept by the directory, suspended: disabled in Entra ID';
}

/** Returns why there is no account, or no current one, in a sentence. */
export function absenceText({ why, reason, since, last_seen_at, condition }: Absence): string {
  switch (why) {
    case 'set_aside':
      return `set aside ${when(since)}, last seen ${when(last_seen_at)}: ${reason}`;
    case 'out_of_scope':
      return `outside the scope of the settings by ${condition === null ? 'its properties' : conditionName(condition)}: only the id is kept`;
    case 'deleted':
      return 'soft-deleted in Entra ID, with no account here; an account is created when it is restored there';
    case 'erased':
      return `erased ${when(since)} on the person's request: no cycle makes an account of this user`;
    case 'purged':
      return `purged ${when(since)}: the account was removed and its retention ended; a user who comes back gets a new account`;
  }
}

/** Returns a table of the fields: value, origin, editors, hidden value. */
export function fieldTable(account: FoundAccount, fields: readonly ExplainedField[]): string {
  return table(
    [
      { title: 'field' },
      { title: 'value' },
      { title: 'from' },
      { title: 'who may edit' },
      { title: 'mapped from' },
      { title: 'not in force' },
    ],
    fields.map((field) => [
      field.field,
      valueText(field.value),
      originText(account, field),
      editorsText(account, field),
      field.mapped_from ?? (field.owner === null ? 'no longer in the settings' : 'not in Entra ID'),
      hiddenText(account, field),
    ]),
  );
}

function originText(account: FoundAccount, { field, value, origin, changed_by, since }: ExplainedField): string {
  if (origin === 'user') return `${value === null ? 'cleared' : 'edited'} by ${cut(changed_by ?? '')}, ${when(since)}`;
  return Object.hasOwn(account.shelf, field) ? `${origin}, an edit is shelved` : origin;
}

function editorsText(account: FoundAccount, { owner, editable_by, mapped_from }: ExplainedField): string {
  if (editable_by.length > 0) return editable_by.join(', ');
  // The directory owns this field without having it. Another sourceOfTruth would let users edit it.
  if (account.state === 'managed' && mapped_from === null) return 'no role, see sourceOfTruth';
  return account.state === 'managed' && owner === 'directory' ? 'only in Entra ID' : 'no role';
}

function hiddenText(account: FoundAccount, field: ExplainedField): string {
  if (field.origin === 'user') return field.mapped_from === null ? '' : `directory: ${shown(field.directory_value)}`;
  if (!Object.hasOwn(account.shelf, field.field)) return '';
  const edit = Object.hasOwn(account.edits, field.field) ? account.edits[field.field] : undefined;
  return `shelved: ${shown(account.shelf[field.field])}${edit ? `, by ${cut(edit.by)}, ${when(new Date(edit.at))}` : ''}`;
}

function shown(value: unknown): string {
  return value === null || value === undefined ? 'none' : valueText(value);
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return cut(value);
  return cut(
    Array.isArray(value) && value.every((one) => typeof one === 'string') ? value.join(', ') : JSON.stringify(value),
  );
}

/** Returns the groups of an account, and how it is in each. */
export function groupLines(groups: readonly GroupOfAccount[]): Lines {
  return groups.map(({ group_id, display_name, is_direct, held_list }) => [
    cut(display_name ?? group_id),
    held_list === null
      ? is_direct
        ? 'direct'
        : 'through nested groups'
      : `direct, its end waits for a person in list ${held_list}`,
  ]);
}

/** Returns how fresh the tenant's data is, as names and values. */
export function freshnessLines(tenant: TenantRow): Lines {
  const lines: Lines = [
    ['tenant', `${cut(tenant.name)}, ${tenant.status}${tenant.paused ? ', paused' : ''}`],
    ['last success', when(tenant.last_success_at)],
    ['next cycle', nextCycle(tenant)],
  ];
  if (tenant.last_error_message !== null) lines.push(['last error', tenant.last_error_message]);
  return lines;
}

function nextCycle({ status, paused, next_cycle_at }: TenantRow): string {
  if (status === 'disconnected') return 'none: the tenant is disconnected';
  if (paused) return 'none: the tenant is paused';
  return next_cycle_at ? `due ${when(next_cycle_at)}` : 'due at once';
}

/** Returns the account as it was at a time, or that it was not there. */
export function thenText(
  account: Pick<FoundAccount, 'account_id' | 'display_name'>,
  then: AccountThen | undefined,
  time: string,
): string {
  const at = toSecond(time);
  const name = cut(account.display_name ?? account.account_id);
  if (!then) return `${name} had no live account at ${at} -> entra-sync history ${account.account_id}`;
  if (then.erased) return `${name} was live at ${at}; it was purged since, with its values`;
  const lines: Lines = [
    ['state', then.enabled ? (then.state ?? '') : `${then.state}, suspended`],
    ['user principal name', cut(then.user_principal_name ?? '')],
    ['mail', cut(then.mail ?? '')],
    ...byName(then.profile ?? {}).map(([field, value]): [string, string] => [field, valueText(value)]),
  ];
  return table([{ title: name }, { title: `at ${at}` }], lines);
}

// Postgres keeps the names of a JSON object by their length.
function byName(profile: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(profile).sort(([one], [other]) => one.localeCompare(other, 'en'));
}
