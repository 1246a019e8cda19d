// Edits by script: one line such as `hire 3` makes a few believable changes, chosen by the tenant's seeded random numbers.
import { addMember, deleteGroup, purgeGroup, removeMember, restoreGroup, updateGroup } from './group-edits.ts';
import { createKind, kinds } from './kinds.ts';
import { namedEdits, wordsOf } from './named-edits.ts';
import { departments } from './names.ts';
import { setPhoto } from './photos.ts';
import { isKnownProperty } from './properties.ts';
import { shuffled } from './random.ts';
import { type Entity, liveOf, type Stream, type Truth } from './truth.ts';
import { createUser, deleteUser, purgeUser, restoreUser, updateUser } from './user-edits.ts';

type Edit = (truth: Truth, count: number, property: string) => string[];

function some(truth: Truth, entities: readonly Entity[], count: number): string[] {
  return shuffled(truth.random, entities)
    .slice(0, count)
    .map((entity) => entity.id);
}

const softOf = ({ order }: Stream) => order.filter((entity) => entity.state === 'soft');
const assigned = (group: Entity) => group.properties.membershipRule === undefined;

function setEnabled(truth: Truth, count: number, enabled: boolean): string[] {
  const candidates = liveOf(truth.users).filter((user) => user.properties.accountEnabled !== enabled);
  const ids = some(truth, candidates, count);
  return each(ids, (id) => updateUser(truth, id, { accountEnabled: enabled }));
}

function join(truth: Truth, count: number): string[] {
  const [people, groups] = [liveOf(truth.users), liveOf(truth.groups).filter(assigned)];
  const done: string[] = [];
  // Bounded, since in a full tenant every user may be in every group.
  for (
    let attempt = 0;
    attempt < count * 20 && done.length < count && people.length * groups.length > 0;
    attempt += 1
  ) {
    const [person, group] = [truth.random.pick(people), truth.random.pick(groups)];
    if (!group.links.get(person.id)?.present) {
      addMember(truth, group.id, person.id);
      done.push(person.id);
    }
  }
  return done;
}

function leave(truth: Truth, count: number): string[] {
  const pairs = liveOf(truth.groups)
    .filter(assigned)
    .flatMap((group) => [...group.links].filter(([, link]) => link.present).map(([id]) => ({ group, id })));
  const chosen = shuffled(truth.random, pairs).slice(0, count);
  for (const { group, id } of chosen) {
    removeMember(truth, group.id, id);
  }
  return chosen.map(({ id }) => id);
}

function title(truth: Truth, count: number): string[] {
  const titles = Object.values(departments).flat();
  const ids = some(truth, liveOf(truth.users), count);
  for (const id of ids) {
    const now = truth.users.records.get(id)?.properties.jobTitle;
    updateUser(truth, id, { jobTitle: truth.random.pick(titles.filter((name) => name !== now)) });
  }
  return ids;
}

function manage(truth: Truth, count: number): string[] {
  const people = liveOf(truth.users);
  // Two of five edits clear the manager or make a loop of two.
  return each(some(truth, people, count), (id) => {
    const chosen = truth.random.pick(people);
    const isCleared = truth.random.chance(0.2) || chosen.id === id;
    updateUser(truth, id, { manager: isCleared ? null : chosen.id });
    if (!isCleared && truth.random.chance(0.2)) updateUser(truth, chosen.id, { manager: id });
  });
}

function photo(truth: Truth, count: number): string[] {
  return each(some(truth, liveOf(truth.users), count), (id) =>
    setPhoto(truth, id, truth.random.chance(0.2) ? null : 'another'),
  );
}

function clear(truth: Truth, count: number, property: string): string[] {
  if (!isKnownProperty('users', property) || property === 'userPrincipalName' || property === 'manager') {
    throw new Error(`'${property}' is not a property of users that can be cleared.`);
  }
  const filled = liveOf(truth.users).filter((user) => {
    const value = user.properties[property];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  });
  const ids = some(truth, filled, count);
  return each(ids, (id) => updateUser(truth, id, { [property]: null }));
}

function renameGroups(truth: Truth, count: number): string[] {
  const ids = some(truth, liveOf(truth.groups), count);
  for (const id of ids) {
    const group = truth.groups.records.get(id);
    const name = String(group?.properties.displayName ?? 'Group').replace(/ \(v\d+\)$/, '');
    updateGroup(truth, id, { displayName: `${name} (v${truth.now + 1})` });
  }
  return ids;
}

function each(ids: readonly string[], act: (id: string) => void): string[] {
  for (const id of ids) {
    act(id);
  }
  return [...ids];
}

function remove(truth: Truth, count: number): string[] {
  return each(some(truth, liveOf(truth.users), count), (id) => deleteUser(truth, id));
}

