// The forms of the settings page: owner and editors of fields, the scope, roles by groups, and a settings file.
import { stringify } from 'yaml';
import { owners } from '../../rules/ownership.ts';
import { belowStored } from '../../settings/fields.ts';
import { roleSettings } from '../../settings/schema.ts';
import { loadDefaults, mergeDocuments, type SettingsDocument } from '../../settings/settings.ts';
import type { ShownField } from '../../store/console/settings.ts';
import type { StoredVersion } from '../../store/settings/versions.ts';
import { type Html, html, nothing, postForm } from '../html.ts';
import type { SentForm, View } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import { typedText } from '../typed.ts';
import { byLabel, type FieldLabels, named } from './field-labels.ts';
import { fieldLine, formNamed, lookButtons } from './form-parts.ts';

/** The settings that the forms show: those in force, the tenant's own among them, and the newest version. */
export type InForce = {
  readonly labels: FieldLabels;
  readonly merged: SettingsDocument;
  readonly own: SettingsDocument;
  readonly version: number;
  readonly fields: readonly ShownField[];
};

/** Returns stored settings merged over this release's defaults. */
export function mergedOf(stored: readonly StoredVersion[]): SettingsDocument {
  const layers = stored.map((one) => one.document);
  return layers.reduce(mergeDocuments, belowStored(loadDefaults(), layers));
}

export type FormName = 'fields' | 'scope' | 'portal' | 'roles' | 'file';

/** The choices of who may edit a field, as a select has them. */
export const editors: Readonly<Record<string, string>> = {
  '': 'no role',
  user: 'the person',
  manager: 'the manager',
  'user manager': 'person and manager',
};

/** The longest text of a list that a form carries. A longer one is changed by the command line. */
const longestList = 20_000;

/** Returns the id of the heading of a form. */
export const headingOf = (name: FormName) => `settings-${name}`;

function settingsForm(
  view: View<unknown>,
  name: FormName,
  { version }: InForce,
  inputs: (form: SentForm | undefined) => Html,
) {
  const form = formNamed(view, name);
  return postForm(
    view,
    `/console/t/${view.params.tenant}/settings/${name}`,
    html`<input type="hidden" name="form" value="${name}"><input type="hidden" name="version" value="${version}">
${inputs(form)}
${lookButtons(form, 'Show what changes', headingOf(name))}`,
  );
}

const option = (value: string, label: string, chosen: string) =>
  html`<option value="${value}"${value === chosen ? html` selected` : nothing}>${label}</option>`;

/** Returns the table of fields, with owner and editors to choose where the viewer may. */
export function fieldsForm(view: View<unknown>, inForce: InForce): Html {
  const { merged, labels } = inForce;
  const fields = byLabel(inForce.fields, labels);
  if (fields.length === 0) return html`<p class="empty">The settings name no field.</p>`;
  if (!view.may('POST /console/t/:tenant/settings/fields')) return listTable('Fields', shownColumns(labels), fields);
  const hybrid = merged.sourceOfTruth === 'hybrid';
  return html`${hybrid ? nothing : html`<p class="lead">The source of truth is ${merged.sourceOfTruth ?? ''}: an owner chosen here counts once it is hybrid.</p>`}
${settingsForm(view, 'fields', inForce, (form) => listTable('Fields', editedColumns(inForce, form), fields))}`;
}

const shownColumns = (labels: FieldLabels): readonly Column<ShownField>[] => [
  { title: 'Field', head: true, cell: (one) => named(one.field, labels) },
  { title: 'From', cell: (one) => one.mapped_from ?? 'not in the directory' },
  { title: 'Owner', cell: (one) => one.owner },
  { title: 'May edit', cell: (one) => one.editable_by.join(', ') || 'no role' },
];

