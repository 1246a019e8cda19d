// Each key of the settings as a label, and its value in words. A test holds the table to the settings.
import { plural } from '../rules/numbers.ts';
import { durationMs } from '../settings/durations.ts';

type Say = (value: unknown, labels: ReadonlyMap<string, string>) => string;

const asWritten = (value: unknown): string =>
  typeof value === 'string' ? value : value === null || value === undefined ? 'none' : JSON.stringify(value);

/** Returns how a choice is said. A choice of a later release is shown as it is written. */
const choice =
  (words: Readonly<Record<string, string>>): Say =>
  (value) =>
    words[String(value)] ?? asWritten(value);

const yesNo = (yes: string, no: string): Say => choice({ true: yes, false: no });

const list =
  (none: string): Say =>
  (value) =>
    Array.isArray(value) ? value.map(String).join(', ') || none : choice({ any: none, all: none })(value, new Map());

const number =
  (word: string, none: string): Say =>
  (value) =>
    Array.isArray(value) && value.length > 0 ? plural(value.length, word) : none;

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const;

const time: Say = (value) => {
  const ms = durationMs(String(value));
  if (ms === undefined) return asWritten(value);
  const seconds = ms / 1_000;
  // The largest unit that says it whole: 36 hours are no 2 days.
  const [unit, size] = units.find(([, one]) => seconds > 0 && seconds % one === 0) ?? ['day', 86_400];
  return plural(seconds / size, unit);
};

const editors: Say = (value) =>
  ({ '': 'no role', user: 'the person', manager: 'the manager', 'manager user': 'the person and the manager' })[
    Array.isArray(value) ? value.toSorted().join(' ') : '?'
  ] ?? asWritten(value);

const plain: Say = (value) => asWritten(value);
const words: Say = (value) =>
  typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([language, text]) => `${text} (${language})`)
        .join(', ') || 'none'
    : 'none';

const roleGroups: Say = number('group', 'by no group');

const table: Readonly<Record<string, readonly [label: string, say: Say]>> = {
  interval: ['Time between syncs', time],
  sourceOfTruth: [
    'Owner of the profile',
    choice({ directory: 'the directory', user: 'the user', hybrid: 'the directory or the user, field by field' }),
  ],
  'manual.editable': [
    'Editable fields of manual accounts',
    (value, labels) =>
      Array.isArray(value)
        ? list('none')(
            value.map((one) => labels.get(String(one)) ?? one),
            labels,
          )
        : asWritten(value),
  ],
  'manual.editableBy': ['Editors of manual accounts', editors],
  'scope.userType': ['Taken user types', list('any')],
  'scope.accountEnabled': [
    'Taken users',
    choice({ any: 'enabled and disabled', true: 'enabled alone', false: 'disabled alone' }),
  ],
  'scope.external': ['Users of other tenants', choice({ include: 'taken', exclude: 'left out' })],
  'scope.agents': ['Users of AI agents', choice({ include: 'taken', exclude: 'left out' })],
  'scope.domains': ['Taken domains', list('any')],
  'scope.where': ['Conditions of the scope', number('condition', 'none')],
  'scope.except': ['Users that are never taken', number('user', 'none')],
  'scope.groups': ['Groups whose members are taken', number('group', 'all users are taken')],
  managers: ['Managers of users', yesNo('kept', 'not kept')],
  managedBy: ['Groups that manage people', number('rule', 'none')],
  'groups.only': ['Copied groups', list('all')],
  'groups.except': ['Groups that are not copied', list('none')],
  disabledAccounts: [
    'Accounts of disabled users',
    choice({ suspend: 'stay, suspended', remove: 'are removed', ignore: 'stay enabled' }),
  ],
  match: ['Keys that recognise manual accounts', list('none')],
  'removals.max': ['Removals in one round', (value) => `${plural(Number(value), 'account')} at most`],
  'removals.percent': ['Share of accounts removed in one round', (value) => `${value} % at most`],
  'removals.floor': ['Accounts from which these limits count', plain],
  'removals.decide': [
    'Decision about held removals',
    choice({ either: 'the customer or the vendor', customer: 'the customer', vendor: 'the vendor' }),
  ],
  firstLoad: ['First load', choice({ quick: 'a quick listing, then delta', delta: 'by delta alone' })],
  retention: ['Removed accounts are kept', time],
  'changes.retention': ['Change rows are kept', time],
  'cycles.retention': ['Rows of cycles are kept', time],
  fullEvery: ['Time between full rounds', time],
  'photos.read': ['Photos', yesNo('read', 'not read')],
  'photos.size': ['Size of photos', (value) => `${value} pixels`],
  'photos.refreshEvery': ['Time between reads of a photo', time],
  'portal.people': ['Own pages of people', yesNo('on', 'off')],
  'portal.managers': ['Pages of managers', yesNo('on', 'off')],
  'portal.history': [
    'History on own pages',
    (value, labels) => (durationMs(String(value)) === 0 ? 'none' : time(value, labels)),
  ],
  'notify.customer': ['Mail to contacts of the tenant', yesNo('sent', 'not sent')],
  timeZone: ['Time zone', plain],
  previewImages: ['Hosts of pictures in previews', list('none')],
  allowRoles: ['Further permissions that are allowed', list('none')],
  credential: [
    'Application that reads the tenant',
    (value) => (value === null || value === undefined ? "the vendor's" : 'its own'),
  ],
  'admins.groups': ['Administrators by groups', roleGroups],
  'readers.groups': ['Readers by groups', roleGroups],
  'publishers.groups': ['Publishers by groups', roleGroups],
  help: ['Help for people', (value) => (value === null ? 'none' : asWritten(value))],
  'help.text': ['Help for people', plain],
  'help.url': ['Address of the help', (value) => (value === undefined ? 'none' : asWritten(value))],
};

