// A change of settings: who changes and who leaves, counted from what is stored, then done as it was shown.
import { createHash } from 'node:crypto';
import { ExpectedError } from '../../errors.ts';
import { count, people, plural } from '../../rules/numbers.ts';
import { loadDefaults } from '../../settings/settings.ts';
import type { Database } from '../../store/database/pool.ts';
import { checkGiven } from '../../store/preview/given.ts';
import { changeSettings, type Leaver, type TenantPreview } from '../../store/preview/settings.ts';
import { type SettingsChange, SettingsChanged, settingsVersion } from '../../store/settings/versions.ts';
import { describeHeld, describePhotos, describeRules, whenItActs } from '../../words/settings-outcome.ts';
import { type Html, html, nothing } from '../html.ts';
import type { Done, Problem } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import { settingsSince } from './settings-since.ts';

export type Wanted = {
  readonly tenantId: string;
  readonly actor: string;
  /** The document as given; null drops the tenant's own settings. */
  readonly written: unknown;
  /** `look`: show what it would do. `apply`: do what was shown; `seen` tells what that was. */
  readonly act: 'look' | 'apply';
  readonly seen: string | undefined;
  /** The newest version when the page was loaded. */
  readonly version: number;
  /** Returns the field of the form that a problem of the settings is about. */
  readonly fieldOf: (problem: string) => string | undefined;
};

/** Shows or does a change of a tenant's settings: the dry run and the change of `tenant set`. */
export async function settle(database: Database, wanted: Wanted): Promise<Done> {
  const { tenantId, actor, written, act, seen, version } = wanted;
  const defaults = loadDefaults();
  try {
    // A second press must not be told that nothing differs.
    if ((await settingsVersion(database, tenantId)) !== version) throw new SettingsChanged();
    const { document, isSame } = await checkGiven(database, defaults, { tenantId, written, name: 'what you typed' });
    if (isSame) return { problems: [{ message: 'Nothing of this differs from what is in force.' }] };
    const meant = createHash('sha256').update(JSON.stringify(document)).digest('base64url').slice(0, 22);
    const change: SettingsChange = { tenantId, document, actor, seen: version };
    if (act === 'look' || seen !== `${version}.${meant}`) {
      const { tenants } = await changeSettings(database, defaults, change, { dryRun: true });
      const shown = outcomeOf(tenants[0], `${version}.${meant}`);
      const message = 'You have changed the form since. Look at what it does now, then press again.';
      return act === 'look' ? { preview: shown } : { problems: [{ message }], shown };
    }
    const done = await changeSettings(database, defaults, change, { dryRun: false });
    const detail = { version: done.version, settings: Object.keys(document ?? {}) };
    return { to: `/console/t/${tenantId}/settings`, audited: { detail } };
  } catch (error) {
    if (error instanceof SettingsChanged) {
      const now = await settingsVersion(database, tenantId);
      const message = `The settings have changed since this page was loaded: version ${now} is in force. Look again, then decide.`;
      return { problems: [{ message }], conflict: true, shown: await settingsSince(database, tenantId, version) };
    }
    if (!(error instanceof ExpectedError) || error.code !== 'settings_invalid') throw error;
    return { problems: problemsOf(error, wanted.fieldOf) };
  }
}

function problemsOf(error: ExpectedError, fieldOf: Wanted['fieldOf']): Problem[] {
  const lines = error.list.length > 0 ? error.list : [`${error.message}${error.cure ? `: ${error.cure}` : ''}`];
  return lines.map((message) => {
    const field = fieldOf(message);
    return { ...(field !== undefined && { field }), message: `${message}.` };
  });
}

const shownNames = 20;

function outcomeOf(tenant: TenantPreview | undefined, seen: string): Html {
  return html`<div class="panel need" id="preview" tabindex="-1" autofocus role="group" aria-label="What it would do">
${tenant ? html`<ul>${linesOf(tenant).map((line) => html`<li>${line}</li>`)}</ul>${tables(tenant)}<p class="lead">${whenItActs([tenant], true)}</p>` : html`<p>No person and no field changes by it.</p>`}
<input type="hidden" name="seen" value="${seen}">
<div class="acts"><button class="main" name="act" value="apply">Apply</button></div></div>`;
}