function editedColumns({ merged, labels }: InForce, form: SentForm | undefined): readonly Column<ShownField>[] {
  return [
    ...shownColumns(labels).slice(0, 2),
    {
      title: 'Owner',
      cell: ({ field }) => {
        const chosen = typedText(form, `owner.${field}`) ?? ownerOf(merged, field);
        return html`<select id="owner.${field}" name="owner.${field}" autocomplete="off" aria-label="Owner of ${field}">${owners.map((one) => option(one, one, chosen))}</select>`;
      },
    },
    {
      title: 'May edit',
      cell: ({ field }) => {
        const chosen = typedText(form, `editors.${field}`) ?? editorsOf(merged, field);
        return html`<select id="editors.${field}" name="editors.${field}" autocomplete="off" aria-label="May edit ${field}">${Object.entries(editors).map(([value, label]) => option(value, label, chosen))}</select>`;
      },
    },
  ];
}

/** Returns the owner of a field as the settings say it. */
export const ownerOf = ({ fields }: SettingsDocument, field: string): string => fields?.[field]?.owner ?? 'directory';

/** Returns the editors of a field as the settings say it, as the select has them. */
export function editorsOf({ fields }: SettingsDocument, field: string): string {
  const named: readonly string[] = fields?.[field]?.editableBy ?? [];
  return ['user', 'manager'].filter((role) => named.includes(role)).join(' ');
}

/** The lists of the scope that a form has, one entry a line. */
export const scopeLists = ['domains', 'groups', 'except'] as const;

/** Returns the scope as the form shows it, by the names of its inputs. */
export function scopeTexts({ scope = {} }: SettingsDocument): Readonly<Record<string, string>> {
  const { userType = 'any' } = scope;
  return {
    'scope.userType': typeof userType === 'string' ? userType : userType.toSorted().join(' '),
    'scope.external': scope.external ?? 'include',
    'scope.agents': scope.agents ?? 'exclude',
    'scope.where': scope.where === undefined || scope.where.length === 0 ? '' : stringify(scope.where).trimEnd(),
    ...Object.fromEntries(scopeLists.map((name) => [`scope.${name}`, (scope[name] ?? []).join('\n')])),
  };
}

const labels: Readonly<Record<string, { label: string; under: string }>> = {
  'scope.domains': {
    label: 'Domains',
    under: 'Of the mail address, else of the user principal name; one a line. Empty: any.',
  },
  'scope.groups': {
    label: 'Groups',
    under: 'Only their members, nested ones too. Name or object id, one a line. Empty: all people.',
  },
  'scope.except': { label: 'Never taken', under: 'Object ids of users, one a line.' },
  'scope.where': {
    label: 'Conditions',
    under: 'All have to hold. YAML, such as: - { property: department, in: [IT, Sales] }',
  },
};

/** Returns the form of the scope; nothing for a viewer who may not change it. */
export function scopeForm(view: View<unknown>, inForce: InForce): Html {
  if (!view.may('POST /console/t/:tenant/settings/scope')) return nothing;
  const stored = scopeTexts(inForce.merged);
  return html`<h2 id="${headingOf('scope')}">Who is taken</h2>${settingsForm(view, 'scope', inForce, (form) => {
    const value = (id: string) => typedText(form, id) ?? stored[id] ?? '';
    const select = (id: string, label: string, choices: Readonly<Record<string, string>>) =>
      fieldLine(
        form,
        { id, label },
        (more) =>
          html`<select id="${id}" name="${id}" autocomplete="off"${more}>${Object.entries(choices).map(([one, words]) => option(one, words, value(id)))}</select>`,
      );
    const include = { include: 'taken', exclude: 'left out' };
    return html`<div class="panel">
${select('scope.userType', 'User type', { any: 'any', Member: 'members', Guest: 'guests', 'Guest Member': 'members and guests' })}
${select('scope.external', 'People of other tenants', include)}
${select('scope.agents', 'Users of AI agents', include)}
${['scope.where', ...scopeLists.map((name) => `scope.${name}`)].map((id) => listArea(form, id, stored[id] ?? '', value(id)))}</div>`;
  })}`;
}