/** The keys below a field, with its label before them. */
const ofField: Readonly<Record<string, readonly [label: string, say: Say]>> = {
  from: ['made of', (value) => (value === undefined ? 'nothing of the directory' : asWritten(value))],
  owner: [
    'owner',
    (value) => choice({ directory: 'the directory', user: 'the user' })(value ?? 'directory', new Map()),
  ],
  editableBy: ['editors', (value, labels) => editors(value ?? ['manager', 'user'], labels)],
  max: ['longest edit', (value) => (typeof value === 'number' ? plural(value, 'character') : 'not limited')],
  pattern: ['pattern of edits', (value) => (typeof value === 'string' ? value : 'none')],
  label: ['label', words],
  help: ['help', words],
  kind: ['kind', (value) => (typeof value === 'string' ? value : 'text')],
  order: ['place', (value) => (typeof value === 'number' ? String(value) : 'last')],
  private: ['earlier values', (value) => (value === true ? 'for the person alone' : 'for all who see the field')],
  shown: ['on pages', (value) => (value === false ? 'not shown' : 'shown')],
};

const fieldKey = /^fields\.([^.]+)(?:\.([^.]+)(?:\.(.+))?)?$/;

/** Returns the label of a setting. A key of a later release is its own label. */
export function settingLabel(key: string, labels: ReadonlyMap<string, string>): string {
  const [, field, part, language] = fieldKey.exec(key) ?? [];
  if (field === undefined) return table[key]?.[0] ?? key;
  const name = labels.get(field) ?? field;
  if (part === undefined) return name;
  return `${name}: ${ofField[part]?.[0] ?? part}${language === undefined ? '' : ` (${language})`}`;
}

/** Returns the value of a setting in words. */
export function settingValue(key: string, value: unknown, labels: ReadonlyMap<string, string>): string {
  const [, field, part, language] = fieldKey.exec(key) ?? [];
  if (field === undefined) return (table[key]?.[1] ?? plain)(value ?? null, labels);
  if (part === undefined) return value ? `a field, made of ${ofField.from?.[1](fromOf(value), labels)}` : 'no field';
  if (language !== undefined) return typeof value === 'string' ? value : 'none';
  return (ofField[part]?.[1] ?? plain)(value, labels);
}

const fromOf = (field: unknown) =>
  typeof field === 'object' && field !== null && 'from' in field ? field.from : undefined;

/** Returns whether a key of the settings has words. */
export const hasWords = (key: string): boolean => {
  const [, , part] = fieldKey.exec(key) ?? [];
  return part === undefined ? Object.hasOwn(table, key) : Object.hasOwn(ofField, part);
};