function linesOf(one: TenantPreview): string[] {
  const { groups } = one;
  const left = one.leaving.out_of_scope;
  return [
    one.profiles > 0
      ? `${plural(one.profiles, 'profile')} ${one.profiles === 1 ? 'changes' : 'change'}.`
      : 'No profile changes.',
    ...describeRules(one.rules).map((line) => `${line}.`),
    one.shelved > 0 &&
      `${plural(one.shelved, 'edit')} shelved: kept, and not in force while the directory owns the field.`,
    one.unshelved > 0 && `${plural(one.unshelved, 'edit')} back in force.`,
    left > 0 &&
      `${people(left)} ${left === 1 ? 'leaves' : 'leave'} the scope, ${count(one.staying)} ${one.staying === 1 ? 'stays' : 'stay'}.`,
    one.leaving.disabled > 0 && `${plural(one.leaving.disabled, 'disabled account')} removed.`,
    one.suspended > 0 && `${plural(one.suspended, 'account')} suspended.`,
    one.resumed > 0 && `${plural(one.resumed, 'account')} no longer suspended.`,
    one.unmatched.length > 0 &&
      `No stored user fits the pattern of ${one.unmatched.join(', ')}: check how it is written.`,
    one.missingGroups.length > 0 &&
      `Scope group ${one.missingGroups.join(', ')} is not among the synced groups: while one is missing, no account is removed for being outside the groups.`,
    one.mayEnter && 'Users who enter the scope are known after the full round: of users outside only ids are stored.',
    ...Object.entries(one.unread).map(
      ([property, users]) =>
        `${property} was never read: what it means for ${users.join(', ')} is known after the full round.`,
    ),
    groups !== undefined && groups.leaving > 0 && `${plural(groups.leaving, 'group')} no longer copied.`,
    groups !== undefined && groups.coming > 0 && `${plural(groups.coming, 'group')} copied again.`,
    ...describeHeld(one).map((line) => `${line.charAt(0).toUpperCase()}${line.slice(1)}.`),
    ...describePhotos(one.photos).map((line) => `${line}.`),
    one.pendingVersion !== null &&
      `No cycle has applied version ${one.pendingVersion} yet: the numbers include both versions.`,
  ].filter((line) => line !== false);
}

const countColumns = (title: string): readonly Column<readonly [string, number]>[] => [
  { title, head: true, cell: ([name]) => name },
  { title: 'Accounts', number: true, cell: ([, number]) => count(number) },
];

const leaverColumns: readonly Column<Pick<Leaver, 'display_name' | 'why'>>[] = [
  { title: 'Leaves', head: true, cell: (one) => one.display_name ?? 'without a name' },
  { title: 'Because', cell: (one) => one.why },
];

function tables(one: TenantPreview): Html {
  const fields = Object.entries(one.fields).slice(0, shownNames);
  const conditions = Object.entries(one.conditions);
  const groups = one.groups?.leavers ?? [];
  const more = one.leaving.out_of_scope - Math.min(shownNames, one.leavers.length);
  return html`${fields.length > 0 ? listTable('Fields that change', countColumns('Field'), fields) : nothing}
${conditions.length > 1 ? listTable('Conditions', countColumns('Condition'), conditions) : nothing}
${one.leavers.length > 0 ? listTable('People who leave', leaverColumns, one.leavers.slice(0, shownNames)) : nothing}
${one.leavers.length > 0 && more > 0 ? html`<p class="lead">The first ${shownNames}; and ${people(more)} more.</p>` : nothing}
${groups.length > 0 ? listTable('Groups that are no longer copied', leaverColumns, groups.slice(0, shownNames)) : nothing}`;
}