const edits: Readonly<Record<string, { says: string; act: Edit }>> = {
  hire: { says: 'hired', act: (truth, count) => Array.from({ length: count }, () => createUser(truth).id) },
  title: { says: 'gave a new job title to', act: title },
  clear: { says: 'cleared a property of', act: clear },
  delete: { says: 'deleted', act: remove },
  remove: { says: 'deleted', act: remove },
  restore: {
    says: 'restored',
    act: (truth, count) => each(some(truth, softOf(truth.users), count), (id) => restoreUser(truth, id)),
  },
  purge: {
    says: 'permanently deleted',
    act: (truth, count) => each(some(truth, softOf(truth.users), count), (id) => purgeUser(truth, id)),
  },
  disable: { says: 'disabled', act: (truth, count) => setEnabled(truth, count, false) },
  enable: { says: 'enabled', act: (truth, count) => setEnabled(truth, count, true) },
  'rename-group': { says: 'renamed', act: renameGroups },
  'remove-group': {
    says: 'deleted',
    act: (truth, count) => each(some(truth, liveOf(truth.groups), count), (id) => deleteGroup(truth, id)),
  },
  'restore-group': {
    says: 'restored',
    act: (truth, count) => each(some(truth, softOf(truth.groups), count), (id) => restoreGroup(truth, id)),
  },
  'purge-group': {
    says: 'permanently deleted',
    act: (truth, count) => each(some(truth, softOf(truth.groups), count), (id) => purgeGroup(truth, id)),
  },
  ...Object.fromEntries(
    kinds.map((kind) => [
      kind,
      {
        says: `added as ${kind}:`,
        act: (truth: Truth, count: number) => Array.from({ length: count }, () => createKind(truth, kind).id),
      },
    ]),
  ),
  manager: { says: 'gave another manager, or none, to', act: manage },
  photo: { says: 'gave another photo, or none, to', act: photo },
  join: { says: 'added to groups:', act: (truth, count) => join(truth, count) },
  leave: { says: 'removed from groups:', act: (truth, count) => leave(truth, count) },
};

const randomWords = [
  'hire',
  'title',
  'title',
  'clear',
  'delete',
  'restore',
  'purge',
  'disable',
  'enable',
  'rename-group',
  'join',
  'leave',
];
const clearable = ['mobilePhone', 'jobTitle', 'faxNumber', 'officeLocation', 'businessPhones'];

const unknownEdit = (word: string) => new Error(`Unknown edit '${word}'; the line help lists them all.`);

function act(truth: Truth, word: string, count: number, property: string): string {
  const edit = Object.hasOwn(edits, word) ? edits[word] : undefined;
  if (edit === undefined) throw unknownEdit(word);
  const ids = edit.act(truth, count, property);
  const what = word === 'clear' ? `cleared ${property} of` : edit.says;
  const thing = word.endsWith('-group') ? 'group' : 'user';
  const named = word === 'join' || word === 'leave' ? 'member' : thing;
  return `${what} ${ids.length} ${named}${ids.length === 1 ? '' : 's'}`;
}

/** Returns the lines of `help`: every edit by name, and every edit by chance. */
export function editsHelp(): string[] {
  const named = Object.entries(namedEdits).map(([word, { form, says }]) => `  ${`${word} ${form}`.padEnd(30)} ${says}`);
  return [
    'Edits by name; USER is a principal name, its part before the @, a display name or an id, in quotes if it has blanks:',
    ...named,
    `Edits by chance, with a number: ${Object.keys(edits).join(' 3, ')} 3, clear PROPERTY 3, random 20`,
  ];
}

/** Runs one line of edits and reports in one line (`help`: in several); throws on a line that cannot be run. */
export function runScript(truth: Truth, line: string): string {
  const [word = '', ...rest] = wordsOf(line);
  if (word === 'help') return editsHelp().join('\n');
  const named = Object.hasOwn(namedEdits, word) ? namedEdits[word] : undefined;
  if (!named && word !== 'random' && !Object.hasOwn(edits, word)) throw unknownEdit(word);
  const [first] = rest;
  const byChance =
    first === undefined || /^-?[\d.]+$/.test(first) || (word === 'clear' && isKnownProperty('users', first));
  if (named && (!byChance || !Object.hasOwn(edits, word))) return named.act(truth, rest);
  const property = word === 'clear' ? (rest.shift() ?? 'mobilePhone') : '';
  const count = Number(rest[0] ?? '1');
  if (!Number.isInteger(count) || count < 0 || rest.length > 1) {
    throw new Error(`'${line}' needs a whole number, as in '${word} ${property ? `${property} ` : ''}3'.`);
  }
  if (word !== 'random') return act(truth, word, count, property);
  const tally = new Map<string, number>();
  for (let number = 0; number < count; number += 1) {
    const chosen = truth.random.pick(randomWords);
    act(truth, chosen, 1, truth.random.pick(clearable));
    tally.set(chosen, (tally.get(chosen) ?? 0) + 1);
  }
  return `random edits: ${[...tally].map(([name, times]) => `${times} ${name}`).join(', ') || 'none'}`;
}