function listArea(form: SentForm | undefined, id: string, stored: string, value: string): Html {
  const { label = id, under = '' } = labels[id] ?? {};
  if (stored.length > longestList)
    return html`<div class="field"><b>${label}</b><span>Too long for a page: <code>entra-sync tenant set</code> changes it.</span></div>`;
  return fieldLine(
    form,
    { id, label, under: html`${under}` },
    (more) =>
      html`<textarea inputmode="text" id="${id}" name="${id}" rows="3" autocapitalize="none" spellcheck="false" autocomplete="off"${more}>
${value}</textarea>`,
  );
}

/** Returns the form of the portal's settings; nothing for a viewer who may not change them. */
export function portalForm(view: View<unknown>, inForce: InForce): Html {
  const { portal } = inForce.merged;
  if (portal === undefined || !view.may('POST /console/t/:tenant/settings/portal')) return nothing;
  return html`<h2 id="${headingOf('portal')}">Portal</h2>${settingsForm(
    view,
    'portal',
    inForce,
    (form) =>
      html`<div class="panel">${fieldLine(
        form,
        { id: 'portal', label: 'Portal', under: html`YAML, as under portal in a settings file.` },
        (more) =>
          html`<textarea inputmode="text" id="portal" name="portal" rows="5" autocapitalize="none" spellcheck="false" autocomplete="off"${more}>
${typedText(form, 'portal') ?? stringify(portal).trimEnd()}</textarea>`,
      )}</div>`,
  )}`;
}

const roleWords = {
  admins: ['Administrators', 'Their members act in the tenant.'],
  readers: ['Readers', 'Their members look at it.'],
  publishers: ['Publishers', 'Their members assign, and see nothing else.'],
} as const;

/** Returns the form of the groups that give a role; nothing for a viewer who may not change it. */
export function rolesForm(view: View<unknown>, inForce: InForce): Html {
  if (!view.may('POST /console/t/:tenant/settings/roles')) return nothing;
  return html`<h2 id="${headingOf('roles')}">Roles by groups</h2>${settingsForm(
    view,
    'roles',
    inForce,
    (form) =>
      html`<div class="panel">${roleSettings.map((name) => {
        const [label, words] = roleWords[name];
        const stored = (inForce.merged[name]?.groups ?? []).join('\n');
        return fieldLine(
          form,
          { id: name, label, under: html`${words} Name or object id of a group, one a line.` },
          (more) =>
            html`<textarea inputmode="text" id="${name}" name="${name}" rows="2" autocapitalize="none" spellcheck="false" autocomplete="off"${more}>
${typedText(form, name) ?? stored}</textarea>`,
        );
      })}</div>`,
  )}`;
}

/** Returns the form of a settings file; nothing for a viewer who may not send one. */
export function fileForm(view: View<unknown>, inForce: InForce): Html {
  if (!view.may('POST /console/t/:tenant/settings/file')) return nothing;
  const isEmpty = Object.keys(inForce.own).length === 0;
  return html`<h2 id="${headingOf('file')}">A settings file</h2>
<p class="lead">As <code>entra-sync tenant set</code> takes it: only the keys that change.</p>
${isEmpty ? nothing : html`<details class="panel"><summary>The tenant's own settings today</summary><pre tabindex="0">${stringify(inForce.own)}</pre></details>`}
${settingsForm(view, 'file', inForce, (form) => {
  const reset = typedText(form, 'reset') === 'yes' ? html` checked` : nothing;
  return html`<div class="panel">${fieldLine(
    form,
    { id: 'file', label: 'YAML' },
    (more) =>
      html`<textarea inputmode="text" id="file" name="file" rows="8" autocapitalize="none" spellcheck="false" autocomplete="off"${more}>
${typedText(form, 'file') ?? ''}</textarea>`,
  )}
${
  isEmpty
    ? nothing
    : fieldLine(
        form,
        {
          id: 'reset',
          label: 'Drop its own',
          under: html`Ticked, the installation's settings apply again, and the text is not read.`,
        },
        (more) => html`<input type="checkbox" id="reset" name="reset" value="yes"${reset}${more}>`,
      )
}</div>`;
})}`;
}
